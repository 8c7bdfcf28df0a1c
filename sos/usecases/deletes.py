"""Deletes: leave a tombstone at every member that could hold an object, so that no copy of it comes back."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from sos.concurrently import concurrently
from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
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
from sos.words.interfaces import Removed

T = TypeVar("T")

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
        """Remove from a cluster; `needed_in` gives the copies of a tombstone that a delete needs in a group."""
        self._cluster = cluster
        self._versions = cluster.versions
        self._clock = clock
        self._needed_in = needed_in

    async def delete(self, object_id: BlobID) -> Deleted:
        """Leave tombstones in the home group, and in every group that holds the object or may hold it.

        Where the home group cannot take enough of them, the next group that can keeps them for it, and a round carries them
        home. Raises `BlobNotFound` when every member has said no, `Unsupported` when a server of the old contract holds it,
        and `NotEnoughCopies` when no group can take enough tombstones.
        """
        await self._cluster.greeted()
        home, *others = self._cluster.groups_for(object_id)
        known = {group.name: await self._ask_group(group, object_id) for group in (home, *others)}
        if all(knows is _Knows.NO for answers in known.values() for knows in answers):
            raise BlobNotFound(object_id)
        concerned = [group for group in others if any(knows is not _Knows.NO for knows in known[group.name])]
        return await self._bury(object_id, home, others, concerned)

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

    async def _bury(self, object_id: BlobID, home: Group, others: Sequence[Group], concerned: Collection[Group]) -> Deleted:
        """Send one version of the tombstone to all; a newer one where somebody holds something newer."""
        for _ in range(MOST_CLOCK_MOVES):
            burial = _Burial(object_id, self._versions.tick())
            is_settled = await self._bury_once(burial, home, others, concerned)
            newest = burial.newest_held
            if newest is None or not self._cluster.follows(newest):
                return self._outcome(burial, home, concerned, is_settled)
        raise NotEnoughCopies(f"A blob server kept finding newer versions of {object_id}; delete it again.")

    async def _bury_once(self, burial: _Burial, home: Group, others: Sequence[Group], concerned: Collection[Group]) -> bool:
        """Bury at home and in each group that may hold the object; say whether the tombstone is safe somewhere.

        Elsewhere it is marked as a stray: where the object is one, its tombstone is carried home and forgotten as well. A
        group that holds the object as one of its own keeps the tombstone without the mark. Where home does not take enough
        of it, the next group stands in for home that takes enough; but only what is marked counts then, for nothing else
        would be carried home.
        """
        await self._send(burial, home, is_stray=False)
        burial.check_supported([home])
        is_settled = self._is_enough(home, burial.taken_in(home))
        for group in others:
            if burial.newest_held is not None:
                break
            if group in concerned or not is_settled:
                await self._send(burial, group, is_stray=True)
                is_settled = is_settled or self._is_enough(group, burial.strays_in(group))
        return is_settled

    def _is_enough(self, group: Group, taken: int) -> bool:
        return taken >= self._needed_of(group)

    def _needed_of(self, group: Group) -> int:
        return min(self._needed_in(group), len(group.members))

    async def _send(self, burial: _Burial, group: Group, *, is_stray: bool) -> None:
        """Send the tombstone to all members of a group."""
        answers = await concurrently(self._remove(server, burial, is_stray) for server in group.members)
        burial.answers.update(zip(group.members, answers, strict=True))

    async def _remove(self, server: Server, burial: _Burial, is_stray: bool) -> Removed | SOSError:
        if self._cluster.is_resting(server):
            return ServerUnavailable(server.url, "it is left alone for a while")
        try:
            return await self._patiently(server, self._remove_at(server, burial, is_stray))
        except SOSError as error:
            return error

    async def _patiently(self, server: Server, asking: Coroutine[Any, Any, T]) -> T:
        """Wait for a member, but not so long that the client gives up; a silent one is out of reach."""
        try:
            return await within(PATIENCE, self._clock, server, asking)
        except ServerUnavailable:
            self._cluster.failed(server)
            raise

    async def _stat(self, server: Server, object_id: BlobID) -> None:
        await self._cluster.store_of(server).stat(object_id)

    async def _remove_at(self, server: Server, burial: _Burial, is_stray: bool) -> Removed:
        return await self._cluster.remover(server).remove(burial.object_id, burial.version, is_stray)

    def _outcome(self, burial: _Burial, home: Group, concerned: Collection[Group], is_settled: bool) -> Deleted:
        groups = [home, *concerned]
        burial.check_supported(groups)
        if not is_settled:
            raise NotEnoughCopies(
                f"A delete needs {self._needed_of(home)} durable tombstones here, and only {burial.taken_in(home)} could be"
                " left now."
            )
        self._log.info(
            "Object {id} was deleted at {taken} of {members} members",
            id=burial.object_id,
            taken=burial.taken,
            members=len(burial.answers),
        )
        return Deleted(not burial.refusals_in(groups))


@define
class _Burial:
    """One version of a tombstone, and what the members answered to it."""

    object_id: BlobID
    version: Version
    answers: dict[Server, Removed | SOSError] = field(factory=dict)

    @property
    def taken(self) -> int:
        """The number of members that have it."""
        return sum(isinstance(answer, Removed) for answer in self.answers.values())

    def taken_in(self, group: Group) -> int:
        """Give the number of members of a group that have it."""
        return sum(isinstance(self.answers.get(server), Removed) for server in group.members)

    def strays_in(self, group: Group) -> int:
        """Give the number of members of a group that have it and mean it to be carried home."""
        answers = [self.answers.get(server) for server in group.members]
        return sum(isinstance(answer, Removed) and answer.entry.is_stray for answer in answers)

    def refusals_in(self, groups: Iterable[Group]) -> Sequence[SOSError]:
        """Give the reasons of the members of some groups that do not have it."""
        answers = [self.answers.get(server) for group in groups for server in group.members]
        return [answer for answer in answers if isinstance(answer, SOSError)]

    def check_supported(self, groups: Iterable[Group]) -> None:
        """Raise `Unsupported` where a server of the old contract is in some groups."""
        for error in self.refusals_in(groups):
            if isinstance(error, Unsupported):
                raise error

    @property
    def newest_held(self) -> int | None:
        """The newest version for which a member refused this one as older, None if none did."""
        conflicts = [answer.version for answer in self.answers.values() if isinstance(answer, BlobConflict)]
        return max(conflicts, default=None)
