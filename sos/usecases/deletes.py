"""Deletes: leave a tombstone at every member that could hold an object, so that no copy of it comes back."""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
from sos.usecases.concurrently import concurrently
from sos.usecases.patience import within
from sos.words.blob import BlobID, Version
from sos.words.errors import (
    BlobConflict,
    BlobDamaged,
    BlobNotFound,
    NotEnoughCopies,
    ServerUnavailable,
    SOSError,
    Unsupported,
)

MOST_CLOCK_MOVES = 3
"""How often a delete moves its clock past a newer entry and is sent again to all, as a write does."""

PATIENCE = 5.0
"""Seconds that a member gets to answer: one that is slower is brought its tombstone by replication."""


@frozen
class Deleted:
    """An object that is gone; `is_everywhere` says whether every member that could hold it has the tombstone already."""

    is_everywhere: bool


class _Knows(enum.Enum):
    """What a member answers when it is asked for an object."""

    YES = enum.auto()
    NO = enum.auto()
    SILENT = enum.auto()


class Deletes:
    """Removes objects."""

    _log = Logger()

    def __init__(self, cluster: Cluster, needed_in: Callable[[Group], int], clock: IReactorTime) -> None:
        """Remove from a cluster; `needed_in` gives the copies of a tombstone that a delete needs in the home group."""
        self._cluster = cluster
        self._versions = cluster.versions
        self._clock = clock
        self._needed_in = needed_in

    async def delete(self, object_id: BlobID) -> Deleted:
        """Leave tombstones in the home group, and in every group that holds the object or may hold it.

        Raises `BlobNotFound` when every member has said no, `Unsupported` when a server of the old contract holds it, and
        `NotEnoughCopies` when too few members of the home group can take the tombstone.
        """
        await self._cluster.greeted()
        home, *others = self._cluster.groups_for(object_id)
        known = {group.name: await self._ask_group(group, object_id) for group in (home, *others)}
        if all(knows is _Knows.NO for answers in known.values() for knows in answers):
            raise BlobNotFound(object_id)
        concerned = [home, *(group for group in others if any(knows is not _Knows.NO for knows in known[group.name]))]
        return await self._bury(object_id, home, concerned)

    async def _ask_group(self, group: Group, object_id: BlobID) -> Sequence[_Knows]:
        return await concurrently(self._ask(server, object_id) for server in group.members)

    async def _ask(self, server: Server, object_id: BlobID) -> _Knows:
        if self._cluster.is_resting(server):
            return _Knows.SILENT
        try:
            await self._patiently(server, self._stat(server, object_id))
        except BlobNotFound:
            return _Knows.NO
        except BlobDamaged:
            return _Knows.YES
        except SOSError:
            return _Knows.SILENT
        return _Knows.YES

    async def _bury(self, object_id: BlobID, home: Group, groups: Sequence[Group]) -> Deleted:
        """Send one version of the tombstone to all members; a newer one where somebody holds something newer."""
        servers = [server for group in groups for server in group.members]
        for _ in range(MOST_CLOCK_MOVES):
            version = self._versions.tick()
            answers = await concurrently(self._remove(server, object_id, version) for server in servers)
            refusals = {server: error for server, error in zip(servers, answers, strict=True) if error is not None}
            newest = max((error.version for error in refusals.values() if isinstance(error, BlobConflict)), default=None)
            if newest is None or not self._cluster.follows(newest):
                return self._outcome(object_id, home, servers, refusals)
        raise NotEnoughCopies(f"A blob server kept finding newer versions of {object_id}; delete it again.")

    async def _remove(self, server: Server, object_id: BlobID, version: Version) -> SOSError | None:
        if self._cluster.is_resting(server):
            return ServerUnavailable(server.url, "it is left alone for a while")
        try:
            await self._patiently(server, self._remove_at(server, object_id, version))
        except SOSError as error:
            return error
        return None

    async def _patiently(self, server: Server, asking: Coroutine[Any, Any, None]) -> None:
        """Wait for a member, but not so long that the client gives up; a silent one is out of reach."""
        try:
            await within(PATIENCE, self._clock, server, asking)
        except ServerUnavailable:
            self._cluster.failed(server)
            raise

    async def _stat(self, server: Server, object_id: BlobID) -> None:
        await self._cluster.store_of(server).stat(object_id)

    async def _remove_at(self, server: Server, object_id: BlobID, version: Version) -> None:
        await self._cluster.remover(server).remove(object_id, version)

    def _outcome(
        self, object_id: BlobID, home: Group, servers: Sequence[Server], refusals: dict[Server, SOSError]
    ) -> Deleted:
        for error in refusals.values():
            if isinstance(error, Unsupported):
                raise error
        taken = sum(server not in refusals for server in home.members)
        needed = min(self._needed_in(home), len(home.members))
        if taken < needed:
            raise NotEnoughCopies(f"A delete needs {needed} durable tombstones here, and only {taken} could be left now.")
        self._log.info(
            "Object {id} was deleted at {taken} of {members} members",
            id=object_id,
            taken=len(servers) - len(refusals),
            members=len(servers),
        )
        return Deleted(not refusals)
