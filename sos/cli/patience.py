"""Patience: waiting that ends when nothing has moved for too long, whatever the whole may take."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sos.http.alarm import Alarm

T = TypeVar("T")


class Patience:
    """Waits for one thing at a time."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        """Give up after so many seconds in which nothing moved."""
        self.is_over = False
        """Whether the last wait ended for want of patience."""
        self._seconds = seconds
        self._alarm = Alarm(clock)
        self._waiting: Deferred[object] | None = None

    async def wait_for(self, waiting: Deferred[T]) -> T:
        """Wait for a Deferred, and cancel it when patience is over."""
        self.is_over = False
        self._waiting = waiting  # type: ignore[assignment]
        self._alarm.set(self._seconds, self._give_up)
        try:
            return await waiting
        finally:
            self._waiting = None
            self._alarm.stop()

    def moved(self) -> None:
        """Note that something has moved."""
        if self._waiting is not None:
            self._alarm.set(self._seconds, self._give_up)

    def _give_up(self) -> None:
        self.is_over = True
        if self._waiting is not None:
            self._waiting.cancel()
