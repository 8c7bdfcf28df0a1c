"""Bodies cut out of a connection's bytes, by length and by chunks."""

from __future__ import annotations

import time
from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.http.framing import Chunked, Counted, Framing
from sos.http.limits import Limits
from sos.words.errors import BadInput, BlobTooLarge, SOSError


def fed(framing: Framing, segments: list[bytes]) -> tuple[bytes, bytes]:
    """Feed segments; give the body and what is behind it."""
    body, rest = b"", b""
    for segment in segments:
        if framing.is_complete:
            rest += segment
            continue
        piece, behind = framing.feed(segment)
        body, rest = body + piece, rest + behind
    return body, rest


def cut(data: bytes, borders: list[int]) -> list[bytes]:
    """Cut bytes into segments."""
    places = sorted({border % (len(data) + 1) for border in borders} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(places)]


def parsed(data: bytes) -> bytes | None:
    """Give the body that llhttp finds, None where it refuses or waits for more."""

    class Listener:
        def __init__(self) -> None:
            self.body = b""
            self.is_complete = False

        def on_body(self, piece: bytes) -> None:
            self.body += piece

        def on_message_complete(self) -> None:
            self.is_complete = True

    listener = Listener()
    parser = httptools.HttpRequestParser(listener)
    try:
        parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    except httptools.HttpParserError:
        return None
    return listener.body if listener.is_complete else None


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
borders = st.lists(st.integers(0, 10_000), max_size=6)


@given(chunks, borders, st.binary(max_size=20))
def test_a_chunked_body_is_found_wherever_the_segments_end(pieces: list[bytes], where: list[int], behind: bytes) -> None:
    """Body and rest are the same for all segment borders."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n" + behind
    framing = Chunked(Limits())
    assert fed(framing, cut(data, where)) == (b"".join(pieces), behind)
    assert framing.is_complete


@given(st.integers(1, 20), st.integers(1, 50), borders, st.data())
def test_runs_of_equal_chunks_are_taken_apart_rightly(size: int, count: int, where: list[int], draw: st.DataObject) -> None:
    """The short cut for tiny chunks gives the same bytes."""
    body = draw.draw(st.binary(min_size=size * count, max_size=size * count))
    data = b"".join(b"%X\r\n%b\r\n" % (size, body[at : at + size]) for at in range(0, len(body), size))
    assert fed(Chunked(Limits()), cut(data + b"0\r\n\r\nGET", where)) == (body, b"GET")


NOISE = [b"1", b"2", b"0", b"A", b"\r\n", b"\r", b"\n", b";x=y", b" ", b"\0", b"ab", b"T: v"]


@given(st.lists(st.sampled_from(NOISE), max_size=14), borders)
def test_what_llhttp_refuses_is_refused(parts: list[bytes], where: list[int]) -> None:
    """Never more than it, and never another body."""
    data = b"".join(parts)
    framing = Chunked(Limits())
    try:
        body, rest = fed(framing, cut(data, where))
    except SOSError:
        return
    if framing.is_complete:
        assert parsed(data[: len(data) - len(rest)]) == body


@given(st.integers(0, 50), st.binary(max_size=80), borders)
def test_a_counted_body_ends_at_its_length(length: int, data: bytes, where: list[int]) -> None:
    """And not a byte further."""
    framing = Counted(length)
    body, rest = fed(framing, cut(data, where))
    assert (body, rest) == (data[:length], data[length:])
    assert framing.is_complete == (len(data) >= length)


def test_the_maximum_is_judged_by_the_size_line() -> None:
    """Before the bytes are there."""
    framing = Chunked(Limits(most_body=100))
    assert framing.feed(b"64\r\n") == (b"", b"")
    with pytest.raises(BlobTooLarge):
        Chunked(Limits(most_body=100)).feed(b"65\r\n")


def test_the_maximum_is_judged_in_runs_too() -> None:
    """However tiny the chunks."""
    framing = Chunked(Limits(most_body=100))
    assert framing.feed(b"1\r\nx\r\n" * 100)[0] == b"x" * 100
    with pytest.raises(BlobTooLarge):
        framing.feed(b"1\r\nx\r\n")
    with pytest.raises(BlobTooLarge):
        Chunked(Limits(most_body=100)).feed(b"1\r\nx\r\n" * 101)


def test_framing_is_bounded_by_the_body() -> None:
    """64 KiB, and 8 bytes a byte of the body (torture H38)."""
    line = b"1;abcdefg\r\nx\r\n"  # 13 bytes of framing, 5 beyond the bound
    framing = Chunked(Limits())
    most = 64 * 1024 // (13 - 8)
    framing.feed(line * most)
    with pytest.raises(BadInput):
        framing.feed(line)


def test_ten_million_tiny_chunks_take_no_time() -> None:
    """Torture H40 allows two seconds; this takes a fifth of one."""
    framing = Chunked(Limits())
    segment = b"1\r\nx\r\n" * 11_000
    began = time.process_time()
    for _ in range(910):
        framing.feed(segment)
    assert time.process_time() - began < 2
