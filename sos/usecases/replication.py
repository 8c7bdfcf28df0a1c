"""Replication: make the members of each group hold the same blobs.

A round lists every member's names in one merge pass (`sos.decisions.reconcile`) and streams what is missing from a member
that has it. A member that is out of reach is named and left out; the others go on without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from sos.decisions.reconcile import Missing, Reconciliation
from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
from sos.usecases.concurrently import concurrently
from sos.words.blob import BlobID
from sos.words.errors import SOSError, Unavailable
from sos.words.interfaces import IRoundReporter

AT_ONCE = 8
"""Copies under way at a time in a group: enough to keep the disks busy with small blobs, few enough to stay behind users."""

PAGE = 1000
"""Names read from a member at a time."""


@implementer(IRoundReporter)
class SilentReporter:
    """Tells nobody."""

    def group_begins(self, name: str, members: Sequence[str]) -> None:
        """Do nothing."""

    def blob_is_missing(self, blob_id: BlobID, server: str) -> None:
        """Do nothing."""

    def copy_begins(self, blob_id: BlobID, source: str, target: str) -> None:
        """Do nothing."""


@define
class Round:
    """What a round came to: copies made and failed, and the members that were out of reach, each with the reason."""

    copied: int = 0
    failed: int = 0
    unreachable: dict[Server, str] = field(factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether every member was reached and every copy made."""
        return not self.failed and not self.unreachable


class Replication:
    """Runs rounds over a cluster."""

    _log = Logger()

    def __init__(self, cluster: Cluster, reporter: IRoundReporter, at_once: int = AT_ONCE, page: int = PAGE) -> None:
        """Work on a cluster with bounded concurrency, and tell a reporter."""
        self._cluster = cluster
        self._reporter = reporter
        self._at_once = at_once
        self._page = page

    async def round(self) -> Round:
        """Run one round over all groups. A failure of one member or one blob is counted and logged, and ends nothing."""
        outcome = Round()
        for group in self._cluster.topology.groups:
            self._reporter.group_begins(group.name, [server.url for server in group.members])
            await self._reconcile(group, outcome)
        if outcome.copied or outcome.failed:
            self._log.info(
                "Blobs copied in this round: {copied}, not copied: {failed}", copied=outcome.copied, failed=outcome.failed
            )
        return outcome

    async def _reconcile(self, group: Group, outcome: Round) -> None:
        reconciliation = Reconciliation(group.members)
        while wanting := reconciliation.wanting:
            await concurrently(self._read_page(reconciliation, server, outcome) for server in wanting)
            await self._copy_all(reconciliation.missing(), outcome)

    async def _read_page(self, reconciliation: Reconciliation[Server], server: Server, outcome: Round) -> None:
        """Feed a member's next names to the pass, or go on without that member."""
        store = self._cluster.store_of(server)
        try:
            page = await store.enumerate(after=reconciliation.read_to(server), limit=self._page)
        except SOSError as error:
            self._leave_out(server, error, outcome)
            reconciliation.drop(server)
        else:
            reconciliation.feed(server, page)

    def _leave_out(self, server: Server, error: SOSError, outcome: Round) -> None:
        if server not in outcome.unreachable:
            outcome.unreachable[server] = str(error)
            self._log.warn("The round goes on without {server}: {error}", server=server.url, error=error)

    async def _copy_all(self, missing: Iterator[Missing[Server]], outcome: Round) -> None:
        """Copy what is missing, a few blobs at a time, all taken from the one iterator."""
        await concurrently(self._copy_each(missing, outcome) for _ in range(self._at_once))

    async def _copy_each(self, missing: Iterator[Missing[Server]], outcome: Round) -> None:
        for found in missing:
            for target in found.lacking:
                self._reporter.blob_is_missing(found.blob_id, target.url)
                await self._copy_from_any(found.blob_id, found.holders, target, outcome)

    async def _copy_from_any(self, blob_id: BlobID, sources: Sequence[Server], target: Server, outcome: Round) -> None:
        """Copy one blob from the first of its holders that can give it."""
        for source in sources:
            if target in outcome.unreachable:
                return
            if source not in outcome.unreachable and await self._copy(blob_id, source, target, outcome):
                outcome.copied += 1
                return
        outcome.failed += 1

    async def _copy(self, blob_id: BlobID, source: Server, target: Server, outcome: Round) -> bool:
        """Stream one blob, and say whether it arrived."""
        self._reporter.copy_begins(blob_id, source.url, target.url)
        try:
            opened = await self._cluster.store_of(source).fetch(blob_id)
            await self._cluster.store_of(target).receive(opened.entry, opened.body)
        except SOSError as error:
            self._log.warn(
                "Blob {id} was not copied from {source} to {target}: {error}",
                id=blob_id,
                source=source.url,
                target=target.url,
                error=error,
            )
            if isinstance(error, Unavailable):
                await self._leave_out_if_gone(source, outcome)
                await self._leave_out_if_gone(target, outcome)
            return False
        return True

    async def _leave_out_if_gone(self, server: Server, outcome: Round) -> None:
        """Ask a member for one name, so that a dead one costs the round one failure and not one for each blob."""
        try:
            await self._cluster.store_of(server).enumerate(limit=1)
        except SOSError as error:
            self._leave_out(server, error, outcome)
