"""Mutants: what becomes of good and bad input when a few bytes of it change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

_BYTES = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b",",
    b";",
    b"/",
    b"#",
    b"0",
    b"1",
    b"5",
    b"a",
    b'"',
)
_WORDS = (
    b"\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n",
    b"Host: x\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n",
    b"chunked", b"HTTP/1.0", b"HTTP/1.1", b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", b"POST ",
    b"HEAD ", b"X-A: b\r\n", b"\r\n ",
    b"100", b"ffffffffffffffff", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
)  # fmt: skip

_Change = Callable[[Random, bytes, bytes], bytes]


def _place(random: Random, data: bytes) -> int:
    """Choose a place; two thirds lie where the framing is, at the begin."""
    return random.randrange(min(len(data), 200) + 1) if random.random() < 0.66 else random.randrange(len(data) + 1)


def _delete(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    return data[:at] + data[at + random.choice((1, 1, 1, 2, 4, 16)) :]


def _replace(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    return data[:at] + random.choice(_BYTES) + data[at + 1 :]


def _insert(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    return data[:at] + random.choice(_BYTES if random.random() < 0.6 else _WORDS) + data[at:]


def _insert_line(random: Random, data: bytes, other: bytes) -> bytes:
    """Put a word where a line begins, which is where it means something."""
    starts = [at + 2 for at in range(min(len(data), 600)) if data.startswith(b"\r\n", at)]
    at = random.choice(starts) if starts else 0
    return data[:at] + random.choice(_WORDS) + data[at:]


def _flip(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    return data[:at] + bytes(byte ^ 1 << random.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _double(random: Random, data: bytes, other: bytes) -> bytes:
    at = _place(random, data)
    stop = at + random.choice((1, 2, 8, 40))
    return data[:stop] + data[at:stop] + data[stop:]


def _splice(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(random, data)] + other[_place(random, other) :]


def _append(random: Random, data: bytes, other: bytes) -> bytes:
    return data + other


_CHANGES: Sequence[_Change] = (_delete, _replace, _replace, _insert, _insert, _insert_line, _flip, _double, _splice, _append)


def mutant(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Make a mutant of one of the corpus: mostly one change, now and then more."""
    data = random.choice(corpus)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        data = random.choice(_CHANGES)(random, data, random.choice(corpus))
    return data


def segments(random: Random, data: bytes) -> list[bytes]:
    """Cut bytes where segments may end: not at all, here and there, or behind every byte."""
    kind = random.random()
    if kind < 0.3 or not data:
        return [data]
    if kind < 0.4 and len(data) < 2000:
        return [data[at : at + 1] for at in range(len(data))]
    borders = sorted({0, len(data), *(_place(random, data) for _ in range(random.randrange(1, 5)))})
    return [data[start:stop] for start, stop in pairwise(borders)]
