"""A handler that is run: at once, and no further than it can go."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial._synctest import _logObserver

from sos.begun import begun


def test_what_never_waits_is_over_at_once() -> None:
    """And there is nothing to cancel."""
    done: list[str] = []

    async def handler() -> None:
        done.append("done")

    assert begun(handler()) is None
    assert done == ["done"]


def test_what_waits_goes_on_with_what_it_waited_for() -> None:
    """As often as it waits, also for what is there already, and through coroutines that it calls."""
    waits: list[Deferred[int]] = [Deferred(), Deferred(), Deferred()]
    heard: list[int] = []

    async def next_number() -> int:
        return await waits[len(heard)]

    async def handler() -> None:
        for _ in waits:
            heard.append(await next_number())

    waits[1].callback(1)
    running = begun(handler())
    assert running is not None and heard == []
    waits[0].callback(0)
    assert heard == [0, 1]
    waits[2].callback(2)
    assert heard == [0, 1, 2]


def test_a_failure_comes_out_where_it_was_waited_for() -> None:
    """The handler may catch it and wait again; of what it does not catch, who began it is told."""
    waits: list[Deferred[None]] = [Deferred(), Deferred()]
    caught: list[BaseException] = []

    async def handler() -> None:
        try:
            await waits[0]
        except KeyError as error:
            caught.append(error)
        await waits[1]

    failures: list[BaseException | None] = []
    begun(handler(), lambda failure: failures.append(failure.value))
    waits[0].errback(KeyError("first"))
    assert [str(error) for error in caught] == ["'first'"] and not failures
    waits[1].errback(ValueError("second"))
    assert [str(error) for error in failures] == ["second"]


def test_a_failure_that_nobody_asked_for_is_logged() -> None:
    """It is a fault of ours."""
    wait: Deferred[None] = Deferred()

    async def handler() -> None:
        await wait

    begun(handler())
    wait.errback(ZeroDivisionError("unforeseen"))
    (failure,) = _logObserver.flushErrors(ZeroDivisionError)
    assert str(failure.value) == "unforeseen"


@pytest.mark.parametrize("steps", [0, 1])
def test_a_cancellation_reaches_what_is_waited_for(steps: int) -> None:
    """In the first step and in a later one; the handler hears of it, and may let it pass."""
    cancelled: list[int] = []

    def waiting(number: int) -> Deferred[None]:
        return Deferred(lambda _: cancelled.append(number))

    waits = [waiting(0), waiting(1)]
    heard: list[BaseException] = []

    async def handler() -> None:
        try:
            await waits[0]
            await waits[1]
        except CancelledError as error:
            heard.append(error)
            raise

    failures: list[Failure] = []
    running = begun(handler(), failures.append)
    assert running is not None
    for wait in waits[:steps]:
        wait.callback(None)
    running.cancel()
    assert cancelled == [steps] and len(heard) == 1 and not failures
    running.cancel()  # there is nothing left to cancel
    assert cancelled == [steps] and len(heard) == 1


def test_what_fails_at_once_raises() -> None:
    """Whoever runs it has a guard of its own."""

    async def handler() -> None:
        raise KeyError("at once")

    with pytest.raises(KeyError):
        begun(handler())


def test_a_coroutine_may_be_cancelled_by_what_it_does() -> None:
    """As a handler is that drops its own connection: it goes on to its end, and nothing has failed."""
    wait: Deferred[None] = Deferred()
    done: list[str] = []

    async def handler() -> None:
        await wait
        assert running is not None
        running.cancel()
        done.append("done")

    failures: list[Failure] = []
    running = begun(handler(), failures.append)
    wait.callback(None)
    assert done == ["done"] and not failures


def test_a_coroutine_may_have_something_left_to_do_when_it_is_cancelled() -> None:
    """Whoever cancelled it does not wait for that."""
    waits: list[Deferred[None]] = [Deferred(), Deferred()]
    done: list[str] = []

    async def handler() -> None:
        try:
            await waits[0]
        finally:
            await waits[1]
            done.append("done")

    running = begun(handler())
    assert running is not None
    running.cancel()
    assert done == []
    waits[1].callback(None)
    assert done == ["done"]
