"""A shipment: the chunks of one object on their way to its members, while the next one still arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sos.decisions.guess import Guess
from sos.decisions.manifest import Chunk, chunk_id
from sos.decisions.tally import CopyTally
from sos.decisions.topology import Group
from sos.usecases.arrival import Part
from sos.usecases.copies import Copies
from sos.usecases.load import Load
from sos.words.blob import Entry, Kind

MOST_IN_MEMORY = 2
"""Chunks of one upload in memory beside the one that arrives: the next is sent while the members sync the one before.

Those that a slow member still takes count, too, so one upload has three chunks in memory at most (torture H53)."""


class Shipment:
    """Sends chunks, all to the groups of the first one's ID. Whoever makes one calls `cancel` in the end."""

    def __init__(self, copies: Copies, failed: Callable[[Failure], None]) -> None:
        """Make copies by `copies`; `failed` hears at once of the first chunk that nobody takes."""
        self.chunks: list[Chunk] = []
        """All that were sent, in their order."""
        self._copies = copies
        self._failed = failed
        self._guess = Guess()
        self._passed_over: set[str] = set()
        self._tallies: list[CopyTally] = []  # of chunks that slow members still take, and the worst of the others
        self._storing: dict[Deferred[None], None] = {}  # in their order, so that a run can be had again
        self._in_memory = 0
        self._error: Failure | None = None
        self._change: Deferred[None] | None = None

    async def when_there_is_room(self) -> None:
        """Wait until one more chunk may be in memory. Raises what became of an earlier one."""
        await self._until(lambda: self._in_memory < MOST_IN_MEMORY)

    def send(self, part: Part) -> None:
        """Begin to send a part as the next chunk; it is dropped when nobody needs it any more."""
        chunk = Chunk(chunk_id(part.sha256), part.size)
        self.chunks.append(chunk)
        self._in_memory += 1
        load = Load(part.source(), lambda: self._freed(part), self._guess.learn)
        storing = Deferred.fromCoroutine(self._store(chunk, load))
        self._storing[storing] = None
        storing.addBoth(self._ended, storing)

    async def when_stored(self) -> None:
        """Wait until all chunks are durable. Raises what became of the others."""
        await self._until(lambda: not self._storing)

    @property
    def copies(self) -> int:
        """The smallest number of copies that a chunk has now, 0 before the first has any."""
        return min((tally.copies for tally in self._tallies), default=0)

    def cancel(self) -> None:
        """Let go of the members that still take something."""
        for storing in list(self._storing):
            storing.cancel()

    # Inside

    async def _store(self, chunk: Chunk, load: Load) -> None:
        entry = Entry(id=chunk.id, kind=Kind.CHUNK, size=chunk.size, sha256=chunk.sha256)
        deliver = load.renew_or_send if self._guess.is_worth_asking() else load.send
        with load:
            tally = await self._copies.deliver(entry, deliver, self._groups(), has_home=False)
        self._keep(tally)

    def _keep(self, tally: CopyTally) -> None:
        """Keep a tally, and of those that do not change any more only the one with the fewest copies: chunks are many."""
        tallies = [*self._tallies, tally]
        complete = sorted((one for one in tallies if one.is_complete), key=lambda one: one.copies)
        self._tallies = [*complete[:1], *(one for one in tallies if not one.is_complete)]

    def _groups(self) -> Iterator[Group]:
        """Give the groups in their order, but last those that passed a chunk on: a full one stays full for a while."""
        order = self._copies.groups_for(self.chunks[0].id)
        for group in sorted(order, key=lambda group: group.name in self._passed_over):
            yield group
            self._passed_over.add(group.name)  # only where another one is asked for

    async def _until(self, condition: Callable[[], bool]) -> None:
        while self._error is None and not condition():
            self._change = Deferred()
            await self._change
        if self._error is not None:
            self._error.raiseException()

    def _ended(self, result: Failure | None, storing: Deferred[None]) -> None:
        self._storing.pop(storing, None)
        if isinstance(result, Failure) and not result.check(CancelledError) and self._error is None:
            self._error = result
            self._failed(result)
        self._changed()

    def _freed(self, part: Part) -> None:
        self._in_memory -= 1
        part.drop()
        self._changed()

    def _changed(self) -> None:
        change, self._change = self._change, None
        if change is not None:
            change.callback(None)
