"""The sweep: removes chunks that no manifest names, wherever they are.

Deleting an object removes its manifest; an upload that failed has left chunks without one. Nobody counts references: the
sweep lists the manifests of all groups, reads which chunks they name, and has every store let go of old chunks that are not
among them. What must hold is that it never takes a chunk that somebody needs:

- A chunk that a manifest names, seen or not. Where so many members of a group are out of reach that a manifest could hide
  there, or where a manifest cannot be read, the sweep removes nothing at all.
- A chunk that a member takes for old because its clock is days ahead. Where a member's clock is astray, nothing is removed.
- A chunk of an upload whose manifest is still to come. An upload stores or renews each chunk before it writes its manifest,
  and may last a day, as a sweep may; a store lets go of what it took longer ago than seven, and looks at version and age in
  the transaction that removes it. A copy that was not renewed may go; the renewed one is newer, and the next round brings it
  back.

Rejected: counting references (every upload would have to be transactional across groups), and removing chunks together with
their manifest (another object may name them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from functools import partial

from attrs import define, field
from twisted.logger import Logger

from sos.concurrently import for_each
from sos.decisions.clocks import astray, complaint_of
from sos.decisions.manifest import MOST_BYTES, Manifest, manifest_of
from sos.decisions.tally import may_hide
from sos.decisions.topology import Group, Server
from sos.http.bodies import collect
from sos.usecases.cluster import Cluster
from sos.usecases.paging import pages_of
from sos.words.blob import BlobID, Entry, Kind
from sos.words.errors import BlobDamaged, BlobNotFound, BlobTooLarge, SOSError
from sos.words.interfaces import INameSet, ISweepable, OpenBlob, Swept

PAGE = 1000
"""Entries read from a member at a time, and chunks that it is asked to let go of."""

MOST_NAMED = 100
"""Manifests that are named because they cannot be read: where a disk is gone there may be millions."""

AT_ONCE = 4
"""Manifests read at a time: of the largest objects each has some ten megabytes."""

LONGEST_SWEEP = 86_400.0
"""Seconds that a sweep may go by what it has read: a chunk that was stored and named since must not be old by then."""


@define
class SweepReport:
    """What a sweep came to.

    `manifests` were read, `chunks` of members looked at. `swept` says what was removed, or would be. `hindrances` are the
    sentences that say why nothing was; `failures` name members at which chunks had to stay for now.
    """

    is_rehearsal: bool = False
    manifests: int = 0
    chunks: int = 0
    swept: Swept = field(factory=Swept)
    hindrances: list[str] = field(factory=list)
    failures: list[str] = field(factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything was looked at, and nothing stood in the way."""
        return not self.hindrances and not self.failures


class Sweep:
    """Sweeps a cluster. Two at once do no harm."""

    _log = Logger()

    def __init__(
        self,
        cluster: Cluster,
        needed_in: Callable[[Group], int],
        make_names: Callable[[], INameSet],
        page: int = PAGE,
        longest: float = LONGEST_SWEEP,
    ) -> None:
        """Sweep a cluster; `needed_in` gives the copies that an acknowledgement needed in a group.

        A sweep asks for no more chunks when it has lasted for `longest` seconds.
        """
        self._cluster = cluster
        self._needed_in = needed_in
        self._make_names = make_names
        self._page = page
        self._longest = longest

    async def run(self, ignored: Collection[BlobID] = (), is_rehearsal: bool = False) -> SweepReport:
        """Sweep once; a rehearsal only counts. Manifests that are `ignored` need not be readable: their chunks may go."""
        await self._cluster.greeted()
        began, report = self._cluster.seconds(), SweepReport(is_rehearsal)
        named, read = self._make_names(), self._make_names()
        try:
            await _Census(self._cluster, named, read, frozenset(ignored), self._page, report).take(self._needed_in)
            if not report.hindrances:
                for server in self._cluster.topology.servers:
                    await self._sweep_at(server, named, report, began + self._longest)
        finally:
            await named.close()
            await read.close()
        self._tell(report)
        return report

    async def _sweep_at(self, server: Server, named: INameSet, report: SweepReport, until: float) -> None:
        sweepable = self._cluster.sweepable(server)
        if sweepable is None:
            return
        try:
            async for page in pages_of(partial(sweepable.of_kind, Kind.CHUNK), self._page):
                if self._cluster.seconds() > until:
                    report.failures.append(
                        f"{server.url}: the sweep took more than {self._longest:g} seconds, and knows of no newer manifests."
                    )
                    return
                await self._sweep_page(sweepable, page, named, report)
        except SOSError as error:
            report.failures.append(_about(server, error))

    async def _sweep_page(self, sweepable: ISweepable, page: Sequence[Entry], named: INameSet, report: SweepReport) -> None:
        report.chunks += len(page)
        unnamed = set(await named.lacking([entry.id for entry in page]))
        if unnamed:
            chunks = [(entry.id, entry.version) for entry in page if entry.id in unnamed]
            swept = await sweepable.sweep(chunks, report.is_rehearsal)
            report.swept = Swept(report.swept.chunks + swept.chunks, report.swept.size + swept.size)

    def _tell(self, report: SweepReport) -> None:
        for sentence in report.hindrances:
            self._log.warn("The sweep removed nothing: {why}", why=sentence)
        for sentence in report.failures:
            self._log.warn("Chunks were not swept: {why}", why=sentence)
        if report.swept.chunks and not report.is_rehearsal:
            self._log.info("Chunks swept: {chunks}, with {size} bytes", chunks=report.swept.chunks, size=report.swept.size)


class _Census:
    """Reads which chunks are named by the manifests of all groups."""

    def __init__(
        self,
        cluster: Cluster,
        named: INameSet,
        read: INameSet,
        ignored: Collection[BlobID],
        page: int,
        report: SweepReport,
    ) -> None:
        self._cluster = cluster
        self._named = named
        self._read = read
        self._ignored = ignored
        self._page = page
        self._report = report
        self._unreadable: set[BlobID] = set()
        self._times: dict[Server, float] = {}

    async def take(self, needed_in: Callable[[Group], int]) -> None:
        """Read all manifests, and note what hinders the sweep: groups in which one can hide, and those not to be read.

        Strays first, everywhere: a round may carry one home, and forget it, between the lists of two groups. One that was
        not read here is at home when home is listed.
        """
        groups = self._cluster.topology.groups
        begun = {server for group in groups for server in group.members if await self._read_strays(server, group)}
        for group in groups:
            listed = 0
            for server in group.members:
                has_all = server in begun and await self._list(server, group)
                listed += has_all and self._cluster.denies_truly(server)
            if may_hide(needed_in(group), len(group.members), listed):
                self._report.hindrances.append(
                    f"of the {len(group.members)} members of group {group.name}, {listed} could be asked for all that they"
                    " hold: a manifest may hide on the others."
                )
        for server, ahead in astray(self._times, self._cluster.versions.now()).items():
            self._report.hindrances.append(f"{complaint_of(server, ahead)}: what it takes for old may be young.")

    async def _read_strays(self, server: Server, group: Group) -> bool:
        """Read the manifests that one member keeps for another group, and say whether it has named them all."""
        digested = self._cluster.digested(server)
        if digested is None:
            return False
        try:
            summary = await digested.summary()
            if summary.time is not None:
                self._times[server] = summary.time
            if summary.strays:
                async for page in pages_of(digested.strays, self._page):
                    manifests = [entry for entry in page if entry.is_live and entry.kind is Kind.MANIFEST]
                    await self._read_page(manifests, server, group)
        except SOSError as error:
            self._report.failures.append(_about(server, error))
            return False
        return True

    async def _list(self, server: Server, group: Group) -> bool:
        """Read the manifests of one member, and say whether it has named them all."""
        sweepable = self._cluster.sweepable(server)
        if sweepable is None:
            return False
        try:
            async for page in pages_of(partial(sweepable.of_kind, Kind.MANIFEST), self._page):
                await self._read_page(page, server, group)
        except SOSError as error:
            self._report.failures.append(_about(server, error))
            return False
        return True

    async def _read_page(self, page: Sequence[Entry], server: Server, group: Group) -> None:
        """Read those manifests of a page that were not read from another member."""
        keys = {_key(entry): entry for entry in page if entry.id not in self._ignored}
        unread = [keys[key] for key in await self._read.lacking(list(keys))]
        sources = [server, *(other for other in group.members if other != server)]

        async def read_one(entry: Entry) -> None:
            await self._read_one(entry, sources)

        await for_each(iter(unread), read_one, AT_ONCE)

    async def _read_one(self, entry: Entry, sources: Sequence[Server]) -> None:
        """Read one manifest from the member that listed it, or from another that holds the same."""
        why = "its entry is damaged"
        for server in sources:
            try:
                manifest = await self._fetched(entry, server)
            except BlobNotFound as error:
                if server == sources[0]:  # it was deleted since it was listed; where it still lives, another lists it
                    return
                why = str(error)
            except SOSError as error:
                why = str(error)
            else:
                await self._named.add([chunk.id for chunk in manifest.chunks])
                await self._read.add([_key(entry)])
                self._report.manifests += 1
                return
        self._hinders(entry.id, why)

    def _hinders(self, object_id: BlobID, why: str) -> None:
        """Note once that a manifest cannot be read, whoever lists it."""
        if object_id not in self._unreadable and len(self._unreadable) < MOST_NAMED:
            self._unreadable.add(object_id)
            sentence = f"the manifest {object_id} cannot be read ({why}); --ignore={object_id} goes on without it."
            self._report.hindrances.append(sentence)

    async def _fetched(self, entry: Entry, server: Server) -> Manifest:
        """Read a manifest at one member. Raises `BadInput` for one that makes no sense, and what `fetch` raises."""
        opened = await self._opened(entry, server)
        try:
            payload = await collect(opened.body, MOST_BYTES)
        except BlobTooLarge:
            raise BlobDamaged(entry.id) from None
        if entry.sha256 is None or hashlib.sha256(payload).digest() != entry.sha256:
            raise BlobDamaged(entry.id)
        return manifest_of(payload, entry.id)

    async def _opened(self, entry: Entry, server: Server) -> OpenBlob:
        """Open a manifest, one that has expired too: a wrong clock hides it, and must not cost it its chunks."""
        digested = self._cluster.digested(server)
        if entry.expires is None or digested is None:
            return await self._cluster.store_of(server).fetch(entry.id)
        return await digested.fetch_past_expiry(entry.id)


def _key(entry: Entry) -> BlobID:
    """Name one manifest among those of one object, which may have been cut in several ways."""
    return BlobID(entry.id + (entry.sha256 or b"").hex())


def _about(server: Server, error: SOSError) -> str:
    return str(error) if server.url in str(error) else f"{server.url}: {error}"
