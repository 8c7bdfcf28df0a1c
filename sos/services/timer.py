"""Timers: rounds that come again and again, whatever becomes of one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.application.internet import TimerService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure


class RoundTimer(TimerService):
    """Runs a round soon and then every so many seconds; a bad one is logged, and stopping cuts one short."""

    _log = Logger()

    def __init__(
        self,
        name: str,
        every: float,
        round_: Callable[[], Awaitable[object]],
        clock: IReactorTime,
        first_after: float = 0.0,
    ) -> None:
        """Run `round_` every so many seconds; `name` is what the log calls it.

        The first comes at the start, or so many seconds later: what costs much should not come with each restart.
        """
        super().__init__(every, self._begin)
        self.clock = self._clock = clock
        self._name = name
        self._round = round_
        self._wait = first_after
        self._current: Deferred[Any] | None = None

    def _begin(self) -> Deferred[Any]:
        self._current = Deferred.fromCoroutine(self._run())
        return self._current.addErrback(self._log_failure)

    async def _run(self) -> None:
        if self._wait:
            await deferLater(self._clock, self._wait)
            self._wait = 0.0
        await self._round()

    def _log_failure(self, failure: Failure) -> None:
        """Log what ended a round: `TimerService` would fall silent for ever. A round cut short is no failure."""
        if failure.check(CancelledError) is None:
            self._log.failure("A {name} round failed; the next one comes all the same", failure, name=self._name)

    def stopService(self) -> Deferred[None]:
        """Cut the running round short, and run no more."""
        if self._current is not None:
            self._current.cancel()
        stopped: Deferred[None] = super().stopService()
        return stopped
