"""Running a coroutine: right here as far as it goes, and on from the place where it has to wait.

Most handlers never wait, for a small blob is read in the reactor's thread. For these, a Deferred with all that belongs to it
is two microseconds in which nothing happens. For those that wait, `Deferred.fromCoroutine` costs as much again at each step:
it carries along the context of whoever called, of which nothing here makes use. And nobody waits for their end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()


def _log_failure(failure: Failure) -> None:
    _log.failure("What was begun failed in a way that nobody foresaw", failure)


def begun(coroutine: Coroutine[Any, Any, None], failed: Callable[[Failure], None] = _log_failure) -> Running | None:
    """Run a coroutine; None if it came to its end, else what can cancel it.

    Raises what it raises right here. `failed` is told of what it raises later, but for a cancellation.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return Running(coroutine, awaited, failed)


class Running:
    """A coroutine that waits for one Deferred after the other."""

    __slots__ = ("_awaited", "_coroutine", "_failed")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], awaited: Deferred[Any], failed: Callable[[Failure], None]
    ) -> None:
        """Run it on from the first thing that it waits for."""
        self._coroutine = coroutine
        self._failed = failed
        self._wait_for(awaited)

    def cancel(self) -> None:
        """Fail what the coroutine waits for; it hears of that, and may have something left to do.

        One that is at work just now goes on: what it does may have made the client leave.
        """
        if self._awaited is not None:
            self._awaited.cancel()

    def _wait_for(self, awaited: Deferred[Any]) -> None:
        self._awaited: Deferred[Any] | None = awaited
        awaited.addCallbacks(self._go_on, self._go_on_failed)

    def _go_on(self, result: Any) -> None:
        self._step(self._coroutine.send, result)

    def _go_on_failed(self, failure: Failure) -> None:
        self._step(failure.throwExceptionIntoGenerator, self._coroutine)

    def _step(self, step: Callable[[Any], Any], argument: Any) -> None:
        self._awaited = None
        try:
            awaited = step(argument)
        except (StopIteration, CancelledError):
            pass
        except BaseException:  # whatever it is: somebody has to know
            self._failed(Failure())
        else:
            self._wait_for(awaited)
