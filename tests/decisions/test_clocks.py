"""Clocks that are a day off most others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.clocks import DAY, astray

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, {}),
        ({"a": NOW}, {}),
        ({"a": NOW + DAY, "b": NOW - DAY}, {}),
        ({"a": NOW + DAY + 1}, {"a": DAY + 1}),
        ({"a": NOW, "b": NOW + 10 * DAY}, {"b": 10 * DAY}),
        ({"a": NOW, "b": NOW - 10 * DAY}, {"b": -10 * DAY}),
        ({"a": NOW + 9 * DAY, "b": NOW + 9 * DAY}, {}),  # it is ours that is wrong
    ],
)
def test_who_is_a_day_off_is_named(times: dict[str, float], expected: dict[str, float]) -> None:
    """With the seconds that it is ahead."""
    assert astray(times, NOW) == expected


@given(st.dictionaries(st.text(max_size=3), st.floats(NOW - DAY / 2, NOW + DAY / 2), max_size=6))
def test_those_who_agree_are_never_named(times: dict[str, float]) -> None:
    """Whatever a clock is off by within half a day."""
    assert astray(times, NOW) == {}
