"""Conditional requests, in all their pairs."""

from __future__ import annotations

import pytest

from sos.decisions.wire import http_date
from sos.http.conditions import Validators, Verdict

NOW = 1_700_000_000
HELD = Validators(b'"abc"', NOW)
SAME, EARLIER, LATER = http_date(NOW), http_date(NOW - 10), http_date(NOW + 10)
SEND, NOT_MODIFIED, FAILED = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, SEND),
        ({b"if-none-match": b'"abc"'}, NOT_MODIFIED),
        ({b"if-none-match": b'W/"abc"'}, NOT_MODIFIED),
        ({b"if-none-match": b'"x", "abc"'}, NOT_MODIFIED),
        ({b"if-none-match": b"*"}, NOT_MODIFIED),
        ({b"if-none-match": b'"x"'}, SEND),
        ({b"if-none-match": b"abc"}, SEND),
        ({b"if-none-match": b'"x", W/"ab\x00c'}, SEND),
        ({b"if-match": b'"abc"'}, SEND),
        ({b"if-match": b"*"}, SEND),
        ({b"if-match": b'W/"abc"'}, FAILED),
        ({b"if-match": b'"x"'}, FAILED),
        ({b"if-modified-since": SAME}, NOT_MODIFIED),
        ({b"if-modified-since": LATER}, NOT_MODIFIED),
        ({b"if-modified-since": EARLIER}, SEND),
        ({b"if-modified-since": b"yesterday"}, SEND),
        ({b"if-modified-since": b"Mon, 99 Foo 2020 00:00:00 GMT"}, SEND),
        ({b"if-unmodified-since": SAME}, SEND),
        ({b"if-unmodified-since": EARLIER}, FAILED),
        ({b"if-none-match": b'"x"', b"if-modified-since": LATER}, SEND),
        ({b"if-none-match": b'"abc"', b"if-modified-since": EARLIER}, NOT_MODIFIED),
        ({b"if-match": b'"abc"', b"if-unmodified-since": EARLIER}, SEND),
        ({b"if-match": b'"abc"', b"if-none-match": b'"abc"'}, NOT_MODIFIED),
        ({b"if-match": b'"x"', b"if-none-match": b'"abc"'}, FAILED),
    ],
)
def test_conditions_are_judged_in_the_order_of_the_rfc(headers: dict[bytes, bytes], verdict: Verdict) -> None:
    """RFC 9110, section 13.2.2: entity tags before dates, and a date that cannot be read means nothing."""
    assert HELD.judge(headers.get) is verdict


@pytest.mark.parametrize(
    ("if_range", "allowed"),
    [
        (None, True),
        (b'"abc"', True),
        (SAME, True),
        (b'W/"abc"', False),
        (b'"x"', False),
        (EARLIER, False),
        (LATER, False),
        (b"?", False),
    ],
)
def test_a_range_needs_exactly_the_state_that_if_range_names(if_range: bytes | None, allowed: bool) -> None:
    """A weak tag or another date means that the whole is sent."""
    assert HELD.allow_range(if_range) is allowed


def test_without_a_date_the_date_conditions_mean_nothing() -> None:
    """What an old-contract server holds has no date, so it is sent."""
    undated = Validators(b'"abc"', None)
    assert undated.judge({b"if-modified-since": LATER}.get) is SEND
    assert undated.judge({b"if-unmodified-since": EARLIER}.get) is SEND
