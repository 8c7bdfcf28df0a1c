"""Replication: rounds that make the members of each group hold the same.

A round asks every member for one digest. Equal members are left alone; others are compared by anti-entropy, servers of the
old contract by their names. A member that is out of reach is named and left out; the others go on without it. Rounds are
numbered, and the number is noted at every member that completed one, so that a member that was away is known to be behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger
from zope.interface import implementer

from sos.concurrently import concurrently
from sos.decisions.clocks import astray, complaint_of
from sos.decisions.ghosts import Ghosts
from sos.decisions.rounds import is_partial_after
from sos.decisions.topology import Group, Server
from sos.usecases.anti_entropy import AntiEntropy
from sos.usecases.census import Census, Summaries
from sos.usecases.clearance import Clearance
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Copier, Round
from sos.usecases.healing import Healing
from sos.usecases.homecoming import Homecoming
from sos.usecases.listing_pass import ListingPass
from sos.words.blob import BlobID
from sos.words.errors import OtherIncarnation, SOSError
from sos.words.interfaces import IRoundReporter

AT_ONCE = 32
"""Repairs under way at a time in a group: small blobs that come together share a commit, large ones have a limit."""

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


class Replication:
    """Runs rounds over a cluster."""

    _log = Logger()

    def __init__(self, cluster: Cluster, reporter: IRoundReporter, at_once: int = AT_ONCE, page: int = PAGE) -> None:
        """Work on a cluster with bounded concurrency, and tell a reporter."""
        self._cluster = cluster
        self._reporter = reporter
        self._at_once = at_once
        self._page = page
        self._clearance = Clearance(cluster, at_once)
        self._healing = Healing(cluster, page)

    async def round(self) -> Round:
        """Run one round over all groups. A failure of one member or one blob is counted and logged, and ends nothing."""
        outcome = Round()
        copier = Copier(self._cluster, self._reporter, outcome)
        summaries: Summaries = {}
        for group in self._cluster.topology.groups:
            self._reporter.group_begins(group.name, [server.url for server in group.members])
            summaries |= await self._equalise(group, copier, outcome)
        await Homecoming(self._cluster, copier, self._at_once, self._page).of(summaries)
        await self._healing.of(summaries, copier)
        if outcome.is_complete and not outcome.behind:
            await self._clear(summaries, outcome)
        self._alarm(summaries)
        self._tell(outcome)
        return outcome

    async def _clear(self, summaries: Summaries, outcome: Round) -> None:
        """Drop tombstones of groups in which all members can hold them, and do."""
        for group in self._cluster.topology.groups:
            members = [server for server in group.members if server in summaries]
            has_some = members and all(summaries[server].deleted for server in members)
            if has_some and outcome.old_contract.isdisjoint(group.members):
                outcome.dropped += await self._clearance.of(group, members)

    async def _equalise(self, group: Group, copier: Copier, outcome: Round) -> Summaries:
        summaries, old = await Census(self._cluster, copier).of(group)
        outcome.old_contract.update(old)
        if len({summary.root for summary in summaries.values()}) > 1:
            anti_entropy = AntiEntropy(self._cluster, copier, self._at_once, Ghosts.among(summaries))
            fullest = max(summary.live + summary.deleted + summary.damaged for summary in summaries.values())
            await anti_entropy.equalise(list(summaries), fullest)
        elif not old and copier.reached(group.members) == list(group.members):
            self._report_damage(group, summaries)
        if old and len(summaries) + len(old) > 1:
            listing = ListingPass(self._cluster, copier, self._at_once, self._page)
            await listing.equalise([*summaries, *old])
        await self._note(group, summaries, copier, outcome)
        return summaries

    def _report_damage(self, group: Group, summaries: Summaries) -> None:
        """Say what no round can heal: damage has no part in digests, so what is damaged at equal members is so at all."""
        for server, summary in summaries.items():
            if summary.damaged:
                self._log.error(
                    "{server} has {count} damaged blobs, of which no member of group {group} has a good copy",
                    server=server.url,
                    count=summary.damaged,
                    group=group.name,
                )

    async def _note(self, group: Group, summaries: Summaries, copier: Copier, outcome: Round) -> None:
        """Write the number of the round into the members that completed it.

        Not into one that was started meanwhile: it may have been put back from an old copy.
        """
        newest = max((summary.round for summary in summaries.values()), default=0)
        has_met_all = copier.reached(group.members) == list(group.members)

        async def note_at(server: Server) -> None:
            said = summaries[server]
            is_partial = is_partial_after(said.is_partial, said.round, newest, has_met_all)
            if is_partial:
                self._log.info(
                    "{server} has missed a round, and not met all of {group} since", server=server.url, group=group.name
                )
            digested = self._cluster.digested(server)
            assert digested is not None, "it has given its summary"
            try:
                await digested.note_round(newest + 1, group.name, is_partial, said.incarnation)
            except OtherIncarnation as error:
                copier.leave_behind(server, str(error))
            except SOSError as error:
                copier.leave_out(server, error)

        await concurrently(note_at(server) for server in copier.reached(summaries) if server not in outcome.behind)

    def _alarm(self, summaries: Summaries) -> None:
        """Say whose clock is a day off: it hides what has not expired, and its ages are wrong."""
        times = {server: float(said.time) for server, said in summaries.items() if said.time is not None}
        for server, ahead in astray(times, self._cluster.versions.now()).items():
            self._log.error("In this round {complaint}; set it right", complaint=complaint_of(server, ahead))

    def _tell(self, outcome: Round) -> None:
        if outcome.copied or outcome.renewed or outcome.buried or outcome.failed:
            self._log.info(
                "Blobs copied in this round: {copied}, renewed: {renewed}, removed: {buried}, not brought over: {failed}",
                copied=outcome.copied,
                renewed=outcome.renewed,
                buried=outcome.buried,
                failed=outcome.failed,
            )
        for server, count in outcome.ghosts.items():
            self._log.error(
                "{server} was away while tombstones were dropped, and alone holds {count} older blobs, which may have been"
                " deleted. They are not copied, and it is not read from, until they are removed there or it is emptied",
                server=server.url,
                count=count,
            )
        if outcome.dropped:
            self._log.info("Old tombstones dropped in this round: {dropped}", dropped=outcome.dropped)
