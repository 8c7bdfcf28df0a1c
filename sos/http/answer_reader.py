"""Reading one answer off a connection: llhttp parses, and whatever it lets pass that a blob server does not send is refused.

The reader knows nothing of connections or time. It is fed bytes as they come, and says what it has: a head, pieces of the
body, whether the answer is complete, and whether anything may follow it on the same connection.

Where the head ends is found here and not taken from the parser, which cannot be stopped: so the answer to a HEAD, a 204 and
an interim answer end at the very byte, and what lies behind is known to lie behind. A body with a length is counted here;
only chunks go through the parser.
"""

from __future__ import annotations

import re
from typing import Any

import httptools

MOST_HEADERS = 100
"""Header lines of an answer (torture, B3): metadata has 64 at most, and our own come to about ten."""

MOST_HEAD = 16 * 1024
"""Bytes of a head: twice what metadata may have (torture, B3)."""

MOST_INTERIMS = 10
"""Answers 1xx before the real one (torture, B3)."""

MOST_FRAMING = 64 * 1024
"""Bytes of chunk sizes, extensions and trailers, beyond `FRAMING_A_BYTE` for each byte of the body (torture, H38)."""
FRAMING_A_BYTE = 8

_HEAD_END = b"\r\n\r\n"
_WITHOUT_BODY = (204, 304)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class AnswerRefused(Exception):
    """Bytes that are no answer of a blob server; the text says why, in words that go behind the server's name."""


class AnswerReader:
    """Reads the answer to one request."""

    def __init__(self, is_head: bool = False) -> None:
        """Read the answer to a HEAD, or to anything else."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        """What ``Content-Length`` says."""
        self.left = 0
        """Bytes of a body with a length that are still to come."""
        self.pieces: list[bytes] = []
        """Pieces of the body that nobody has taken yet; `take` takes them."""
        self.has_head = False
        self.is_complete = False
        self._is_head = is_head
        self._interims = 0
        self._head_size = 0
        self._tail = b""
        self._is_chunked = False
        self._has_excess = False
        self._has_controls = False
        self._keeps_alive = False
        self._framing = 0
        self._parser: Any = None
        self._begin_head()

    @property
    def may_be_followed(self) -> bool:
        """Whether the connection can serve another request: this answer was complete and exact, and nothing lies behind."""
        return self.is_complete and self._keeps_alive and not self._has_excess

    def take(self) -> list[bytes]:
        """Hand over the pieces of the body that have come."""
        pieces, self.pieces = self.pieces, []
        return pieces

    def feed(self, data: bytes) -> None:
        """Read on. Raises `AnswerRefused`."""
        while data and not self.has_head:
            data = self._feed_head(data)
        if not data:
            return
        if self.is_complete:
            self._has_excess = True
        elif self._is_chunked:
            self._feed_chunks(data)
        else:
            self._feed_counted(data)

    # The head

    def _begin_head(self) -> None:
        self.headers = []
        self._lines: list[tuple[bytes, bytes]] = []  # as the parser gives them
        self._parser_has_head = False
        self._head_size = 0
        self._tail = b""
        self._parser = httptools.HttpResponseParser(self)

    def _feed_head(self, data: bytes) -> bytes:
        """Read up to the end of a head, and give back what lies behind it."""
        if not self._head_size and data[:1] != b"H":  # the parser skips line ends
            raise AnswerRefused("what it sends is no HTTP answer")
        joined = self._tail + data
        at = joined.find(_HEAD_END)
        stop = len(data) if at < 0 else at + len(_HEAD_END) - len(self._tail)
        self._tail = joined[-3:]
        self._head_size += stop
        if self._head_size > MOST_HEAD:
            raise AnswerRefused(f"its answer has a head of more than {MOST_HEAD} bytes")
        self._parse(data if stop == len(data) else data[:stop])
        if self._parser_has_head != (at >= 0):
            raise AnswerRefused("the head of its answer does not end as HTTP has it")
        if self._parser_has_head:
            self._end_head()
        return data[stop:]

    def _end_head(self) -> None:
        status = self._parser.get_status_code()
        if self._has_controls:
            raise AnswerRefused("the first line of its answer has controls in it")
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise AnswerRefused(f"it speaks HTTP/{self._parser.get_http_version()}")
        if len(self._lines) > MOST_HEADERS:
            raise AnswerRefused(f"its answer has more than {MOST_HEADERS} headers")
        if 100 <= status < 200:
            self._end_interim(status)
        elif 200 <= status <= 599:
            self.status = status
            self.has_head = True
            self._tail = b""
            self._begin_body()
        else:
            raise AnswerRefused(f"it answered with the status {status}")

    def _end_interim(self, status: int) -> None:
        self._interims += 1
        if status == 101 or self._interims > MOST_INTERIMS:
            raise AnswerRefused("it wants another protocol" if status == 101 else "its interim answers do not end")
        self._begin_head()

    def _begin_body(self) -> None:
        """Say how the body ends: the length, chunks, or nothing. A body that only a close would end is refused."""
        self._read_framing()
        if self._is_head or self.status in _WITHOUT_BODY or self.length == 0:
            self._end()
        elif self.length is not None:
            self.left = self.length
        elif not self._is_chunked:
            raise AnswerRefused("its answer has neither a length nor chunks, and might end anywhere")

    def _read_framing(self) -> None:
        """Take the headers that frame the body. The parser has refused both at once, two lengths, and bad digits."""
        self._keeps_alive = is_newest = self._parser.get_http_version() == "1.1"
        self.headers = [(name.lower(), value.strip(b" \t")) for name, value in self._lines]
        codings: list[bytes] = []
        for (name, value), (_, as_sent) in zip(self.headers, self._lines, strict=True):
            if name == b"content-length":
                if not value.isdigit():
                    raise AnswerRefused("its answer has a length that is no number")
                self.length = int(value)
            elif name == b"connection" and b"close" in map(bytes.strip, value.lower().split(b",")):
                self._keeps_alive = False
            elif name == b"transfer-encoding":
                codings.append(as_sent)
        # The very word, once, without a space behind it: of any other spelling the parser makes what RFC 9112 does not.
        if codings and ([coding.lower() for coding in codings] != [b"chunked"] or not is_newest):
            raise AnswerRefused("its answer has a transfer coding other than chunked")
        self._is_chunked = bool(codings)

    # The body

    def _end(self) -> None:
        self.is_complete = True
        self._parser = None  # it holds on to us: without this, each answer would wait for the garbage collector

    def _feed_counted(self, data: bytes) -> None:
        piece = data if len(data) <= self.left else data[: self.left]
        self._has_excess = len(piece) < len(data)
        self.left -= len(piece)
        self.pieces.append(piece)
        if not self.left:
            self._end()

    def _feed_chunks(self, data: bytes) -> None:
        self._framing += len(data)
        self._tail = (self._tail + data[-5:])[-5:]
        try:
            self._parse(data)
        except AnswerRefused:
            if not self.is_complete:
                raise
            self._has_excess = True
        if self.is_complete:
            # Nothing follows the empty line; the parser swallows line ends that do, without a word.
            self._has_excess |= not self._tail.endswith(_HEAD_END) or self._tail[0] == 0x0A
            self._end()
        elif self._framing > MOST_FRAMING:
            raise AnswerRefused("its answer has more chunk framing than bytes")

    # What the parser calls

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # a 101, which is refused by its status
        except httptools.HttpParserError as error:
            raise AnswerRefused(f"what it sends is no HTTP answer ({error})") from None

    def on_message_begin(self) -> None:
        """Notice a second answer behind the one that was asked for."""
        self._has_excess = self.is_complete

    def on_status(self, phrase: bytes) -> None:
        """Notice controls in the words behind the status, which the parser lets pass."""
        self._has_controls |= _CONTROL.search(phrase) is not None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header line; what comes behind the body are trailers, which mean nothing to us."""
        if not self.has_head:
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """Notice the end of a head."""
        self._parser_has_head = True

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of a chunked body."""
        if not self.is_complete:
            self.pieces.append(piece)
            self._framing -= len(piece) * (1 + FRAMING_A_BYTE)

    def on_message_complete(self) -> None:
        """Notice the end of a chunked body."""
        if self.has_head and self._is_chunked:
            self.is_complete = True
