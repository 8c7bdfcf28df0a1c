"""One write to the members of a group: all at once, answered when enough have it, without waiting for the slowest.

What is written is one blob, or some that go together: then there are enough copies when there are of each.

The answer waits for all members, but no longer than `STRAGGLE` after enough copies are durable. A member that is slower
than that has `GIVE_UP` more to finish what it began; then its connection is dropped, and replication finishes it.

Members that are known not to answer are written to only where the others are too few. They get `DOUBT`: they may be back,
but not every upload must wait for a group that hangs, when another group can take it.

Any other member may take its time, for a large blob over a slow line or for a commit on a slow disk, as long as it is alive:
one that is silent for `DOUBT` is asked for a sign of life beside the write, again and again, and is given up when it gives
none. To bound the write itself would break uploads that are merely slow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from sos.decisions.tally import Copied, CopyTally, Outcome, Refused
from sos.decisions.topology import Server
from sos.words.errors import ServerUnavailable, SOSError
from sos.words.interfaces import Received

STRAGGLE = 0.25
"""Seconds that an acknowledgement waits for more copies than it needs (design, section 7)."""

GIVE_UP = 2.0
"""Seconds that a slower member gets beyond that (design, section 7)."""

DOUBT = 5.0
"""Seconds for a member that has not answered before: its upload can go to another group, or be sent again."""

Write = Callable[[Server], Awaitable[Sequence[Received | SOSError]]]
"""Writes to one member, and gives what came of each blob. Raises an `SOSError` where the member takes none of them."""


class GroupWrite:
    """Writes to several members and counts their answers. Used once."""

    def __init__(
        self,
        count: int,
        needed: int,
        clock: IReactorTime,
        slow: Callable[[Server], None],
        is_alive: Callable[[Server], Awaitable[bool]],
    ) -> None:
        """Write `count` blobs, and wait for `needed` copies of each.

        `slow` is told of each member that was given up, and `is_alive` is asked of a silent one.
        """
        self._needed = needed
        self._clock = clock
        self._slow = slow
        self._is_alive = is_alive
        self._asking: list[Deferred[None]] = []
        self._outcomes: list[list[Outcome]] = [[] for _ in range(count)]
        self._tallies: list[CopyTally] = []
        self._running: dict[Server, Deferred[None]] = {}
        self._timer: IDelayedCall | None = None
        self._doubt: IDelayedCall | None = None
        self._decided: Deferred[None] = Deferred(lambda _: self._cancel())

    async def run(self, servers: Sequence[Server], write: Write, doubtful: Collection[Server] = ()) -> list[CopyTally]:
        """Write to all servers; give the tally of each blob when it is decided. `doubtful` servers have less time.

        A tally goes on to count what slower members answer.
        """
        self._tallies = [CopyTally(self._needed, outcomes, len(servers)) for outcomes in self._outcomes]
        for server in servers:
            writing = Deferred.fromCoroutine(self._outcome_of(server, write))
            self._running[server] = writing
        for server, writing in list(self._running.items()):
            writing.addBoth(self._ended, server)
        if servers:
            if not self._decided.called:
                self._doubt = self._clock.callLater(DOUBT, self._stop_hoping, doubtful)
            await self._decided
        return self._tallies

    async def _outcome_of(self, server: Server, write: Write) -> None:
        try:
            results = await write(server)
        except SOSError as error:
            self._refused(server, error)
        else:
            for outcomes, result in zip(self._outcomes, results, strict=True):
                outcomes.append(Refused(server, result) if isinstance(result, SOSError) else Copied(server, result.store))

    def _refused(self, server: Server, error: SOSError) -> None:
        for outcomes in self._outcomes:
            outcomes.append(Refused(server, error))

    def _ended(self, result: Failure | None, server: Server) -> None:
        del self._running[server]
        if isinstance(result, Failure) and not result.check(CancelledError):
            self._decide_with(result)
        elif not self._running:
            self._decide()
        elif self._timer is None and not self._decided.called and all(tally.is_met for tally in self._tallies):
            self._timer = self._clock.callLater(STRAGGLE, self._stop_waiting)

    def _stop_hoping(self, doubtful: Collection[Server]) -> None:
        """Let go of those that were known not to answer, and still do not; ask the others for a sign of life."""
        self._doubt = self._clock.callLater(DOUBT, self._stop_hoping, ())
        for server in list(self._running):
            if server in doubtful:
                self._give_up_on(server)
            elif server in self._running:  # a fault of ours may have ended them all meanwhile
                asking = Deferred.fromCoroutine(self._look_after(server))
                self._asking.append(asking)
                asking.addErrback(self._fail)

    async def _look_after(self, server: Server) -> None:
        if not await self._is_alive(server):
            self._give_up_on(server)

    def _give_up_on(self, server: Server) -> None:
        writing = self._running.get(server)
        if writing is not None:  # it may have answered, or a fault of ours may have ended them all meanwhile
            self._slow(server)
            self._refused(server, ServerUnavailable(server.url, "it did not answer in time"))
            writing.cancel()

    def _fail(self, failure: Failure) -> None:
        """Pass on a fault of ours; a question that nobody waits for any more is none."""
        if not failure.check(CancelledError):
            self._decide_with(failure)

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
        self._stop_timer()
        self._timer = self._clock.callLater(GIVE_UP, self._give_up)
        self._decided.callback(None)

    def _give_up(self) -> None:
        for server in list(self._running):
            self._give_up_on(server)

    def _cancel(self) -> None:
        self._stop_timer()
        for writing in list(self._running.values()):
            writing.cancel()

    def _stop_timer(self) -> None:
        for timer in (self._timer, self._doubt):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._doubt = None
        asking, self._asking = self._asking, []
        for question in asking:
            question.cancel()
