"""Running a coroutine: right here as far as it goes, and as a Deferred from the place where it has to wait.

Most handlers never wait, for a small blob is read in the reactor's thread. For these, a Deferred with all that belongs to it
is two microseconds in which nothing happens. For those that wait, `Deferred.fromCoroutine` costs as much again at each step:
it carries along the context of whoever called, of which nothing here makes use.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def begun(coroutine: Coroutine[Any, Any, None]) -> Deferred[None] | None:
    """Run a coroutine; None if it came to its end, else a Deferred of that end, which can be cancelled."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return _Running(coroutine).from_(awaited)


class _Running:
    """A coroutine that waits for one Deferred after the other."""

    __slots__ = ("_awaited", "_coroutine", "_ended")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._awaited: Deferred[Any] | None = None
        self._ended: Deferred[None] | None = None

    def from_(self, awaited: Deferred[Any]) -> Deferred[None]:
        """Run from the first thing on that is waited for, and give a Deferred of the end."""
        ended: Deferred[None] = Deferred(self._cancel)
        self._ended = ended
        self._wait_for(awaited)
        return ended

    def _wait_for(self, awaited: Deferred[Any]) -> None:
        self._awaited = awaited
        awaited.addCallbacks(self._go_on, self._go_on_failed)

    def _go_on(self, result: Any) -> None:
        self._step(self._coroutine.send, result)

    def _go_on_failed(self, failure: Failure) -> None:
        self._step(failure.throwExceptionIntoGenerator, self._coroutine)

    def _step(self, step: Callable[[Any], Any], argument: Any) -> None:
        try:
            awaited = step(argument)
        except StopIteration:
            self._end(None)
        except BaseException:  # whatever it is: it goes to whoever waits for the end
            self._end(Failure())
        else:
            self._wait_for(awaited)

    def _end(self, result: Failure | None) -> None:
        """Say that it has ended, to whoever still waits for that."""
        ended, self._ended = self._ended, None  # it knows us: both would stay until the collector of cycles comes by
        self._awaited = None
        if ended is not None:
            ended.callback(result)

    def _cancel(self, ended: Deferred[None]) -> None:
        """Fail what the coroutine waits for; it hears of that.

        It may have something left to do, or be at work just now, for what it does may make the client leave. Then nobody
        waits for its end any more.
        """
        if self._awaited is not None:
            self._awaited.cancel()
        if not ended.called:
            self._ended = None
            ended.callback(None)
