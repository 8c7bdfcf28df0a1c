"""A client that sends bytes as they are, over a socket, and takes exactly framed answers apart."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Iterator, Sequence

from attrs import frozen

from tests.http.front_client import Answer, answers_in

PATIENCE = 5.0
"""Seconds after which a server that neither says anything nor closes has failed. It has a tenth of a second, really."""

EDGE = 500
"""Bytes at each end of a long row that are sent one by one; what is between them leaves in one piece."""


class Manner(enum.Enum):
    """How bytes are cut into segments."""

    AT_ONCE = "in one segment"
    BYTEWISE = "byte by byte"


class End(enum.Enum):
    """How a client ends behind its bytes."""

    WAITS = "waits"
    FIN = "FIN"
    RESET = "RST"
    GONE = "close"


@frozen
class Heard:
    """What came back until the server closed."""

    data: bytes
    was_reset: bool

    def answers(self, methods: Sequence[bytes] = ()) -> list[Answer]:
        """Give the final answers, which must be framed exactly; `methods` are those of the requests."""
        return [answer for answer in answers_in(self.data, methods) if answer.status != 100]

    @property
    def interims(self) -> int:
        """How often the server said that it waits for the body."""
        return self.data.count(b"HTTP/1.1 100 ")


def converse(
    port: int, data: bytes, manner: Manner = Manner.AT_ONCE, end: End = End.WAITS, host: str = "127.0.0.1"
) -> Heard:
    """Send bytes over a connection of their own, and listen until the server closes."""
    with socket.create_connection((host, port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in _pieces(data, manner):
                connection.sendall(piece)
            if end is End.FIN:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has said what it has to say, and closed
        if end is End.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return Heard(b"", False) if end in (End.RESET, End.GONE) else _heard(connection)


def _heard(connection: socket.socket) -> Heard:
    pieces: list[bytes] = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except ConnectionResetError:
        return Heard(b"".join(pieces), True)
    return Heard(b"".join(pieces), False)


def _pieces(data: bytes, manner: Manner) -> Iterator[bytes]:
    if manner is Manner.AT_ONCE:
        yield data
        return
    head, middle, tail = (data, b"", b"") if len(data) <= 2 * EDGE else (data[:EDGE], data[EDGE:-EDGE], data[-EDGE:])
    yield from (head[at : at + 1] for at in range(len(head)))
    if middle:
        yield middle
    yield from (tail[at : at + 1] for at in range(len(tail)))
