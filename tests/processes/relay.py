"""A relay before a server: it counts what passes, and says when a byte of a body has come by."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

HEAD_END = b"\r\n\r\n"
PIECE = 16 * 1024


class Relay:
    """Passes connections on to a port of this host, each direction in a thread of its own."""

    def __init__(self, port: int) -> None:
        """Listen, on a free port."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._left: int | None = None
        self._then: Callable[[], None]
        self._start(self._accept)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def break_after(self, count: int, then: Callable[[], None]) -> None:
        """Once so many bytes of the next body have passed, do something, and pass nothing more of that connection."""
        self._left, self._then = count, then

    def end(self) -> None:
        """Close everything; the threads end with that."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _start(self, call: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=call, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [here, there]
                self._start(self._pass_on, here, there)
                self._start(self._pass_back, there, here)

    def _pass_back(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        is_in_head = True
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if self._left is None:
                    target.sendall(piece)
                    continue
                at = 0
                if is_in_head:
                    at = piece.index(HEAD_END) + len(HEAD_END)
                    is_in_head = False
                passed = piece[: at + self._left]
                self._left -= len(passed) - at
                target.sendall(passed)
                if self._left == 0:
                    self._left = None
                    self._then()
                    break
            target.shutdown(socket.SHUT_WR)
            source.close()


@contextlib.contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Stand before a port."""
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.end()
