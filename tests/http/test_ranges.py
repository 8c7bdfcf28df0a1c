"""Which bytes a Range header asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.http.ranges import MOST_RANGES, content_range, spans_of
from sos.words.blob import Span
from sos.words.errors import RangeNotSatisfiable


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        (b"bytes=0-0", [Span(0, 1)]),
        (b"bytes=-5", [Span(5, 5)]),
        (b"bytes=5-", [Span(5, 5)]),
        (b"bytes=2-4, 6-7", [Span(2, 3), Span(6, 2)]),
        (b"bytes=6-7,2-4", [Span(6, 2), Span(2, 3)]),
        (b"BYTES=1-1", [Span(1, 1)]),
        (b"bytes=-500", [Span(0, 10)]),
        (b"bytes=8-500", [Span(8, 2)]),
        (b"bytes=8-9999999999999999999999999", [Span(8, 2)]),
        (b"bytes=0-1,500-", [Span(0, 2)]),
    ],
)
def test_a_range_that_can_be_had_becomes_a_span(header: bytes, spans: list[Span]) -> None:
    """Spans are cut at the end of the blob, and keep the order in which they were asked for."""
    assert list(spans_of(header, 10)) == spans


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"bytes=5-2",
        b"bytes=a-b",
        b"bytes=1_0-",
        "bytes=٣-".encode(),
        b"bytes=+1-",
        b"bytes=-",
        b"bytes=",
        b"bytes=1-2,",
        b"lines=1-2",
        b"bytes=0-5,3-7",
        b"bytes=" + b"9" * 41 + b"-",
        b"bytes=" + b",".join([b"1-1"] * (MOST_RANGES + 1)),
    ],
)
def test_a_malformed_overlapping_or_endless_range_is_ignored(header: bytes | None) -> None:
    """The whole is sent, as if nothing had been asked."""
    assert spans_of(header, 10) == ()


@pytest.mark.parametrize(("header", "size"), [(b"bytes=999-", 10), (b"bytes=0-0", 0), (b"bytes=-0", 10), (b"bytes=10-", 10)])
def test_a_range_behind_the_end_cannot_be_satisfied(header: bytes, size: int) -> None:
    """The error tells the length, for the answer has to."""
    with pytest.raises(RangeNotSatisfiable) as caught:
        spans_of(header, size)
    assert caught.value.size == size


@given(st.integers(1, 1000), st.data())
def test_a_span_gives_the_bytes_that_the_header_names(size: int, data: st.DataObject) -> None:
    """Any first and last byte within the blob come back as they were asked for, and as Content-Range says them."""
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    (span,) = spans_of(b"bytes=%d-%d" % (first, last), size)
    assert (span.start, span.stop - 1) == (first, last)
    assert content_range(span, size) == b"bytes %d-%d/%d" % (first, last, size)


@given(st.binary(max_size=200))
def test_no_header_makes_more_bytes_than_the_blob_has(tail: bytes) -> None:
    """Whatever is sent, the spans lie within the blob and do not add up to more than it."""
    try:
        spans = spans_of(b"bytes=" + tail, 50)
    except RangeNotSatisfiable:
        return
    assert all(0 <= span.start < span.stop <= 50 for span in spans)
    assert sum(span.length for span in spans) <= 50
