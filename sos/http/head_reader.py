"""Reads the head of one request: feeds llhttp up to the head's end and not a byte further.

The parser cannot be paused: what it is fed it parses, the next requests too. So it gets one head and is thrown away (making
one takes 0.2 µs); bodies are cut out by `sos.http.framing`. Bytes that are no head's end yet are fed as they come, because
what is wrong in them has to be refused at once. In a head that the parser takes, the first empty line is its end: it
refuses bare line ends and folded lines. Rejected: letting the parser run and buffering the events of what follows,
which needs bounds for each kind of event, and cannot tell where a chunked body ended.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from sos.http.head import Head, Pair, Refused, checked_head, checked_line
from sos.http.limits import Limits

_END = b"\r\n\r\n"
_BLANK_LINES = re.compile(rb"(?:\r\n)*")
_ROOM_IN_LINE = 32
"""Bytes of a request line beside its target: the longest method that llhttp knows, two spaces, the version."""


class _Fields:
    """What the parser calls: the headers, and whether they are complete. Apart from the reader, or they were a cycle."""

    __slots__ = ("headers", "is_complete")

    def __init__(self) -> None:
        self.headers: list[Pair] = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


class HeadReader:
    """Takes bytes until they are the head of a request. Used once."""

    __slots__ = ("_blank", "_fields", "_is_upgrade", "_kept", "_limits", "_line", "_parser", "head")

    def __init__(self, limits: Limits) -> None:
        """Wait for a head within `limits`."""
        self.head: Head | None = None
        self._limits = limits
        self._kept = b""
        self._blank = b""
        self._line: list[bytes] | None = None
        self._is_upgrade = False
        self._fields = _Fields()
        self._parser = HttpRequestParser(self._fields)

    @property
    def has_begun(self) -> bool:
        """Whether a byte of the head is here; empty lines before it are none."""
        return bool(self._kept)

    def feed(self, data: bytes) -> bytes:
        """Take bytes; give back those behind the head. Whether there is a `head` now says whether it was complete.

        Raises `Refused` as soon as it is clear that the bytes are no head that this server takes.
        """
        kept = len(self._kept)
        if not kept and (self._blank or data[:1] in (b"\r", b"\n")):
            data = self._without_blank_lines(data)
        whole = self._kept + data if kept else data
        end = whole.find(_END, kept - 3 if kept > 3 else 0)
        stop = len(whole) if end < 0 else end + 4
        self._parse(whole[kept : min(stop, self._limits.head_bytes)])
        if self._line is None:
            self._read_line(whole)
        if stop > self._limits.head_bytes:
            raise Refused(431, f"Request line and headers have at most {self._limits.head_bytes} bytes.")
        if end < 0:
            self._kept = whole
            return b""
        self._finish()
        return whole[stop:]

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:  # raised at the end of the head, which is where we stop anyway
            self._is_upgrade = True
        except HttpParserError:
            raise Refused(400, "The request is no well-formed HTTP/1.1.") from None

    def _read_line(self, whole: bytes) -> None:
        """Judge the request line as soon as it is there: a client of HTTP/0.9 would send nothing more."""
        end = whole.find(b"\r\n")
        if end >= 0:
            self._line = checked_line(whole[:end], self._limits)
        elif len(whole) > self._limits.target_bytes + _ROOM_IN_LINE:
            raise Refused(414, f"The target of a request has at most {self._limits.target_bytes} bytes.")
        elif b"\n" in whole:
            raise Refused(400, "The lines of a request end with CR LF.")

    def _finish(self) -> None:
        if not self._fields.is_complete or self._line is None:  # the parser sees no end where there is one: refuse
            raise Refused(400, "The request is no well-formed HTTP/1.1.")
        self.head = checked_head(self._line, self._fields.headers, self._is_upgrade, self._limits)

    def _without_blank_lines(self, data: bytes) -> bytes:
        """Leave out empty lines before a request, of which nothing is kept but half a line end (torture H9)."""
        data = self._blank + data
        lines = _BLANK_LINES.match(data)
        rest = data[lines.end() :] if lines else data
        self._blank = rest if rest == b"\r" else b""
        if rest[:1] in (b"\r", b"\n") and not self._blank:
            raise Refused(400, "The lines of a request end with CR LF.")
        return b"" if self._blank else rest
