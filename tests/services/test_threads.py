"""Threads for what blocks: calls go out and their results come back, and nobody is left behind."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from sos.services.threads import TURN, Threads, take_short_turns
from tests.support import failure_of, success_of

PATIENCE = 30
"""Seconds after which a thread that says nothing is not going to."""


@implementer(IReactorFromThreads)
class Turns:
    """A reactor that runs what threads hand to it when the test says so."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Any, tuple[Any, ...]]] = SimpleQueue()

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002
        """Keep a call."""
        self._calls.put((callable, args))

    def turn(self) -> None:
        """Wait for a call, and run it."""
        call, arguments = self._calls.get(timeout=PATIENCE)
        call(*arguments)


@pytest.fixture
def turns() -> Turns:
    """Give a reactor."""
    return Turns()


@pytest.fixture
def threads(turns: Turns) -> Iterator[Threads]:
    """Give two threads that run."""
    threads = Threads(turns, 2, "test")
    threads.startService()
    yield threads
    if threads.running:
        threads.stopService()


def test_a_result_comes_back_in_the_reactors_turn(turns: Turns, threads: Threads) -> None:
    """Not from within the thread: what waits for it is no thread's to touch."""
    sum_of: Deferred[int] = threads(pow, 2, 5)
    assert not sum_of.called
    turns.turn()
    assert success_of(sum_of) == 32


def test_a_failure_comes_back_too(turns: Turns, threads: Threads) -> None:
    """And the thread lives on."""
    failing = threads(int, "none")
    turns.turn()
    assert isinstance(failure_of(failing), ValueError)
    going_on = threads(int, "7")
    turns.turn()
    assert success_of(going_on) == 7


def test_whoever_stops_waiting_does_not_hurt_the_others(turns: Turns, threads: Threads) -> None:
    """The call goes on, and nobody hears its result."""
    held = threading.Event()
    left = threads(held.wait, PATIENCE)
    left.cancel()
    assert isinstance(failure_of(left), CancelledError)
    held.set()
    turns.turn()
    next_one = threads(int, "7")
    turns.turn()
    assert success_of(next_one) == 7


def test_no_more_calls_run_at_once_than_there_may_be_threads(turns: Turns, threads: Threads) -> None:
    """The third begins when one of two has ended."""
    begun: SimpleQueue[int] = SimpleQueue()
    held = [threading.Event() for _ in range(3)]

    def call(number: int) -> int:
        begun.put(number)
        held[number].wait(PATIENCE)
        return number

    calls = [threads(call, number) for number in range(3)]
    assert {begun.get(timeout=PATIENCE), begun.get(timeout=PATIENCE)} == {0, 1}
    assert begun.empty()
    held[1].set()
    assert begun.get(timeout=PATIENCE) == 2
    held[0].set()
    held[2].set()
    for _ in calls:
        turns.turn()
    assert [success_of(call) for call in calls] == [0, 1, 2]


def test_stopping_waits_for_all_calls(turns: Turns, threads: Threads) -> None:
    """Those that have not begun are made, too: somebody asked for them in time."""
    calls = [threads(int, str(number)) for number in range(10)]
    threads.stopService()
    for _ in calls:
        turns.turn()
    assert [success_of(call) for call in calls] == list(range(10))
    assert not [thread for thread in threading.enumerate() if "test" in thread.name]


def test_a_thread_keeps_the_interpreter_for_a_short_turn() -> None:
    """Else whoever is to be answered waits for it."""
    before = sys.getswitchinterval()
    try:
        take_short_turns()
        assert sys.getswitchinterval() == pytest.approx(TURN)
    finally:
        sys.setswitchinterval(before)
