"""Anti-entropy: finds where members differ by their digests, and lists only that.

From the root over 64 parts to the 64 buckets of each unequal part; of an unequal bucket all entries are listed, put side by
side, and repaired. So equal members cost one digest, and one difference among a million entries three short answers.

Buckets that stand side by side are listed together where each has few entries: a small store would cost a question for each
blob. They are taken in an order of chance, and listed only when their turn comes. So two replicators at once do not take the
same bytes to the same place: each finds equal what the other has been through.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import DeferredSemaphore

from sos.concurrently import concurrently, for_each
from sos.decisions.batch import batches_of
from sos.decisions.buckets import BUCKETS, BUCKETS_A_PART, runs_of, unequal
from sos.decisions.ghosts import Ghosts
from sos.decisions.repair import Bury, Copy, Repair, by_id, repairs
from sos.decisions.topology import Server
from sos.usecases.batches import Batches
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier
from sos.words.blob import Entry
from sos.words.errors import ServerUnavailable, SOSError
from sos.words.interfaces import IDigested

PAGE = 1000
"""Entries of a bucket read at a time: with a million blobs a bucket has 250."""

MOST_IN_A_BUCKET = 100_000
"""Entries that a bucket may have: an honest member would have 400 million blobs. One that lists without end is left out."""

PARTS_AT_ONCE = 8
"""Parts whose buckets are compared at a time: an answer has 2 KiB."""

RUNS_AT_ONCE = 16
"""Runs of buckets listed at a time: where each has few blobs to copy it takes several to find work enough."""

BUCKETS_AT_ONCE = 64
"""Buckets in the runs that are listed at a time: what two replicators may both have under way, a 64th of all."""

ENTRIES_A_RUN = 64
"""Entries that buckets have together, about, which are listed as one: an answer of 16 KiB."""

LONGEST_RUN = 16
"""Buckets that are listed as one at most: of 10,000 blobs 40, which then share a request. Longer runs would be too few."""


class AntiEntropy:
    """Makes members equal whose stores have digests."""

    def __init__(self, cluster: Cluster, copier: Copier, at_once: int, ghosts: Ghosts[Server] = Ghosts()) -> None:
        """Make at most `at_once` repairs at a time, and leave `ghosts` alone."""
        self._ghosts = ghosts
        self._cluster = cluster
        self._copier = copier
        self._batches = Batches(cluster, copier)
        self._at_once = at_once
        self._repairs = DeferredSemaphore(at_once)

    async def equalise(self, members: Sequence[Server], entries: int) -> None:
        """Find what differs between members, and repair it. A member that goes out of reach is left out from then on.

        The fullest of them has about so many entries.
        """
        differing: list[int] = []

        async def look_into(part: int) -> None:
            buckets = await self._unequal(members, part)
            differing.extend(part * BUCKETS_A_PART + bucket for bucket in buckets)

        await for_each(iter(await self._unequal(members, None)), look_into, PARTS_AT_ONCE)
        longest = max(1, min(ENTRIES_A_RUN * BUCKETS // max(entries, 1), LONGEST_RUN))
        runs = runs_of(differing, longest)
        firsts = iter(self._cluster.in_chance_order(runs))
        at_once = min(BUCKETS_AT_ONCE // longest, RUNS_AT_ONCE)
        await for_each(firsts, lambda first: self.repair(members, first, runs[first]), at_once)

    async def repair(self, members: Sequence[Server], bucket: int, buckets: int = 1) -> None:
        """List a bucket at the members, or so many from there on, and repair what differs in them."""
        reached = self._copier.reached(members)
        answers = await concurrently(self._entries_of(server, bucket, buckets) for server in reached)
        held = {server: entries for server, entries in zip(reached, answers, strict=True) if entries is not None}
        found: list[Repair[Server]] = []
        for blob_id, holders in by_id(held):
            if self._ghosts.has(holders):
                self._copier.set_apart(blob_id, holders)
            else:
                found += repairs(list(held), holders)
        burials = [repair for repair in found if isinstance(repair, Bury)]
        await for_each(iter(burials), self._carry_out, min(self._at_once, len(burials)))  # what is gone must go first
        batches, others = batches_of(repair for repair in found if not isinstance(repair, Bury))
        await for_each(iter(others), self._carry_out, min(self._at_once, len(others)))
        await for_each(iter(batches), self._carry_out_batch, min(self._at_once, len(batches)))

    async def _unequal(self, members: Sequence[Server], part: int | None) -> Sequence[int]:
        """Give the parts, or the buckets of a part, in which any two members differ."""
        reached = self._copier.reached(members)
        answers = await concurrently(self._digests_of(server, part) for server in reached)
        known = [digests for digests in answers if digests is not None]
        return sorted({place for digests in known[1:] for place in unequal(known[0], digests)})

    async def _digests_of(self, server: Server, part: int | None) -> Sequence[bytes] | None:
        try:
            return await self._digested(server).digests(part)
        except SOSError as error:
            self._copier.leave_out(server, error)
            return None

    async def _carry_out(self, repair: Repair[Server]) -> None:
        async with self._repairs:
            await self._copier.carry_out(repair)

    async def _carry_out_batch(self, batch: Sequence[Copy[Server]]) -> None:
        async with self._repairs:
            left = await self._batches.bring(batch)
        await for_each(iter(left), self._copy_left, min(self._at_once, len(left)))

    async def _copy_left(self, left: Copy[Server]) -> None:
        async with self._repairs:
            await self._copier.copy_announced(left)

    async def _entries_of(self, server: Server, bucket: int, buckets: int) -> Sequence[Entry] | None:
        """List buckets at a member, None where they cannot be listed whole."""
        entries: list[Entry] = []
        try:
            while True:
                page = await self._digested(server).entries(bucket, entries[-1].id if entries else "", PAGE, buckets)
                for entry in page:
                    self._cluster.versions.check(entry.version)  # one that no clock made would win over all, for ever
                entries += page
                if len(page) < PAGE:
                    return entries
                if len(entries) >= MOST_IN_A_BUCKET:
                    raise ServerUnavailable(server.url, f"it lists more entries in bucket {bucket} than there can be")
        except SOSError as error:
            self._copier.leave_out(server, error)
            return None

    def _digested(self, server: Server) -> IDigested:
        digested = self._cluster.digested(server)
        assert digested is not None, "it has given its summary"
        return digested
