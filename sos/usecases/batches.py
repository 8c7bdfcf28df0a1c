"""Batches: brings small blobs from member to member many at a time, where both know how.

It does the usual case, in which all goes well, and leaves everything else alone: what a source did not give, what has wrong
bytes, what a target refused, all blobs of a member that failed or that is too old to know of batches. Those are copied one
by one, from any of their sources, and it is there that a failure is counted, logged and looked into.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve
from twisted.logger import Logger

from sos.decisions.digests import expected_of
from sos.decisions.repair import Copy
from sos.decisions.topology import Server
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier
from sos.words.blob import BlobID, Entry, Parcel
from sos.words.errors import SOSError, Unsupported
from sos.words.interfaces import IDigested, Received


class Batches:
    """Copies in batches, and remembers who cannot."""

    _log = Logger()

    def __init__(self, cluster: Cluster, copier: Copier) -> None:
        """Copy between the members of a cluster; `copier` counts, and says who is in reach."""
        self._cluster = cluster
        self._copier = copier
        self._unable: set[Server] = set()

    async def bring(self, copies: Sequence[Copy[Server]]) -> Sequence[Copy[Server]]:
        """Bring blobs that have the same sources to the same targets; give the copies that are left to be made."""
        sources, targets = copies[0].sources, copies[0].targets
        source = next(iter(self._able(sources)), None) if self._able(targets) else None
        self._copier.announce(copies, source)
        parcels = [] if source is None else await self._fetched(source, [copy.entry for copy in copies])
        left: list[Copy[Server]] = []
        for target in targets:
            taken = await self._taken(target, parcels)
            self._copier.count_copied(len(taken))
            left += [evolve(copy, targets=(target,)) for copy in copies if copy.entry.id not in taken]
        return left

    async def _fetched(self, source: Server, entries: Sequence[Entry]) -> Sequence[Parcel]:
        """Fetch blobs; give those whose bytes are right."""
        try:
            fetched = await self._digested(source).fetch_some([entry.id for entry in entries])
        except SOSError as error:
            await self._note(source, error)
            return ()
        payloads = {parcel.entry.id: parcel.payload for parcel in fetched}
        return [Parcel(entry, payloads[entry.id]) for entry in entries if _is_right(entry, payloads.get(entry.id))]

    async def _taken(self, target: Server, parcels: Sequence[Parcel]) -> set[BlobID]:
        """Send blobs, and say which ones were taken."""
        if not parcels or not self._able([target]):
            return set()
        try:
            outcomes = await self._digested(target).receive_some(parcels)
        except SOSError as error:
            await self._note(target, error)
            return set()
        pairs = zip(parcels, outcomes, strict=True)
        return {parcel.entry.id for parcel, outcome in pairs if isinstance(outcome, Received)}

    async def _note(self, server: Server, error: SOSError) -> None:
        if isinstance(error, Unsupported):
            self._unable.add(server)
        self._log.info("Blobs go one by one: {error}", error=error)
        await self._copier.look_after(error, server)

    def _able(self, servers: Sequence[Server]) -> list[Server]:
        """Give those that are in reach, and know of batches as far as we know."""
        return [server for server in self._copier.reached(servers) if server not in self._unable]

    def _digested(self, server: Server) -> IDigested:
        digested = self._cluster.digested(server)
        assert digested is not None, "it has listed its entries"
        return digested


def _is_right(entry: Entry, payload: bytes | None) -> bool:
    """Whether these are the bytes of an entry; none are not."""
    expected = expected_of(entry)
    return payload is not None and len(payload) == entry.size and expected is not None and expected.is_of(payload)
