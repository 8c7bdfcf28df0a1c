"""Clearance: drops tombstones that nobody needs any more.

A tombstone is there so that no copy that missed the delete comes back. It may go when no such copy can be left: every member
of the group holds it, for longer than its tombstone age by that member's own clock, and every member of every other group
has been asked and has nothing live under the ID. Whoever is out of reach could be the one that has the copy; so there is no
clearance in a round that was not complete. Were a tombstone dropped by its age alone, a member that was away for
longer would bring the object back.

What another group has under the ID, live and older, was out of reach when the object was deleted, and was at home there when
it came: it gets the tombstone, and is asked again in the next round.

When a member drops a tombstone and another fails to, the next round brings it back to all, and it is kept for another while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.logger import Logger

from sos.concurrently import concurrently, for_each
from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobNotFound, SOSError
from sos.words.interfaces import IDigested

MOST = 1000
"""Tombstones looked at in a round and a group: what is old has time."""

Named = tuple[BlobID, Version]


class Clearance:
    """Looks through the old tombstones of the groups, round by round, and drops what it can."""

    _log = Logger()

    def __init__(self, cluster: Cluster, at_once: int, most: int = MOST) -> None:
        """Look at `most` tombstones of a group in a round, and ask for `at_once` of them at a time."""
        self._cluster = cluster
        self._at_once = at_once
        self._most = most
        self._looked_to: dict[str, BlobID] = {}

    async def of(self, group: Group, members: Sequence[Server]) -> int:
        """Drop tombstones of a group, whose `members` completed a round just now; give the number that are gone.

        It goes on behind what was looked at in the round before, so that those that have to stay hold up no others.
        """
        try:
            old = await self._old_everywhere(group, members)
            unneeded = await self._unneeded(group, old)
            return await self._drop(members, unneeded) if unneeded else 0
        except SOSError as error:
            self._log.warn("Tombstones of group {group} were not dropped: {error}", group=group.name, error=error)
            return 0

    async def _old_everywhere(self, group: Group, members: Sequence[Server]) -> list[Named]:
        after = self._looked_to.pop(group.name, "")
        first, *others = [self._digested(server) for server in members]
        page = await first.old_tombstones(after, self._most)
        if not page:
            return []
        if len(page) == self._most:
            self._looked_to[group.name] = page[-1].id
        held = await concurrently(self._old_at(member, after, page[-1].id) for member in others)
        return sorted(_named(page).intersection(*held))

    async def _old_at(self, member: IDigested, after: str, to: str) -> set[Named]:
        """Give a member's old tombstones behind a name, as far as another one."""
        found: set[Named] = set()
        while after < to:
            page = await member.old_tombstones(after, MOST)
            found |= _named(page)
            after = page[-1].id if page else to
        return found

    async def _unneeded(self, group: Group, tombstones: Sequence[Named]) -> list[Named]:
        """Pick those under whose IDs no member of any other group has, or may have, anything live."""
        others = [server for other in self._cluster.topology.groups if other != group for server in other.members]
        unneeded: list[Named] = []

        async def look_for(named: Named) -> None:
            if all(await concurrently(self._has_nothing(server, *named) for server in others)):
                unneeded.append(named)

        await for_each(iter(tombstones), look_for, self._at_once)
        return sorted(unneeded)

    async def _has_nothing(self, server: Server, blob_id: BlobID, version: Version) -> bool:
        """Whether a member has nothing live under an ID; what is older than the tombstone is buried."""
        try:
            held = await self._cluster.store_of(server).stat(blob_id)
            if held.version <= version:
                await self._cluster.remover(server).remove(blob_id, version)
        except BlobNotFound:
            return True
        except SOSError as error:  # damaged or out of reach: it may be live
            self._log.debug("{server} may have {id} live: {error}", server=server.url, id=blob_id, error=error)
        return False

    async def _drop(self, members: Sequence[Server], tombstones: Sequence[Named]) -> int:
        return max(await concurrently(self._drop_at(server, tombstones) for server in members))

    async def _drop_at(self, server: Server, tombstones: Sequence[Named]) -> int:
        """Drop them at one member; where that fails the others go on, and the next round sees to it."""
        try:
            return await self._digested(server).drop_tombstones(tombstones)
        except SOSError as error:
            self._log.warn("{server} did not drop tombstones: {error}", server=server.url, error=error)
            return 0

    def _digested(self, server: Server) -> IDigested:
        digested = self._cluster.digested(server)
        assert digested is not None, "it has given its summary"
        return digested


def _named(entries: Iterable[Entry]) -> set[Named]:
    return {(entry.id, entry.version) for entry in entries}
