"""The bytes that an answer begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus

from twisted.web.http import datetimeToString

from sos.decisions.wire import JSON_TYPE, json_bytes

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"

BODILESS = frozenset({204, 304})
"""Statuses whose answers have no body, whatever their headers say."""

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode("ascii")) for status in HTTPStatus}


class Stamp:
    """The header lines of every answer; made anew once a second, for it has the date in it."""

    __slots__ = ("_lines", "_second", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        """Take the time from `wall`, in unix seconds."""
        self._wall = wall
        self._second = -1
        self._lines = b""

    def lines(self) -> bytes:
        """Give the lines as of now."""
        second = int(self._wall())
        if second != self._second:
            self._second = second
            date = datetimeToString(second)
            self._lines = b"Server: sos\r\nX-Content-Type-Options: nosniff\r\nDate: %b\r\n" % date
        return self._lines


def status_line(status: int, message: bytes | None = None) -> bytes:
    """Give the first line of an answer."""
    if message is None:
        line = _STATUS_LINES.get(status)
        if line is not None:
            return line
    return b"HTTP/1.1 %d %b\r\n" % (status, (message or b"Unknown").replace(b"\r", b" ").replace(b"\n", b" "))


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give the lines of some headers. Raises `ValueError` where one would be two lines."""
    lines = [b": ".join(pair) for pair in headers]
    block = b"\r\n".join([*lines, b""])
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
        raise ValueError("A header of an answer has a line end in it.")
    return block


def error_parts(sentence: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Give headers and body of an answer that says what went wrong."""
    return [(b"Content-Type", JSON_TYPE)], json_bytes({"error": sentence})


def refusal(stamp: Stamp, status: int, headers: Iterable[tuple[bytes, bytes]], sentence: str) -> bytes:
    """Give a whole answer to something that is no request; nothing is read behind it."""
    more, body = error_parts(sentence)
    return b"%b%b%bContent-Length: %d\r\n%b\r\n%b" % (
        status_line(status),
        stamp.lines(),
        header_lines([*headers, *more]),
        len(body),
        CLOSE,
        body,
    )
