"""Turns: what is long is read in short steps, and users have theirs in between.

A round reads all of a store that a new member needs, by lists and batches that would each hold up whoever asks meanwhile.
So it ends a step after some of them, and the reactor does what waits. Where somebody has asked the store for a blob since
the last time, it rests for some times as long as the step took: users have most of the time while they are there, and a
round has all of it while they are not.

Rejected: to give way by going to a thread and back, which takes as long as reading a blob; and a rest of a fixed time, which
is much on a fast machine and little on a slow one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sos.store.listing import MOST_ENTRIES
from sos.words.blob import Entry

RESTS = 3
"""Times as long as a step took that its reader rests while users ask: a quarter of the time is left to it then."""

LONGEST_REST = 0.005
"""Seconds that a rest takes at most. A longer step waits for a slow disk, or the machine stood still; and sixteen batches of
thirty steps, each of which waits for those before it, must be there in 30 s (`Deadlines.first_byte`)."""

ENTRIES_A_STEP = 64
"""Entries that are listed in a step, each some ten microseconds; of several buckets together there are seldom more."""


class Turns:
    """Readers of a store that take turns, one at a time: of several at once, each would take some of every turn."""

    def __init__(self, clock: IReactorTime | None) -> None:
        """Wait by a clock; without one no turn ends before its time, which is for stores that nobody else uses."""
        self._clock = clock
        self._reading = DeferredLock()
        self._asked = 0
        self._noticed = 0
        self._began = 0.0

    def note_user(self) -> None:
        """Note that somebody has asked the store for a blob, or brought one."""
        self._asked += 1

    async def __aenter__(self) -> Turns:
        """Wait for the reader before, and begin a step."""
        await self._reading.acquire()
        self._noticed = self._asked
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Let the next reader begin."""
        self._reading.release()

    async def give_way(self) -> None:
        """End a step: give the result when others had their turn, and have gone on for a while if they are users."""
        if self._clock is None:
            return
        took = self._clock.seconds() - self._began
        await deferLater(self._clock, 0)
        noticed, self._noticed = self._noticed, self._asked
        if self._noticed != noticed:
            await deferLater(self._clock, min(max(RESTS * took, 0), LONGEST_REST))
        self._begin()

    async def listed(self, page: Callable[[str, int], Sequence[Entry]], after: str, limit: int) -> Sequence[Entry]:
        """List entries that ascend by ID, in steps; `page` gives the next few after an ID. Raises what it raises.

        Others have had their turn before the first step, and again after the last: somebody will write all of it down.
        """
        entries: list[Entry] = []
        left = max(0, min(limit, MOST_ENTRIES))
        async with self:
            while left > 0:
                await self.give_way()
                some = page(entries[-1].id if entries else after, min(left, ENTRIES_A_STEP))
                entries += some
                left = left - len(some) if len(some) == ENTRIES_A_STEP else 0
            await self.give_way()
        return entries

    def _begin(self) -> None:
        if self._clock is not None:
            self._began = self._clock.seconds()
