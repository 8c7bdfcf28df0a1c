"""Places that are to be looked into."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.worklist import Worklist

PAUSE = 10.0


def test_what_many_say_is_done_once() -> None:
    """In the order in which it was first said."""
    worklist: Worklist[str] = Worklist(5, PAUSE)
    for place in "abacab":
        worklist.add(place, 0.0)
    assert worklist.take(1.0) == ["a", "b", "c"]
    assert worklist.take(2.0) == []


def test_a_place_rests_once_it_was_taken_and_nothing_said_meanwhile_is_lost() -> None:
    """Looking at it did not help, or something new was found: nobody knows, so it is looked at again, and not at once."""
    worklist: Worklist[str] = Worklist(5, PAUSE)
    worklist.add("a", 0.0)
    assert worklist.take(1.0) == ["a"]
    worklist.add("a", 2.0)
    assert worklist.take(1.0 + PAUSE - 0.1) == []
    assert worklist.take(1.0 + PAUSE) == ["a"]


def test_a_place_that_has_rested_takes_up_no_room() -> None:
    """Else a full list would stay full."""
    worklist: Worklist[str] = Worklist(1, PAUSE)
    worklist.add("a", 0.0)
    assert worklist.take(0.0) == ["a"]
    worklist.add("b", 1.0)
    assert worklist.take(PAUSE) == []
    assert len(worklist) == 0
    worklist.add("b", PAUSE)
    assert worklist.take(PAUSE) == ["b"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 8), st.booleans()), max_size=40))
def test_it_never_holds_too_many_and_gives_no_place_within_its_pause(steps: list[tuple[str, float, bool]]) -> None:
    """Whatever is said, and whenever somebody takes."""
    worklist: Worklist[str] = Worklist(3, PAUSE)
    now, taken_at = 0.0, dict[str, float]()
    for place, seconds, is_taken in steps:
        now += seconds
        worklist.add(place, now)
        assert len(worklist) <= 3
        for due in worklist.take(now) if is_taken else ():
            assert now - taken_at.get(due, -PAUSE) >= PAUSE
            taken_at[due] = now
