"""Commands that end: the exit status of each way in which they can."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from sos.cli.finishing import INTERRUPTED, finish
from sos.words.errors import ServerUnavailable
from tests.support import failure_of, success_of


def ending_with(outcome: int | Exception) -> Callable[[Any], Coroutine[Any, Any, int]]:
    """Make a work that ends at once."""

    async def work(reactor: Any) -> int:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return work


def test_work_that_is_done_is_no_error() -> None:
    """The status is 0."""
    success_of(finish(MemoryReactorClock(), ending_with(0)))


@pytest.mark.parametrize("status", [1, 3])
def test_the_status_of_the_work_is_that_of_the_command(status: int) -> None:
    """Whatever it means there."""
    error = failure_of(finish(MemoryReactorClock(), ending_with(status)))
    assert isinstance(error, SystemExit) and error.code == status


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ServerUnavailable("http://a\x1b", "gone"), "sos: http://a\\x1b is out of reach: gone\n"),
        (PermissionError(13, "Permission denied", "x"), "sos: [Errno 13] Permission denied: 'x'\n"),
    ],
)
def test_what_goes_wrong_is_a_sentence(error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of which nothing can steer the terminal."""
    raised = failure_of(finish(MemoryReactorClock(), ending_with(error)))
    assert isinstance(raised, SystemExit) and raised.code == 1
    assert capsys.readouterr().err == sentence


def test_a_defect_is_not_hidden() -> None:
    """It is shown with its traceback."""
    assert isinstance(failure_of(finish(MemoryReactorClock(), ending_with(ZeroDivisionError()))), ZeroDivisionError)


def test_a_signal_cancels_the_work() -> None:
    """So that it can clean up, before the reactor stops."""
    reactor = MemoryReactorClock()
    waiting: Deferred[int] = Deferred()

    async def work(reactor: Any) -> int:
        return await waiting

    ended: list[Any] = []
    Deferred.fromCoroutine(finish(reactor, work)).addErrback(ended.append)
    [(stop, arguments, keywords)] = reactor.triggers["before"]["shutdown"]
    assert not ended
    stop(*arguments, **keywords)
    assert waiting.called
    assert ended[0].value.code == INTERRUPTED
