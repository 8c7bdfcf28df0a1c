"""Copies: write an entry to the members of the first group that takes enough of them."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sos.decisions.tally import CopyTally, usual_min_copies
from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
from sos.usecases.group_write import GroupWrite
from sos.words.blob import Entry
from sos.words.errors import NotEnoughCopies, StoreFull
from sos.words.interfaces import IBodySource, Received

MOST_CLOCK_MOVES = 3
"""How often a writer moves its clock past a newer entry and sends again to all (design, section 5)."""


class Copies:
    """Makes copies, and promises only what is durable."""

    _log = Logger()

    def __init__(self, cluster: Cluster, clock: IReactorTime, min_copies: int | None = None) -> None:
        """Write to a cluster. `min_copies` is what an acknowledgement needs, None for what is usual for each group."""
        self._cluster = cluster
        self._versions = cluster.versions
        self._clock = clock
        self._min_copies = min_copies

    def needed_in(self, group: Group) -> int:
        """Give the copies that an acknowledgement needs in a group."""
        return usual_min_copies(group) if self._min_copies is None else self._min_copies

    async def store(self, entry: Entry, source: IBodySource, *, has_home: bool = True) -> CopyTally:
        """Write an entry under a version of its own, and give the tally of the group that took it.

        Where that is another group than the first it is marked as a stray, and a round carries it home; but not where it
        is said to have no home, for then it belongs wherever it is.

        Raises `BlobConflict` where a member holds other bytes under the ID, `StoreFull` where every group is full, and
        `NotEnoughCopies` where none can promise enough copies now.
        """
        await self._cluster.greeted()  # so that what is written is newer than all that any member in reach has seen
        tallies: list[CopyTally] = []
        for group in self._cluster.groups_for(entry.id):
            tally = await self._write(group, evolve(entry, is_stray=has_home and bool(tallies)), source)
            if tally.other_bytes is not None:
                raise tally.other_bytes
            if tally.is_met:
                return tally
            self._log.debug("Group {group} did not take {id}: {errors}", group=group.name, id=entry.id, errors=tally.errors)
            tallies.append(tally)
        raise _refusal(tallies)

    async def _write(self, group: Group, entry: Entry, source: IBodySource) -> CopyTally:
        """Write to a group; where a member holds something newer, move the clock past that and send again to all."""
        needed = self.needed_in(group)
        for _ in range(MOST_CLOCK_MOVES):
            versioned = evolve(entry, version=self._versions.tick())

            async def write(server: Server, versioned: Entry = versioned) -> Received:
                return await self._cluster.store_of(server).receive(versioned, source.body())

            writers = self._cluster.writers_of(group, needed)
            doubtful = frozenset(filter(self._cluster.is_resting, writers))
            writing = GroupWrite(needed, self._clock, self._cluster.failed, self._cluster.is_alive)
            tally = await writing.run(writers, write, doubtful)
            newest = tally.newest_held
            if newest is None or tally.other_bytes is not None or not self._cluster.follows(newest):
                return tally
        raise NotEnoughCopies(f"A blob server kept finding newer versions of {entry.id}; upload it again.")


def _refusal(tallies: list[CopyTally]) -> StoreFull | NotEnoughCopies:
    if any(tally.is_full for tally in tallies) and all(tally.is_full or not tally.outcomes for tally in tallies):
        return StoreFull("No blob server has room for this upload.")
    made = max((tally.copies for tally in tallies), default=0)
    needed = max((tally.needed for tally in tallies), default=1)
    return NotEnoughCopies(f"An upload needs {needed} durable copies here, and only {made} could be made now.")
