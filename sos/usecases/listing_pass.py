"""The listing pass: compares members by their sorted names alone, for groups with servers of the old contract.

It can see what is missing, and nothing else; what a member has buried is refused by that member when it is copied to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sos.concurrently import concurrently, for_each
from sos.decisions.reconcile import Reconciliation
from sos.decisions.repair import Copy
from sos.decisions.topology import Server
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier
from sos.words.blob import Entry
from sos.words.errors import SOSError


class ListingPass:
    """One merge pass over the listings of members."""

    def __init__(self, cluster: Cluster, copier: Copier, at_once: int, page: int) -> None:
        """Read `page` names of a member at a time, and make at most `at_once` copies at a time."""
        self._cluster = cluster
        self._copier = copier
        self._at_once = at_once
        self._page = page

    async def equalise(self, members: Sequence[Server]) -> None:
        """Copy what members lack of each other. One that goes out of reach is left out from then on."""
        reconciliation = Reconciliation(members)
        while wanting := reconciliation.wanting:
            await concurrently(self._read_page(reconciliation, server) for server in wanting)
            await for_each(_copies(reconciliation), self._copier.carry_out, self._at_once)

    async def _read_page(self, reconciliation: Reconciliation[Server], server: Server) -> None:
        """Feed a member's next names to the pass, or go on without that member."""
        store = self._cluster.store_of(server)
        try:
            page = await store.enumerate(after=reconciliation.read_to(server), limit=self._page)
        except SOSError as error:
            self._copier.leave_out(server, error)
            reconciliation.drop(server)
        else:
            reconciliation.feed(server, page)


def _copies(reconciliation: Reconciliation[Server]) -> Iterator[Copy[Server]]:
    """Make copies of what is missing; the entry is the one that a source gives with the bytes."""
    for missing in reconciliation.missing():
        yield Copy(Entry(id=missing.blob_id), missing.lacking, missing.holders)
