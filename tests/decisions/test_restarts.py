"""How long the place of a worker stays empty."""

from __future__ import annotations

import pytest

from sos.decisions.restarts import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Restarts


def test_a_worker_that_ran_well_is_started_again_at_once() -> None:
    """However it ended."""
    assert Restarts().pause_after(STEADY, 1.0) == 0


def test_the_pauses_of_one_that_ends_at_once_grow_up_to_a_limit() -> None:
    """Each is twice the one before."""
    restarts = Restarts()
    pauses = [restarts.pause_after(0.1, 1.0) for _ in range(10)]
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_once_it_runs_well_the_past_is_forgotten() -> None:
    """The next early end counts as the first."""
    restarts = Restarts()
    for _ in range(5):
        restarts.pause_after(0.1, 1.0)
    restarts.pause_after(STEADY, 1.0)
    assert restarts.pause_after(0.1, 1.0) == FIRST_PAUSE


@pytest.mark.parametrize("early_ends", [0, 3, 100, 100_000])
def test_chance_takes_away_up_to_a_half(early_ends: int) -> None:
    """So workers with one illness do not all start in one moment; and no number of ends is too large."""
    shortest = Restarts(early_ends).pause_after(0.1, 0.0)
    longest = Restarts(early_ends).pause_after(0.1, 1.0)
    assert 0 < shortest == longest / 2 <= LONGEST_PAUSE / 2
