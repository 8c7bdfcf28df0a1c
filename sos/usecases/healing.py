"""Healing: good bytes for what is damaged and of which no member of its group has any, from another group.

What has a home is mirrored there, and a round heals it from its peers. But a chunk lies wherever its object put it: where a
group could not take enough copies the next one took it, and the few copies that had been made stay. So it is with any blob
whose upload went on to the next group, or whose home is another one since a group was added. When the last copy of these
rots, its group has no good one, and yet another group has the very bytes: the ID of a chunk says which they are, and the
SHA-256 of any blob.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attrs import evolve, frozen

from sos.decisions.repair import Copy
from sos.decisions.topology import Server
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier
from sos.usecases.paging import pages_of
from sos.words.blob import Entry, Kind
from sos.words.errors import BlobDamaged, BlobNotFound, SOSError
from sos.words.interfaces import StoreSummary

AGAIN = 3600.0
"""Seconds before a member is listed again whose damage nobody could heal: for it all of its blobs are gone through."""


@frozen
class _Tried:
    """How many damaged blobs a member had when others were last asked for all of them, and when that was."""

    damaged: int
    at: float


class Healing:
    """Heals what a round could not, and remembers what is not worth another look."""

    def __init__(self, cluster: Cluster, page: int) -> None:
        """Read `page` blobs of a member at a time."""
        self._cluster = cluster
        self._page = page
        self._tried: dict[Server, _Tried] = {}

    async def of(self, summaries: Mapping[Server, StoreSummary], copier: Copier) -> None:
        """Heal what is damaged at the members of these summaries, which were made before their groups were equalised."""
        for server, summary in summaries.items():
            if summary.damaged and copier.reached([server]):
                try:
                    await self._heal_at(server, copier)
                except SOSError as error:
                    copier.leave_out(server, error)

    async def _heal_at(self, server: Server, copier: Copier) -> None:
        digested, sweepable = self._cluster.digested(server), self._cluster.sweepable(server)
        if digested is None or sweepable is None:
            return
        damaged = (await digested.summary()).damaged
        tried = self._tried.get(server, _Tried(0, 0.0))
        if damaged == tried.damaged and self._cluster.seconds() < tried.at + AGAIN:
            return
        were_all_asked = True
        for kind in Kind:
            async for page in pages_of(partial(sweepable.of_kind, kind), self._page):
                for entry in page:
                    if entry.is_damaged and not entry.is_stray:  # a stray is carried home by whoever has it whole
                        were_all_asked = await self._heal(entry, server, copier) and were_all_asked
        if were_all_asked:
            self._tried[server] = _Tried((await digested.summary()).damaged, self._cluster.seconds())

    async def _heal(self, damaged: Entry, server: Server, copier: Copier) -> bool:
        """Bring a blob from another group; where none has it, say whether all of their members were asked."""
        were_all_asked = True
        for source in self._others(server):
            try:
                held = await self._held_at(source, damaged)
            except (BlobNotFound, BlobDamaged):
                continue
            except SOSError:
                were_all_asked = False
                continue
            if held.kind is damaged.kind and (held.sha256 == damaged.sha256 or held.kind is Kind.CHUNK):
                newest = held if held.version > damaged.version else evolve(damaged, is_damaged=False, is_stray=False)
                await copier.carry_out(Copy(newest, (server,), (source,)))
                return True
        return were_all_asked

    async def _held_at(self, source: Server, damaged: Entry) -> Entry:
        """Ask a member for what it has under an ID, expired or not. Raises what `fetch` raises."""
        digested = self._cluster.digested(source)
        if damaged.expires is None or digested is None:
            return await self._cluster.store_of(source).stat(damaged.id)
        opened = await digested.fetch_past_expiry(damaged.id)
        opened.body.stopProducing()
        return opened.entry

    def _others(self, server: Server) -> list[Server]:
        """Give the members of all groups but that of a server."""
        own = self._cluster.group_of(server)
        return [member for group in self._cluster.topology.groups if group != own for member in group.members]
