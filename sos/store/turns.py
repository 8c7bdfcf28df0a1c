"""Turns: what is long is done piece by piece, and users have theirs in between.

A round reads all of a store that a new member needs, by lists and batches that would each hold up whoever asks meanwhile,
and the scrub looks at everything. So a step ends after a few pieces, and the reactor does what waits. Where somebody has
asked the store for a blob since the last time, the next step has one piece, and before it there is a rest of some times as
long as the last one took: users have most of the time while they are there, and a round has all of it while they are not.

Rejected: to give way by going to a thread and back, which takes as long as reading a blob; to do it all in a thread, which
holds the interpreter as long as it likes once it has got it; and a rest of a fixed time, which is much on a fast machine and
little on a slow one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sos.store.listing import MOST_ENTRIES
from sos.words.blob import Entry

RESTS = 3
"""Times as long as a step took that its reader rests while users ask: a quarter of the time is left to it then."""

LONGEST_REST = 0.005
"""Seconds that a rest takes at most. A longer step waits for a slow disk, or the machine stood still; and sixteen batches of
32 pieces, each of which waits for those before it, must be there in 30 s (`Deadlines.first_byte`)."""

PIECES = 4
"""Pieces of a step while nobody asks. Each is to take as long as reading a blob, 50 to 150 microseconds; a turn takes 20."""

ENTRIES_A_PIECE = 8
"""Entries that are listed in a piece. To begin to list takes as long as a few of them."""

T = TypeVar("T")


class Turns:
    """Readers of a store that take turns, one at a time: of several at once, each would take some of every turn.

    It is entered by a reader, who gives way behind each piece. Others have their turn before the first, and after the last.
    """

    def __init__(self, clock: IReactorTime | None) -> None:
        """Wait by a clock; without one no turn ends before its time, which is for stores that nobody else uses."""
        self._clock = clock
        self._reading = DeferredLock()
        self._asked = 0
        self._noticed = 0
        self._has_users = False
        self._pieces = 0  # of this step
        self._began = 0.0

    def note_user(self) -> None:
        """Note that somebody has asked the store for a blob, or brought one."""
        self._asked += 1

    async def __aenter__(self) -> Turns:
        """Wait for the reader before, and for others."""
        await self._reading.acquire()
        self._noticed = self._asked
        self._begin()
        try:
            await self._end_step()
        except BaseException:  # cancelled
            self._reading.release()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Let others go on, and then the next reader."""
        try:
            if kind is None and self._pieces:
                await self._end_step()
        finally:
            self._reading.release()

    async def give_way(self) -> None:
        """End a piece, and where that is enough a step: users have not long to wait then."""
        self._pieces += 1
        if self._has_users or self._pieces >= PIECES:
            await self._end_step()

    async def each(self, pieces: Iterable[T]) -> list[T]:
        """Make some things, each of which is a piece. Raises what that raises."""
        made = []
        async with self:
            for piece in pieces:
                made.append(piece)
                await self.give_way()
        return made

    async def listed(self, page: Callable[[str, int], Sequence[Entry]], after: str, limit: int) -> Sequence[Entry]:
        """List entries that ascend by ID; `page` gives the next few after an ID. Raises what it raises."""
        pages = await self.each(_pages(page, after, max(0, min(limit, MOST_ENTRIES))))
        return [entry for entries in pages for entry in entries]

    async def _end_step(self) -> None:
        """Give the result when others had their turn, and have gone on for a while if they are users."""
        if self._clock is None:
            return
        took = self._clock.seconds() - self._began
        await deferLater(self._clock, 0)
        self._has_users, self._noticed = self._asked != self._noticed, self._asked
        if self._has_users:
            await deferLater(self._clock, min(max(RESTS * took, 0), LONGEST_REST))
        self._begin()

    def _begin(self) -> None:
        self._pieces = 0
        if self._clock is not None:
            self._began = self._clock.seconds()


def _pages(page: Callable[[str, int], Sequence[Entry]], after: str, left: int) -> Iterator[Sequence[Entry]]:
    while left > 0:
        entries = page(after, min(left, ENTRIES_A_PIECE))
        yield entries
        if len(entries) < ENTRIES_A_PIECE:
            return
        after, left = entries[-1].id, left - len(entries)
