"""Deadlines of the client: how long a server may take, and the watch that says when it took longer."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@frozen
class Deadlines:
    """Seconds that a server may take for each step. None is a bound on a whole blob: only silence is a failure."""

    connect: float = 2.0
    """Until there is a connection: a member on the same network answers within milliseconds, or not."""
    first_byte: float = 30.0
    """From the last byte of the request to the whole head of the answer; it has to hold a commit on a slow disk."""
    silence: float = 30.0
    """Between two pieces of a body, in either direction. Time in which we asked the server to wait does not count."""
    idle: float = 50.0
    """In the pool, unused: ten seconds less than our own front keeps a silent connection, so that we close it first."""


class Watch:
    """One deadline at a time, moved as often as one likes.

    A delayed call for each request costs more than the request's parsing. So there is at most one: it is left where it is
    when the deadline moves away, and looks at the deadline when it fires. Only a nearer deadline moves it.
    """

    def __init__(self, clock: IReactorTime, expired: Callable[[], None]) -> None:
        """Call `expired` when a deadline has passed."""
        self._clock = clock
        self._expired = expired
        self._due: float | None = None
        self._call: IDelayedCall | None = None
        self._call_at = 0.0

    def begin(self, seconds: float) -> None:
        """Let the deadline pass so many seconds from now, instead of any before."""
        self._due = self._clock.seconds() + seconds
        if self._call is None:
            self._call_in(seconds)
        elif self._call_at > self._due:
            self._call.reset(seconds)
            self._call_at = self._due

    def pause(self) -> None:
        """Let no deadline pass until the next `begin`."""
        self._due = None

    def end(self) -> None:
        """Let no deadline pass any more, and leave nothing in the reactor."""
        self._due = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _call_in(self, seconds: float) -> None:
        self._call = self._clock.callLater(seconds, self._look)
        self._call_at = self._call.getTime()

    def _look(self) -> None:
        self._call = None
        if self._due is None:
            return
        left = self._due - self._clock.seconds()
        if left > 0:
            self._call_in(left)
        else:
            self._due = None
            self._expired()
