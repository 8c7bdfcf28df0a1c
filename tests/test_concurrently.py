"""Several coroutines at once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from sos.concurrently import concurrently
from tests.support import failure_of, success_of


async def awaiting(deferred: Deferred[int]) -> int:
    """Wait for a Deferred."""
    return await deferred


def test_results_come_in_the_order_of_the_coroutines() -> None:
    """Whichever ends first."""
    one: Deferred[int] = Deferred()
    two: Deferred[int] = Deferred()
    running = Deferred.fromCoroutine(concurrently([awaiting(one), awaiting(two)]))
    two.callback(2)
    one.callback(1)
    assert success_of(running) == [1, 2]


def test_a_failure_comes_as_it_is_and_ends_the_others() -> None:
    """Nothing goes on behind the back of whoever waited."""
    one: Deferred[int] = Deferred()
    two: Deferred[int] = Deferred()
    running = Deferred.fromCoroutine(concurrently([awaiting(one), awaiting(two)]))
    one.errback(KeyError("x"))
    assert isinstance(failure_of(running), KeyError)
    assert two.called


def test_a_cancellation_reaches_all_and_is_one() -> None:
    """A service that stops in mid-round must not log a failure."""
    one: Deferred[int] = Deferred()
    two: Deferred[int] = Deferred()
    running = Deferred.fromCoroutine(concurrently([awaiting(one), awaiting(two)]))
    running.cancel()
    assert isinstance(failure_of(running), CancelledError)
    assert one.called
    assert two.called
