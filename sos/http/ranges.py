"""Which bytes a ``Range`` header asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from sos.words.blob import Span
from sos.words.errors import RangeNotSatisfiable

MOST_RANGES = 64
"""A header with more is ignored: players and download tools ask for a few, attackers for thousands (RFC 9110, 17.15)."""

_RANGE = re.compile(rb"[ \t]*([0-9]{0,40})-([0-9]{0,40})[ \t]*")


def spans_of(header: bytes | None, size: int) -> Sequence[Span]:
    """Give the spans of a blob of `size` bytes that a header asks for; none where the whole is to be sent.

    A header in another unit, or one that is malformed, is ignored, as the RFC allows. So is one whose ranges overlap:
    it asks for more bytes than there are. Raises `RangeNotSatisfiable` where every range lies behind the end.
    """
    if header is None or not header.lower().startswith(b"bytes=") or header.count(b",") >= MOST_RANGES:
        return ()
    asked = [_span(piece, size) for piece in header[len(b"bytes=") :].split(b",")]
    if None in asked:
        return ()
    spans = [span for span in asked if span is not None and span.length]
    if not spans:
        raise RangeNotSatisfiable(size)
    return () if _overlap(spans) else spans


def content_range(span: Span, size: int) -> bytes:
    """Write the value of ``Content-Range``."""
    return b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)


def _span(piece: bytes, size: int) -> Span | None:
    """Read one range: None if malformed, a span of no bytes if it cannot be satisfied."""
    match = _RANGE.fullmatch(piece)
    if match is None or match[1] == match[2] == b"":
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        return Span(size - length, length)
    first, last = int(match[1]), int(match[2] or size - 1)
    if match[2] and last < first:
        return None
    return Span(first, max(0, min(last, size - 1) + 1 - first))


def _overlap(spans: Sequence[Span]) -> bool:
    ordered = sorted(spans, key=lambda span: span.start)
    return any(left.stop > right.start for left, right in pairwise(ordered))
