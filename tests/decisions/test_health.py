"""Who is left alone, and for how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.health import FIRST_REST, LONGEST_REST, Health
from sos.decisions.topology import Server

A, B, C = (Server(f"http://{name}:1") for name in "abc")


def healthy() -> Health:
    """Make a health without jitter."""
    return Health(lambda: 0.5)


def test_a_member_that_failed_is_asked_last_until_it_answers() -> None:
    """The order of the others, and of those that rest, stays."""
    health = healthy()
    health.failed(A, 0)
    assert health.is_resting(A)
    assert health.rested_last([A, B, C]) == [B, C, A]
    health.answered(A)
    assert not health.is_resting(A)
    assert health.rested_last([A, B, C]) == [A, B, C]


def test_rests_grow_up_to_a_limit() -> None:
    """Each failed probe doubles the time to the next."""
    health, now, rests = healthy(), 0.0, []
    for _ in range(8):
        health.failed(A, now)
        begin = now
        while not health.due(now):
            now += 0.25
        rests.append(now - begin)
    assert rests == [FIRST_REST, 2, 4, 8, 16, LONGEST_REST, LONGEST_REST, LONGEST_REST]


def test_failures_within_a_rest_say_nothing_new() -> None:
    """A hundred requests under way when a host dies are one failure."""
    health = healthy()
    for _ in range(100):
        health.failed(A, 0)
    assert health.due(FIRST_REST) == [A]


@given(st.floats(0, 1), st.integers(1, 12))
def test_jitter_is_half_of_the_rest_either_way(chance: float, failures: int) -> None:
    """No member is probed in less than half its time, none is left alone for more than half as long again."""
    health, now = Health(lambda: chance), 0.0
    for _ in range(failures):
        health.failed(A, now)
        now += 2 * LONGEST_REST
    begin = now
    health.failed(A, begin)
    rest = min(FIRST_REST * 2.0**failures, LONGEST_REST)
    assert health.due(begin + 0.499 * rest) == []
    assert health.due(begin + 1.501 * rest) == [A]


def test_a_member_may_be_gone_for_months() -> None:
    """Its rest stays what it is: 2 to the power of some thousands is no number of seconds."""
    health, now = healthy(), 0.0
    for _ in range(5000):
        health.failed(A, now)
        now += LONGEST_REST
    health.failed(A, now)
    assert health.due(now + LONGEST_REST) == [A]
