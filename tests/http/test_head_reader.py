"""The head of a request, read from segments."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.http.head import CHUNKED, Head, Refused
from sos.http.head_reader import HeadReader
from sos.http.limits import Limits

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"


def read(*segments: bytes) -> tuple[Head | None, bytes]:
    """Feed segments; give the head and what is behind it."""
    reader = HeadReader(Limits())
    rest = b""
    for segment in segments:
        rest = rest + segment if reader.head is not None else reader.feed(segment)
    return reader.head, rest


@given(st.lists(st.integers(0, len(GET)), max_size=4), st.binary(max_size=30))
def test_a_head_ends_where_it_ends(borders: list[int], behind: bytes) -> None:
    """Whatever the segments, and whatever is behind it: that is not looked at."""
    data = b"\r\n" + GET + behind
    places = sorted({0, len(data), *borders})
    head, rest = read(*(data[start:stop] for start, stop in pairwise(places)))
    assert head is not None
    assert (head.method, head.target, head.path, head.query) == (b"GET", b"/a?b=c", b"/a", b"b=c")
    assert head.headers == [(b"host", b"x"), (b"accept", b"*/*")]
    assert head.length == 0
    assert rest == behind


NOISE = [b"GET ", b"/a", b" HTTP/1.1", b"\r\n", b"\r", b"\n", b"Host: x", b": ", b" ", b"\0", b"Content-Length: 5"]


@given(st.lists(st.sampled_from(NOISE)))
def test_nothing_but_refusals_come_out_of_noise(parts: list[bytes]) -> None:
    """No other exception, whatever comes."""
    try:
        head, _ = read(*parts)
    except Refused:
        return
    assert head is None or head.target.startswith(b"/")


@pytest.mark.parametrize(
    ("lines", "length"),
    [(b"Content-Length: 7\r\n", 7), (b"Content-Length: 007\r\n", 7), (b"Transfer-Encoding: Chunked\r\n", CHUNKED)],
)
def test_the_length_of_a_body(lines: bytes, length: int) -> None:
    """A number, or the mark for chunks."""
    head, _ = read(b"PUT /a HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert head is not None and head.length == length


@pytest.mark.parametrize("host", [b"", b"x", b"x:1", b"[::1]", b"[::1]:80", b"1.2.3.4:80", b"a_b.c-d"])
def test_hosts_that_are_hosts(host: bytes) -> None:
    """Names and addresses, with a port or without."""
    head, _ = read(b"GET /a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert head is not None


@pytest.mark.parametrize("host", [b"x y", b"x/", b"a@b", b"x:y", b"[::1", b"x:123456", b"x:80:80", b"\xff"])
def test_hosts_that_are_none(host: bytes) -> None:
    """400 for all else (torture H12)."""
    with pytest.raises(Refused):
        read(b"GET /a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
