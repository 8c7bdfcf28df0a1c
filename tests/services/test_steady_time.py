"""Real reactors do not wait by the wall clock."""

from __future__ import annotations

import time

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock

from sos.services.steady_time import go_by_steady_time


def test_a_real_reactor_waits_by_the_clock_that_only_counts() -> None:
    """Torture F14: what is scheduled then is due by it, too."""
    reactor = SelectReactor()
    assert reactor.seconds is time.time, "Twisted has learnt it: this can go"
    go_by_steady_time(reactor)
    before = time.monotonic()
    call = reactor.callLater(5, lambda: None)
    assert before + 5 <= call.getTime() <= time.monotonic() + 5
    call.cancel()


def test_a_reactor_for_which_calls_wait_is_left_alone() -> None:
    """They would be due in fifty years."""
    reactor = SelectReactor()
    call = reactor.callLater(5, lambda: None)
    go_by_steady_time(reactor)
    assert reactor.seconds is time.time
    call.cancel()


def test_a_clock_of_a_test_is_left_alone() -> None:
    """It stands still until the test moves it."""
    clock = Clock()
    go_by_steady_time(clock)
    clock.advance(3)
    assert clock.seconds() == 3
