"""Versions only grow, whatever the wall clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.words.blob import Version
from sos.words.errors import BadInput
from sos.words.versions import COUNTER_BITS, FURTHEST_AHEAD, LARGEST, HybridClock, seconds_of

NOW = 1_700_000_000.0
READING = int(NOW * 1000) << COUNTER_BITS


@given(st.lists(st.floats(0, 2e9), min_size=1, max_size=30))
def test_ticks_only_grow(times: list[float]) -> None:
    """A wall clock that jumps back and forth changes nothing in their order."""
    readings = iter(times)
    clock = HybridClock(lambda: next(readings))
    ticks = [clock.tick() for _ in times]
    assert ticks == sorted(set(ticks))


def test_a_tick_is_the_wall_clock_where_that_is_ahead() -> None:
    """So that a version means a time to people."""
    assert HybridClock(lambda: NOW).tick() == READING
    assert seconds_of(Version(READING)) == int(NOW)


def test_a_tick_is_newer_than_what_was_seen() -> None:
    """However far ahead another's clock is."""
    clock = HybridClock(lambda: NOW)
    clock.observe(Version(READING + 10**12))
    assert clock.tick() == READING + 10**12 + 1


def test_an_older_version_does_not_turn_the_clock_back() -> None:
    """It was seen, and that is all."""
    clock = HybridClock(lambda: NOW, Version(READING + 5))
    clock.observe(Version(3))
    assert clock.last == READING + 5


def test_a_clock_begins_behind_its_last() -> None:
    """A restart under a wall clock that fell goes on where it was."""
    assert HybridClock(lambda: 0.0, Version(77)).tick() == 78


@pytest.mark.parametrize("version", [-1, READING + FURTHEST_AHEAD + 1, 2**63, 2**64])
def test_a_version_that_no_clock_made_is_refused(version: int) -> None:
    """And leaves the clock where it was."""
    clock = HybridClock(lambda: NOW)
    with pytest.raises(BadInput):
        clock.observe(Version(version))
    assert clock.last == 0


@pytest.mark.parametrize("version", [0, READING, READING + FURTHEST_AHEAD])
def test_a_version_within_a_hundred_years_is_taken(version: int) -> None:
    """The limit itself, too."""
    HybridClock(lambda: NOW).check(Version(version))


def test_no_version_outgrows_the_database() -> None:
    """Not even where the wall clock says the year 10000."""
    clock = HybridClock(lambda: 253_402_300_800.0)
    clock.check(LARGEST)
    with pytest.raises(BadInput):
        clock.check(Version(LARGEST + 1))
