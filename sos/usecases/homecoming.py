"""Homecoming: brings strays to the group that they belong to.

A stray is an entry that its home group could not take when it came. A round brings it to every member of the home group
that is in reach, where the merge rule decides what it is worth; once all of them have it, it is forgotten here. Not sooner:
how many copies its writer was promised is known to the writer alone, and while the one home member that has it is out of
reach, the other would truly say that it has none.

Chunks are left where they are: they lie where their object put them, and their own ID says nothing of that.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from sos.concurrently import for_each
from sos.decisions.repair import AllDamaged, OtherBytes
from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier
from sos.usecases.paging import pages_of
from sos.words.blob import Entry, Kind
from sos.words.errors import BlobConflict, BlobNotFound, SOSError, Unsupported
from sos.words.interfaces import IDigested, StoreSummary


class Homecoming:
    """Carries the strays of a round's members home."""

    def __init__(self, cluster: Cluster, copier: Copier, at_once: int, page: int) -> None:
        """Read `page` strays of a member at a time, and bring at most `at_once` of them home at a time."""
        self._cluster = cluster
        self._copier = copier
        self._at_once = at_once
        self._page = page

    async def of(self, summaries: Mapping[Server, StoreSummary]) -> None:
        """Bring home what the members of these summaries hold as strays."""
        damaged: list[tuple[Entry, Server, IDigested]] = []
        for server, summary in summaries.items():
            digested = self._cluster.digested(server)
            if summary.strays and digested is not None and self._copier.reached([server]):
                damaged += [(stray, server, digested) for stray in await self._bring_all(server, digested)]
        for stray, holder, digested in damaged:  # whoever else kept it has brought it home by now
            await self._settle_damaged(stray, holder, digested)

    async def _bring_all(self, holder: Server, digested: IDigested) -> list[Entry]:
        """Bring home all strays of a member that it has whole; give the damaged ones."""
        damaged: list[Entry] = []

        async def bring(stray: Entry) -> None:
            if stray.kind is Kind.CHUNK:
                return
            if stray.is_damaged:
                damaged.append(stray)
            else:
                await self._bring(stray, holder, digested)

        try:
            async for page in pages_of(digested.strays, self._page):
                await for_each(iter(page), bring, min(self._at_once, len(page)))
        except SOSError as error:
            self._copier.leave_out(holder, error)
        return damaged

    async def _settle_damaged(self, stray: Entry, holder: Server, digested: IDigested) -> None:
        """Forget a damaged stray where home has it by now; report it where nobody there does."""
        try:
            if stray.is_unknown or not await self._bring(stray, holder, digested):
                await self._copier.carry_out(AllDamaged(stray.id, (holder,)))
        except SOSError as error:
            self._copier.leave_out(holder, error)

    async def _bring(self, stray: Entry, holder: Server, digested: IDigested) -> int:
        """Bring one stray to its home group, and forget it where it was if all there have what it is worth.

        Gives the number of those that do. Raises what the holder does not forget it with.
        """
        home = next(self._cluster.groups_for(stray.id))
        settled = 0
        for target in self._copier.reached(home.members):
            settled += await self._bring_to(target, stray, holder)
        if settled == len(home.members) and self._is_elsewhere(home, holder):
            await digested.forget(stray.id, stray.version)
        return settled

    def _is_elsewhere(self, home: Group, holder: Server) -> bool:
        """Whether the holder is outside the home group: within it the stray has become an entry like any other."""
        return holder not in home.members

    async def _bring_to(self, target: Server, stray: Entry, holder: Server) -> bool:
        """Bring a stray to one member, without its bytes where they are there; what is newer there settles it too."""
        digested = self._cluster.digested(target)
        if digested is None:
            return False
        entry = evolve(stray, is_stray=False, is_damaged=False)
        try:
            if entry.is_live:
                await digested.renew(entry)
            else:
                await self._cluster.remover(target).remove(entry.id, entry.version)
        except BlobConflict as error:
            if error.reason == BlobConflict.OTHER_BYTES:
                await self._copier.carry_out(OtherBytes(entry.id, (target, holder)))
            return error.reason == BlobConflict.OLDER
        except BlobNotFound:
            return not stray.is_damaged and await self._copier.bring(entry, holder, target)
        except Unsupported:  # a server of the old contract: it takes bytes, and nothing can be removed from it
            return entry.is_live and not stray.is_damaged and await self._copier.bring(entry, holder, target)
        except SOSError as error:
            self._copier.leave_out(target, error)
            return False
        return True
