"""Blob servers that start in a moment: each is forked from a process that has imported everything already.

A crash proof starts hundreds of servers, and nearly all of a start is Python reading modules. What is forked has a
process ID, an interpreter, threads and files of its own; it runs ``sos blob-server`` from its first line.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from sos.cli.main import main
from tests.processes.harness import PATIENCE

_WARM = multiprocessing.get_context("forkserver")
_WARM.set_forkserver_preload(
    ["tests.torture.quick_server", "sos.service", "sos.cli.foreground", "twisted.internet.epollreactor"]
)

_LISTENING = re.compile(r"Listening for blobs on [^ ]*?:(\d+)$")


def _serve(arguments: list[str], output: Connection, gate: Connection) -> None:
    """Be a blob server, in the new process, once the gate opens."""
    gate.recv_bytes()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.argv = ["sos", *arguments]
    sys.exit(main())


@contextmanager
def serving(store: Path, *, is_held: bool = False) -> Iterator[QuickServer]:
    """Serve a store for a while; it is killed at the end if it still runs. One that is held begins when it is let go."""
    server = QuickServer(store, is_held=is_held)
    try:
        yield server
    finally:
        server.end()


class QuickServer:
    """A running blob server on a free port; whoever starts it ends it."""

    def __init__(self, store: Path, *, is_held: bool = False) -> None:
        """Start it on a store, with some room to spare whatever the disk has; or hold it before its first line."""
        arguments = ["blob-server", "-store", str(store), "-port", "0", "--reserve=1M"]
        reading, writing = _WARM.Pipe(duplex=False)
        waiting, self._gate = _WARM.Pipe(duplex=False)
        self._process = _WARM.Process(target=_serve, args=(arguments, writing, waiting), daemon=True)
        self._process.start()
        writing.close()
        waiting.close()
        if not is_held:
            self.let_go()
        self.lines: list[str] = []
        self._port: int | None = None
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return "\n".join(self.lines)

    @property
    def port(self) -> int:
        """Wait until it listens, and give the port."""
        assert self.is_up and self._port is not None, f"it does not listen:\n{self.output}"
        return self._port

    def let_go(self) -> None:
        """Let a held one begin."""
        self._gate.send_bytes(b"go")

    @property
    def is_up(self) -> bool:
        """Wait until it listens, or has ended without that."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._port is not None or not self._reader.is_alive(), PATIENCE)
            return self._port is not None

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal, unless it is gone, wait for its end, and give its exit status."""
        with contextlib.suppress(ProcessLookupError):  # it may be gone a moment before that is known here
            if self._process.is_alive():
                os.kill(self.pid, number)
        return self.when_it_ends()

    def when_it_ends(self) -> int:
        """Wait for its end and give its exit status, negative where a signal ended it."""
        self._process.join(PATIENCE)
        status = self._process.exitcode
        if status is None:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"it does not end:\n{self.output}")
        self._reader.join(PATIENCE)
        return status

    def _read(self, reading: Connection) -> None:
        with os.fdopen(os.dup(reading.fileno()), encoding="utf-8") as lines:
            for line in lines:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    if match := _LISTENING.search(self.lines[-1]):
                        self._port = int(match[1])
                    self._changed.notify_all()
        reading.close()
        with self._changed:
            self._changed.notify_all()
