"""Copying between members: carries out what `sos.decisions.repair` has decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from attrs import define, evolve, field
from twisted.internet.defer import DeferredSemaphore
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.batch import LARGEST
from sos.decisions.digests import expected_of
from sos.decisions.repair import AllDamaged, Bury, Copy, OtherBytes, Renew, Repair
from sos.decisions.topology import Server
from sos.http.bodies import BytesBody, collect
from sos.http.verified_body import VerifiedBody
from sos.usecases.cluster import Cluster
from sos.usecases.suspects import Suspects
from sos.words.blob import BlobID, Entry
from sos.words.errors import BlobConflict, BlobNotFound, DigestMismatch, SOSError, StoreFull, Unavailable
from sos.words.interfaces import IRoundReporter, OpenBlob

SMALL = LARGEST
"""Bytes up to which a blob is taken whole before it is sent on: what is in memory can go over a connection that is kept."""

LARGE_AT_ONCE = 8
"""Larger blobs on their way at a time, in all groups: enough to keep disks busy, few enough to stay behind users."""


@define
class Round:
    """What a round came to.

    `copied` counts copies of bytes, `renewed` and `buried` entries that moved without bytes, `failed` what was not done.
    `unreachable` members are named with the reason; `reported` are the IDs that nobody but a person can settle.
    """

    copied: int = 0
    renewed: int = 0
    buried: int = 0
    failed: int = 0
    unreachable: dict[Server, str] = field(factory=dict)
    behind: set[Server] = field(factory=set)
    """Members that a repair of this round did not reach: they have not completed it."""
    reported: set[BlobID] = field(factory=set)
    dropped: int = 0
    """Tombstones that nobody needs any more."""
    ghosts: Counter[Server] = field(factory=Counter)
    """Blobs that a member alone holds and that may have been deleted: nobody's to copy."""
    old_contract: set[Server] = field(factory=set)
    """Members that cannot hold a tombstone."""

    @property
    def is_complete(self) -> bool:
        """Whether every member was reached and every repair made."""
        return not self.failed and not self.unreachable


class Copier:
    """Carries out repairs, and counts what they came to."""

    _log = Logger()

    def __init__(self, cluster: Cluster, reporter: IRoundReporter, outcome: Round) -> None:
        """Work on a cluster, tell a reporter, and count in `outcome`."""
        self._cluster = cluster
        self._reporter = reporter
        self._outcome = outcome
        self._suspects = Suspects(cluster)
        self._large = DeferredSemaphore(LARGE_AT_ONCE)
        self._full: set[Server] = set()

    def reached(self, servers: Iterable[Server]) -> list[Server]:
        """Give those of some members that have been in reach so far."""
        return [server for server in servers if server not in self._outcome.unreachable]

    def leave_out(self, server: Server, error: SOSError) -> None:
        """Note that a member is out of reach: the round goes on without it."""
        if server not in self._outcome.unreachable:
            self._outcome.unreachable[server] = str(error)
            self._log.warn("The round goes on without {server}: {error}", server=server.url, error=error)

    def set_apart(self, blob_id: BlobID, members: Iterable[Server]) -> None:
        """Leave a blob where it is, and its members behind: they are not read from before a person has settled it."""
        self._outcome.reported.add(blob_id)
        for server in members:
            self._outcome.ghosts[server] += 1
            self._outcome.behind.add(server)

    def leave_behind(self, server: Server, why: str) -> None:
        """Go on with a member that may have lost something meanwhile: the next round has to see it."""
        self._outcome.behind.add(server)
        self._log.info("{server} has not completed this round: {why}", server=server.url, why=why)

    async def carry_out(self, repair: Repair[Server]) -> None:
        """Do one repair at all of its targets."""
        match repair:
            case Bury():
                for target in repair.targets:
                    await self._bury(repair.entry, target)
            case Renew():
                for target in repair.targets:
                    await self._renew(repair.entry, target)
            case Copy():
                for target in repair.targets:
                    await self.copy(repair, target)
            case OtherBytes() | AllDamaged():
                self._report(repair)

    # Many at a time: what `Batches` is told, and what it tells

    def announce(self, copies: Iterable[Copy[Server]], source: Server | None) -> None:
        """Tell the reporter of copies that are about to be made together, or one by one where there is no source for all."""
        for copy in copies:
            for target in copy.targets:
                self._reporter.blob_is_missing(copy.entry.id, target.url)
                if source is not None:
                    self._reporter.copy_begins(copy.entry.id, source.url, target.url)

    def count_copied(self, number: int) -> None:
        """Count copies that were made together."""
        self._outcome.copied += number

    async def copy_announced(self, left: Copy[Server]) -> None:
        """Copy by itself what did not go with the others; the reporter knows that it is missing."""
        for target in left.targets:
            await self._copy_from_any(left, target)

    # One repair at one member

    async def _bury(self, entry: Entry, target: Server) -> None:
        if await self._try(target, entry, lambda: self._cluster.remover(target).remove(entry.id, entry.version)):
            self._outcome.buried += 1

    async def _renew(self, entry: Entry, target: Server) -> None:
        digested = self._cluster.digested(target)
        if digested is not None and await self._try(target, entry, lambda: digested.renew(entry)):
            self._outcome.renewed += 1

    async def copy(self, repair: Copy[Server], target: Server) -> bool:
        """Stream one blob to a member from the first of its holders that can give it, and say whether it arrived."""
        self._reporter.blob_is_missing(repair.entry.id, target.url)
        return await self._copy_from_any(repair, target)

    async def _copy_from_any(self, repair: Copy[Server], target: Server) -> bool:
        gone = 0
        for source in repair.sources:
            if target in self._outcome.unreachable:
                return False
            try:
                if source not in self._outcome.unreachable and await self._copy_in_turn(repair.entry, source, target):
                    self._outcome.copied += 1
                    return True
            except BlobNotFound:  # it was removed since it was listed: nothing is missing any more
                gone += 1
        if gone < len(repair.sources):
            self._fail(target)
        return False

    async def bring(self, stray: Entry, source: Server, target: Server) -> bool:
        """Stream a stray to a member of its home group, and say whether it arrived.

        A member without room is asked once in a round; that it has none is no failure, for the stray is safe where it is.
        """
        if target in self._full:
            return False
        self._reporter.blob_is_missing(stray.id, target.url)
        try:
            has_arrived = await self._copy_in_turn(stray, source, target)
        except BlobNotFound:
            return False
        if has_arrived:
            self._outcome.copied += 1
        elif target not in self._full:
            self._fail(target)
        return has_arrived

    async def _copy_in_turn(self, entry: Entry, source: Server, target: Server) -> bool:
        if entry.size is not None and entry.size <= SMALL:
            return await self._copy(entry, source, target)
        async with self._large:
            return await self._copy(entry, source, target)

    async def _copy(self, entry: Entry, source: Server, target: Server) -> bool:
        self._reporter.copy_begins(entry.id, source.url, target.url)
        try:
            opened = await self._opened(entry, source)
            incoming = opened.entry if entry.sha256 is None else evolve(entry, is_stray=False)
            body = await self._sendable(opened.body, incoming, target)
            await self._cluster.store_of(target).receive(incoming, body)
        except BlobNotFound:
            raise
        except SOSError as error:
            self._log.warn(
                "Blob {id} was not copied from {source} to {target}: {error}",
                id=entry.id,
                source=source.url,
                target=target.url,
                error=error,
            )
            if isinstance(error, StoreFull):
                self._full.add(target)
            await self.look_after(error, source, target)
            if isinstance(error, DigestMismatch):  # whoever spoilt the bytes: the source can find out whether it was it
                await self._suspects.ask(source, entry.id)
            return False
        return True

    async def _sendable(self, body: IBodyProducer, entry: Entry, target: Server) -> IBodyProducer:
        """Give a body to send; of a small blob its bytes, whole and verified.

        A longer one is verified by its target, as it arrives. But a server of the old contract does not do that, and nobody
        can where one was the source and has named no digest: then it is verified on its way, and never ends well with wrong
        bytes. Raises what the body fails with, and `DigestMismatch`.
        """
        expected = expected_of(entry)
        if entry.size is not None and entry.size <= SMALL:
            payload = await collect(body, SMALL)
            if expected is not None and not expected.is_of(payload):
                raise _mismatch(entry.id)
            return BytesBody(payload)
        if expected is None or (entry.sha256 is not None and target not in self._outcome.old_contract):
            return body
        return VerifiedBody(body, expected.hasher(), expected.digest, lambda: _mismatch(entry.id))

    async def _opened(self, entry: Entry, source: Server) -> OpenBlob:
        """Open a blob at its source; one that expires is no less one until all members have a tombstone for it."""
        digested = None if entry.expires is None else self._cluster.digested(source)
        if digested is None:
            return await self._cluster.store_of(source).fetch(entry.id)
        return await digested.fetch_past_expiry(entry.id)

    async def _try(self, target: Server, entry: Entry, call: Callable[[], Awaitable[object]]) -> bool:
        """Make one call; what came to be newer meanwhile is no failure, for the next round sees it."""
        if target in self._outcome.unreachable:
            return False
        try:
            await call()
        except (BlobConflict, BlobNotFound) as error:
            self._log.debug("{id} has changed at {server}: {error}", id=entry.id, server=target.url, error=error)
            self._outcome.behind.add(target)
            return False
        except SOSError as error:
            self._log.warn("{id} was not brought to {server}: {error}", id=entry.id, server=target.url, error=error)
            self._fail(target)
            await self.look_after(error, target)
            return False
        return True

    def _fail(self, target: Server) -> None:
        self._outcome.failed += 1
        self._outcome.behind.add(target)

    def _report(self, repair: OtherBytes[Server] | AllDamaged[Server]) -> None:
        """Say what nobody but a person can settle, once a round."""
        self._outcome.reported.add(repair.blob_id)
        what = "is held with other bytes" if isinstance(repair, OtherBytes) else "is damaged in every copy"
        where = ", ".join(server.url for server in repair.members)
        self._log.error("{id} {what}, at {where}: nothing was changed", id=repair.blob_id, what=what, where=where)

    async def look_after(self, error: SOSError, *servers: Server) -> None:
        """Ask members for one name, so that a dead one costs the round one failure and not one for each blob."""
        if not isinstance(error, Unavailable):
            return
        for server in servers:
            try:
                await self._cluster.store_of(server).enumerate(limit=1)
            except SOSError as gone:
                self.leave_out(server, gone)


def _mismatch(blob_id: BlobID) -> DigestMismatch:
    return DigestMismatch(f"What came as {blob_id} are other bytes: their digest is another.")
