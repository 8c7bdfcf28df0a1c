"""The census: what the members of a group say of themselves before anything is compared."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.logger import Logger

from sos.concurrently import concurrently
from sos.decisions.topology import Group, Server
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier
from sos.words.errors import OtherGroup, SOSError, Unsupported
from sos.words.interfaces import StoreSummary

Summaries = dict[Server, StoreSummary]


def _was_opened_within(summary: StoreSummary, seconds: float) -> bool:
    """Whether a store was opened within the last seconds, as far as it says."""
    return summary.uptime is not None and summary.uptime < 1000 * seconds


class Census:
    """Asks the members of a group what they hold."""

    _log = Logger()

    def __init__(self, cluster: Cluster, copier: Copier) -> None:
        """Ask members of a cluster; who cannot take part is left out of what `copier` does."""
        self._cluster = cluster
        self._copier = copier

    async def of(self, group: Group) -> tuple[Summaries, list[Server]]:
        """Give the summaries of those with digests, each store once, and the old servers.

        A store that belongs to another group takes no part: disks that were swapped must not be mirrored into each other.
        """
        answers = await concurrently(self._summary_of(server, group) for server in group.members)
        asked = dict(zip(group.members, answers, strict=True))
        old = [server for server, answer in asked.items() if answer is None and self._copier.reached([server])]
        known = {server: answer for server, answer in asked.items() if answer is not None}
        return self._each_store_once(known), old

    async def _summary_of(self, server: Server, group: Group) -> StoreSummary | None:
        """Give a member's summary, None for an old server, and for one that is left out.

        One that was started since it was asked takes part, but its word is of another time than that of its peers: it may
        have come back without what they took meanwhile, and would be read from if this round were noted there.
        """
        digested = self._cluster.digested(server)
        if digested is None:
            return None
        asked_at = self._cluster.seconds()
        try:
            summary = await digested.summary()
            if summary.group not in (None, group.name):
                raise OtherGroup(f"{server.url} is a store of group {summary.group}, not of {group.name}; see --adopt.")
        except Unsupported:
            return None
        except SOSError as error:
            self._copier.leave_out(server, error)
            return None
        if _was_opened_within(summary, self._cluster.seconds() - asked_at):
            self._copier.leave_behind(server, "it was started meanwhile")
        return summary

    def _each_store_once(self, summaries: Mapping[Server, StoreSummary]) -> Summaries:
        found: dict[str, Server] = {}
        for server, summary in summaries.items():
            first = found.setdefault(summary.store, server)
            if first != server:
                self._log.warn("{one} and {other} are one store, and one copy", one=first.url, other=server.url)
        return {server: summaries[server] for server in found.values()}
