"""One write to the members of a group: all at once, answered when enough have it, without waiting for the slowest.

The answer waits for all members, but no longer than `STRAGGLE` after enough copies are durable. A member that is slower
than that has `GIVE_UP` more to finish what it began; then its connection is dropped, and replication finishes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from sos.decisions.tally import Copied, CopyTally, Outcome, Refused
from sos.decisions.topology import Server
from sos.words.errors import SOSError
from sos.words.interfaces import Received

STRAGGLE = 0.25
"""Seconds that an acknowledgement waits for more copies than it needs (design, section 7)."""

GIVE_UP = 2.0
"""Seconds that a slower member gets beyond that (design, section 7)."""

Write = Callable[[Server], Awaitable[Received]]
"""Writes to one member. Raises an `SOSError` where the member does not take it."""


class GroupWrite:
    """Writes to several members and counts their answers. Used once."""

    def __init__(self, needed: int, clock: IReactorTime, slow: Callable[[Server], None]) -> None:
        """Wait for `needed` copies; tell `slow` of each member that was given up."""
        self._needed = needed
        self._clock = clock
        self._slow = slow
        self._outcomes: list[Outcome] = []
        self._running: dict[Server, Deferred[None]] = {}
        self._timer: IDelayedCall | None = None
        self._decided: Deferred[None] = Deferred(lambda _: self._cancel())

    async def run(self, servers: Sequence[Server], write: Write) -> CopyTally:
        """Write to all servers, and give the tally at the moment that it is decided."""
        for server in servers:
            writing = Deferred.fromCoroutine(self._outcome_of(server, write))
            self._running[server] = writing
        for server, writing in list(self._running.items()):
            writing.addBoth(self._ended, server)
        if servers:
            await self._decided
        return self._tally

    @property
    def _tally(self) -> CopyTally:
        return CopyTally(self._needed, tuple(self._outcomes))

    async def _outcome_of(self, server: Server, write: Write) -> None:
        try:
            received = await write(server)
        except SOSError as error:
            self._outcomes.append(Refused(server, error))
        else:
            self._outcomes.append(Copied(server, received.store))

    def _ended(self, result: Failure | None, server: Server) -> None:
        del self._running[server]
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._decide_with(result)
        elif not self._running:
            self._decide()
        elif self._timer is None and not self._decided.called and self._tally.is_met:
            self._timer = self._clock.callLater(STRAGGLE, self._stop_waiting)

    def _decide(self) -> None:
        self._stop_timer()
        if not self._decided.called:
            self._decided.callback(None)

    def _decide_with(self, failure: Failure) -> None:
        """Pass on a fault of ours, and let go of the members."""
        if not self._decided.called:
            self._decided.errback(failure)
        self._cancel()

    def _stop_waiting(self) -> None:
        self._timer = self._clock.callLater(GIVE_UP, self._give_up)
        self._decided.callback(None)

    def _give_up(self) -> None:
        for server in list(self._running):
            self._slow(server)
        self._cancel()

    def _cancel(self) -> None:
        self._stop_timer()
        for writing in list(self._running.values()):
            writing.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
