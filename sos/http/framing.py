"""Cuts the body of a request out of the bytes of a connection: by its length, or by its chunks.

Pure: bytes in, the body's bytes and the bytes behind it out. The chunks are read here and not by llhttp because the
parser neither says where in its input a body ended, nor how large a chunk will be before its bytes are there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

from sos.http.limits import Limits
from sos.words.errors import BadInput, BlobTooLarge

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_BEGUN_SIZE_LINE = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n")
_TINY = 16
"""Chunks of at most so many bytes are taken in runs."""


@lru_cache(maxsize=256)  # all spellings of the sizes up to `_TINY`
def _equal_chunks(line: bytes, size: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?:%b[\x00-\xff]{%d}\r\n)+" % (re.escape(line), size))


class Framing(Protocol):
    """Knows which bytes belong to a body."""

    is_complete: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Give the body's bytes among `data`, and those behind the body. Raises `BadInput` and `BlobTooLarge`."""


class Counted:
    """A body with a Content-Length."""

    __slots__ = ("_left", "is_complete")

    def __init__(self, length: int) -> None:
        """Wait for `length` bytes."""
        self._left = length
        self.is_complete = not length

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Give the body's bytes, and those behind it."""
        self._left -= len(data)
        if self._left > 0:
            return data, b""
        self.is_complete = True
        stop = len(data) + self._left
        self._left = 0
        return data[:stop], data[stop:]


class Chunked:
    """A body in chunks, of any length up to a limit. Extensions and trailers are checked and forgotten."""

    __slots__ = (
        "_announced",
        "_framing",
        "_kept",
        "_left",
        "_limits",
        "_needs_line_end",
        "_received",
        "_trailers",
        "is_complete",
    )

    def __init__(self, limits: Limits) -> None:
        """Wait for the first chunk."""
        self.is_complete = False
        self._limits = limits
        self._kept = b""  # the begin of a line that is not complete
        self._left = 0  # bytes of the current chunk that are still to come
        self._needs_line_end = False  # the line end behind a chunk's bytes is still to come
        self._trailers = -1  # bytes of trailers so far; -1 before the last chunk
        self._announced = 0  # bytes of all chunks whose size line was here
        self._received = 0
        self._framing = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Give the body's bytes, and those behind it.

        Raises `BadInput` for what is no chunk, or for more framing than a body of this size may have; `BlobTooLarge` at
        the size line of the chunk that passes the limit, before its bytes are here.
        """
        self._framing -= len(self._kept)
        data = self._kept + data
        pieces: list[bytes] = []
        at = 0
        while not self.is_complete:
            start = at
            at = self._step(data, at, pieces)
            if at == start:
                break
        self._kept = b"" if self.is_complete else data[at:]
        body = b"".join(pieces)
        self._count(len(body), (at if self.is_complete else len(data)) - len(body))
        return body, data[at:] if self.is_complete else b""

    def _step(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take the next thing from `data`; give the place behind it, `at` itself where it is not all here."""
        if self._left:
            piece = data[at : at + self._left]
            pieces.append(piece)
            self._left -= len(piece)
            return at + len(piece)
        if self._needs_line_end:
            return self._line_end(data, at)
        if self._trailers >= 0:
            return self._trailer(data, at)
        return self._size_line(data, at, pieces)

    def _line_end(self, data: bytes, at: int) -> int:
        found = data[at : at + 2]
        if not b"\r\n".startswith(found):
            raise BadInput("The bytes of a chunk end with CR LF.")
        if len(found) < 2:
            return at
        self._needs_line_end = False
        return at + 2

    def _size_line(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        match = _SIZE_LINE.match(data, at)
        if match is None:
            self._check_begun(data, at)
            return at
        size = int(match[1], 16)
        if match.end() - at > self._limits.chunk_line_bytes:
            raise BadInput("The size line of a chunk is too long.")
        if not size:
            self._trailers = 0
            return match.end()
        self._announce(size)
        stop = match.end() + size
        if data[stop : stop + 2] == b"\r\n":  # all of it is here: the usual case
            pieces.append(data[match.end() : stop])
            return stop + 2 if size > _TINY else self._run_of_equals(data, at, match.end(), stop + 2, pieces)
        self._left = size
        self._needs_line_end = True
        return match.end()

    def _run_of_equals(self, data: bytes, at: int, begin: int, stop: int, pieces: list[bytes]) -> int:
        """Take the chunks behind a tiny one that have its very size line, all at once.

        One by one they cost 0.5 µs a body byte: ten million of them are seconds of the reactor's time (torture H40).
        """
        line = data[at:begin]
        if not data.startswith(line, stop) or len(line) > len(b"10\r\n"):
            return stop
        size = stop - 2 - begin
        run = _equal_chunks(line, size).match(data, stop)
        if run is None:
            return stop
        period = stop - at
        body = bytearray((run.end() - stop) // period * size)
        for index in range(size):
            body[index::size] = data[stop + len(line) + index : run.end() : period]
        pieces.append(bytes(body))
        self._announce(len(body))
        return run.end()

    def _announce(self, size: int) -> None:
        self._announced += size
        if self._announced > self._limits.most_body:
            raise BlobTooLarge(f"A body has at most {self._limits.most_body} bytes here.")

    def _check_begun(self, data: bytes, at: int) -> None:
        """Refuse the begin of a size line that cannot become one."""
        if len(data) - at > self._limits.chunk_line_bytes or _BEGUN_SIZE_LINE.fullmatch(data, at) is None:
            raise BadInput("The size line of a chunk is a hexadecimal number of at most 16 digits.")

    def _trailer(self, data: bytes, at: int) -> int:
        """Check one line behind the last chunk; the empty one ends the body."""
        stop = data.find(b"\n", at) + 1
        self._check_trailers((stop or len(data)) - at)
        if not stop:
            return at
        if data[at:stop] == b"\r\n":
            self.is_complete = True
        elif _TRAILER_LINE.fullmatch(data, at, stop) is None:
            raise BadInput("A trailer of the body is no header line.")
        self._trailers += stop - at
        return stop

    def _check_trailers(self, more: int) -> None:
        if self._trailers + more > self._limits.trailer_bytes:
            raise BadInput(f"The trailers of a body have at most {self._limits.trailer_bytes} bytes.")

    def _count(self, body: int, framing: int) -> None:
        """Bound the framing by the body, so that neither extensions nor tiny chunks cost more than they bring."""
        self._received += body
        self._framing += framing
        allowed = self._limits.framing_bytes + self._limits.framing_bytes_a_body_byte * self._received
        if self._framing > allowed:
            raise BadInput("The body has far more chunk framing than bytes.")
