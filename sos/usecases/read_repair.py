"""Read-repair: what a download finds missing at a member is brought there without waiting for the next round.

The download only says where; it waits for nothing. What is done about it is what a round does: the members of the group are
asked for their summaries, and the bucket that the ID lies in is made equal among them. So a tombstone wins here as it does
there, and what may have been deleted is nobody's to copy. Copying the one blob from the one member to the other would be
quicker, and wrong: the reader knows nothing of what the others hold.

Servers of the old contract are left to the rounds: they have no buckets, and their lists are long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from sos.decisions.buckets import bucket_of
from sos.decisions.ghosts import Ghosts
from sos.decisions.topology import Group, Server
from sos.decisions.worklist import Worklist
from sos.usecases.anti_entropy import AntiEntropy
from sos.usecases.census import Census
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier, Round
from sos.usecases.replication import SilentReporter
from sos.words.blob import BlobID

MOST = 1000
"""Buckets that are known at a time, a few hundred bytes each. Where more is missing than that, it takes a round anyway."""

PAUSE = 60.0
"""Seconds before a bucket is looked into again: where looking does not help, it is not done more often than in rounds."""

AT_ONCE = 4
"""Repairs under way at a time: users are served meanwhile."""


class ReadRepair:
    """Looks into the buckets in which members were found to lack something. Two at once, in two apis, do no harm."""

    _log = Logger()

    def __init__(self, cluster: Cluster, now: Callable[[], float]) -> None:
        """Repair members of a cluster; `now` gives monotonic seconds."""
        self._cluster = cluster
        self._now = now
        self._buckets: Worklist[tuple[str, int]] = Worklist(MOST, PAUSE)

    def look_into(self, server: Server, blob_id: BlobID) -> None:
        """Note that a member lacks a blob, or has damaged it; `round` sees to it."""
        group = self._cluster.group_of(server)
        if group is not None:
            self._buckets.add((group.name, bucket_of(blob_id)), self._now())

    async def round(self) -> None:
        """Look into what was noted, one bucket after the other."""
        due = self._buckets.take(self._now())
        for group in self._cluster.topology.groups if due else ():
            buckets = [bucket for name, bucket in due if name == group.name]
            if buckets:
                await self._repair(group, buckets)

    async def _repair(self, group: Group, buckets: Sequence[int]) -> None:
        outcome = Round()
        copier = Copier(self._cluster, SilentReporter(), outcome)
        summaries, _ = await Census(self._cluster, copier).of(group)
        if len({summary.root for summary in summaries.values()}) > 1:
            anti_entropy = AntiEntropy(self._cluster, copier, AT_ONCE, Ghosts.among(summaries))
            for bucket in buckets:
                await anti_entropy.repair(list(summaries), bucket)
        if outcome.copied or outcome.renewed or outcome.buried:
            self._log.info(
                "Found by readers in group {group}: blobs copied: {copied}, renewed: {renewed}, removed: {buried}",
                group=group.name,
                copied=outcome.copied,
                renewed=outcome.renewed,
                buried=outcome.buried,
            )
