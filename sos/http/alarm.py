"""Alarms: a deadline that moves with each request, or with each piece of a body, at the cost of a timer now and then."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarm:
    """Calls back when a time has passed, unless it was set anew or cleared before.

    Setting it later, which is what each request does, only notes the time: the timer finds out when it fires. A delayed
    call for each request would cost more than parsing it. Only an earlier time moves the timer.
    """

    __slots__ = ("_at", "_call", "_clock", "_timer", "_timer_at")

    def __init__(self, clock: IReactorTime) -> None:
        """Wait for nothing yet."""
        self._clock = clock
        self._call: Callable[[], None] | None = None
        self._at = 0.0
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` in so many seconds, and nothing else before."""
        self._call = call
        self._at = self._clock.seconds() + seconds
        if self._timer is None:
            self._start(seconds)
        elif self._at < self._timer_at:
            self._timer.reset(seconds)
            self._timer_at = self._at

    def clear(self) -> None:
        """Wait for nothing."""
        self._call = None

    def stop(self) -> None:
        """Wait for nothing, and leave nothing in the reactor."""
        self._call = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, seconds: float) -> None:
        self._timer_at = self._at
        self._timer = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        left = self._at - self._clock.seconds()
        if self._call is None:
            return
        if left > 0:
            self._start(left)
            return
        call, self._call = self._call, None
        call()
