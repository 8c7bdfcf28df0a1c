"""The cluster as an api or a replicator sees it: the topology, a store for each of its servers, and who of them is well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from sos.concurrently import concurrently
from sos.decisions import placement
from sos.decisions.health import Health
from sos.decisions.rounds import Rounds
from sos.decisions.topology import Group, Server, Topology
from sos.usecases.patience import within
from sos.usecases.watched_store import WatchedStore
from sos.words.blob import BlobID, Version
from sos.words.errors import BadInput, ServerUnavailable, SOSError, Unavailable, Unsupported
from sos.words.interfaces import IBlobRemover, IBlobStore, IDigested, ILocalStore, IProbed, IRemoteReplica, ISweepable
from sos.words.versions import HybridClock

GREETING = 2.0
"""Seconds that a member gets to answer the first question: as long as a silent one delays a read."""

LATELY = 1.0
"""Seconds for which what a member said of its round is believed, as long as none of its peers is opened anew."""

GREETINGS = 2
"""Times that all members are asked in a row: once, and again for those that the first time has shown to be newcomers."""

REMEMBERED = 60.0
"""Seconds for which a member that does not answer any more is still ahead of those that missed a round: until the next one
is due. It may be slow, or just being started; and who missed the round may be an old copy, with what was deleted since."""

T = TypeVar("T")

Shuffle = Callable[[list[Any]], None]
"""Puts a list into an order of chance, in place: `random.shuffle`."""


class Cluster:
    """Holds the topology of the moment; it may change while requests are under way."""

    _log = Logger()

    def __init__(
        self,
        topology: Topology,
        store_for: Callable[[Server], IBlobStore],
        health: Health,
        clock: IReactorTime,
        shuffle: Shuffle,
        versions: HybridClock,
    ) -> None:
        """Begin with a topology.

        `store_for` makes the store of a server that was not known before, `shuffle` spreads reads over the members of a
        group and rounds over what is to be done, and `versions` is moved past the clock of every member that answers.
        """
        self._make_store = store_for
        self._health = health
        self._clock = clock
        self._now = clock.seconds
        self._shuffle = shuffle
        self.versions = versions
        self._rounds = Rounds()
        self._group_of: dict[Server, Group] = {}
        self._waiting: list[Deferred[None]] = []
        self._is_greeted = False
        self._incarnations: dict[Server, bytes] = {}
        self._newcomers: dict[Server, bytes] = {}
        self._heard_at: dict[Server, float] = {}
        self._lately_until = 0.0
        self._stores: dict[Server, IBlobStore] = {}
        self.change(topology)

    @property
    def topology(self) -> Topology:
        """All groups and their members."""
        return self._topology

    def change(self, topology: Topology) -> None:
        """Take another topology; servers that stay keep their stores."""
        self._stores = {server: self._stores.get(server) or self._store_for(server) for server in topology.servers}
        self._topology = topology
        self._group_of = {server: group for group in topology.groups for server in group.members}
        self._is_greeted = False

    def seconds(self) -> float:
        """Give the time by which members are waited for: it only counts on, whatever the wall clock says."""
        return self._now()

    def store_of(self, server: Server) -> IBlobStore:
        """Give the store of a server; one that has left the topology while a request was under way still has one."""
        return self._stores.get(server) or self._store_for(server)

    def digested(self, server: Server) -> IDigested | None:
        """Give what replication needs of a server's store, None for a store that has nothing of it."""
        return IDigested(self.store_of(server), None)

    def sweepable(self, server: Server) -> ISweepable | None:
        """Give what the sweep needs of a server's store, None for a store that has nothing of it."""
        return ISweepable(self.store_of(server), None)

    def remover(self, server: Server) -> IBlobRemover:
        """Give what removes from a server's store. Raises `Unsupported` where nothing does."""
        remover = IBlobRemover(self.store_of(server), None)
        if remover is None:
            raise Unsupported(f"{server.url} cannot remove blobs.")
        return remover

    def groups_for(self, blob_id: BlobID) -> Iterator[Group]:
        """Give the groups in the order in which they are tried for an ID."""
        yield from placement.order(blob_id, self._topology.groups)

    def group_of(self, server: Server) -> Group | None:
        """Give the group of a server, None for one that has left the topology."""
        return self._group_of.get(server)

    def readers_for(self, blob_id: BlobID) -> list[Server]:
        """Give all servers in the order in which they are asked for an ID: the home group's first, those that rest last."""
        servers: list[Server] = []
        for group in self.groups_for(blob_id):
            members = self._caught_up(group)
            self._shuffle(members)
            servers += members
        return self._health.rested_last(servers)

    def in_chance_order(self, places: Iterable[int]) -> list[int]:
        """Put numbers into an order of chance: several who work through the same ones then rarely meet."""
        shuffled = sorted(places)
        self._shuffle(shuffled)
        return shuffled

    def is_read_from(self, server: Server) -> bool:
        """Whether what a member says counts: not while it has missed a round that others in reach have completed.

        Nor before those were asked, where it was opened since they were heard: it may have been put back from an old copy.
        """
        group = self._group_of.get(server)
        if group is None or server in self._newcomers:
            return group is None
        return not self._rounds.behind or server in self._caught_up(group)

    def denies_truly(self, server: Server) -> bool:
        """Whether it proves something that a member has not what it is asked for: see `sos.decisions.rounds`."""
        for partial in self._rounds.partial:
            self._hear_locally(partial)
        return server not in self._rounds.partial and self.is_read_from(server)

    def _caught_up(self, group: Group) -> list[Server]:
        """Give the members that may be read from: none that was away while others completed a round, as far as we know."""
        for server in self._rounds.behind:
            self._hear_locally(server)
        return self._rounds.readable(group, self._counts_as_ahead)

    def _counts_as_ahead(self, server: Server) -> bool:
        """Whether a member is in reach, or was lately."""
        heard_at = self._heard_at.get(server)
        return not self._health.is_resting(server) or (heard_at is not None and self._now() < heard_at + REMEMBERED)

    def writers_of(self, group: Group, needed: int) -> list[Server]:
        """Give the members of a group that are written to: those that are well, or all where those are too few."""
        well = [server for server in group.members if not self._health.is_resting(server)]
        return well if len(well) >= needed else list(group.members)

    # What members say of themselves

    async def greeted(self) -> None:
        """Wait until every member was asked for its clock and its round, once, or has not answered in time.

        What is written then is newer than all that any member in reach has seen, whatever the wall clocks say; and a member
        that was away is known to be behind before anything is read from it.
        """
        for _ in range(GREETINGS):
            if self._is_greeted:
                return
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            if len(self._waiting) == 1:
                Deferred.fromCoroutine(self._greet()).addErrback(self._log_fault)
            await waiting

    async def heard_lately(self) -> None:
        """Wait until all members were heard lately, or do not answer; whoever reads asks for this.

        Rounds are run by others, too: an api that heard nothing for a while would take the word of a member that was away
        meanwhile. Under load it hears all members all the time, and this costs nothing.
        """
        if self._now() >= self._lately_until and not self._waiting:
            self._look_for_old_news()
        if not self._is_greeted:
            await self.greeted()

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask members by `ask`; once more where it raises `Unavailable`, and one who may not be read from has caught up.

        An answer may be the first to say that its member has missed a round, or was opened anew. Raises what `ask` does.
        """
        try:
            return await ask()
        except Unavailable:
            if not await self.has_caught_up():
                raise
        return await ask()

    async def has_caught_up(self) -> bool:
        """Ask those whose word does not count whether that is still so, and say whether for one it is not.

        A round that somebody else runs writes its number into one member after the other: who was heard in between takes the
        slower ones for behind.
        """
        before = self._doubted()
        await (self.greeted() if self._newcomers else concurrently(self._greet_one(server) for server in self._late))
        return not before <= self._doubted()

    def _doubted(self) -> set[tuple[str, Server]]:
        """Give the members whose word does not count, or not all of it, each with the reason."""
        why = {"behind": self._rounds.behind, "partial": self._rounds.partial, "newcomer": self._newcomers}
        return {(reason, server) for reason, servers in why.items() for server in servers}

    def _look_for_old_news(self) -> None:
        remote = [server for server, store in self._stores.items() if IProbed.providedBy(store)]
        well = [server for server in remote if not self._health.is_resting(server)]
        oldest = min((self._heard_at.get(server, -LATELY) for server in well), default=self._now())
        self._lately_until = oldest + LATELY
        if self._lately_until <= self._now():
            self._is_greeted = False

    async def _greet(self) -> None:
        """Ask all members that are well, then let all go on who wait, even after a fault of ours.

        Those that rest are heard when they answer again, before anything is read from them.
        """
        opened_before = dict(self._newcomers)
        try:
            well = [server for server in self._topology.servers if not self._health.is_resting(server)]
            await concurrently(self._greet_one(server) for server in well)
        finally:
            for group in self._topology.groups:
                self._rounds.compare(group)
            for server, incarnation in opened_before.items():
                if self._newcomers.get(server) == incarnation:
                    del self._newcomers[server]
            self._is_greeted = not self._newcomers
            self._lately_until = self._now() + LATELY
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if not one.called:  # its client may have left
                    one.callback(None)

    def _log_fault(self, failure: Failure) -> None:
        self._log.failure("The members were not asked how they are", failure)

    async def _greet_one(self, server: Server) -> None:
        probed = IProbed(self._stores.get(server), None)
        if probed is None:
            self._hear_locally(server)
            return
        try:
            await within(GREETING, self._clock, server, _sign_of_life(probed))
        except ServerUnavailable:
            self.failed(server)
        except SOSError as error:
            self._log.warn("{server} does not want to hear of us: {error}", server=server.url, error=error)

    def _hear_locally(self, server: Server) -> None:
        store = ILocalStore(self._stores.get(server), None)
        if store is not None:
            self.heard(server, store.clock.last, store.round, store.is_partial)

    def heard(
        self,
        server: Server,
        clock: int | None,
        round_: int | None,
        is_partial: bool = False,
        incarnation: bytes | None = None,
    ) -> None:
        """Note what a member's answer says of it.

        Whoever was opened since it was last heard, or was never heard, is a newcomer: what was heard of its peers is older.
        """
        self._heard_at[server] = self._now()
        group = self._group_of.get(server)
        if incarnation is not None and incarnation != self._incarnations.get(server):
            self._incarnations[server] = incarnation
            if group is not None and len(group.members) > 1:
                self._newcomers[server] = incarnation
                self._is_greeted = False
        if round_ is not None and group is not None:
            self._rounds.heard(server, group.name, round_, is_partial)
        if clock is not None and clock > self.versions.last and not self.follows(clock):
            self._log.error("The clock of {server} is a hundred years ahead, and is not followed", server=server.url)

    def follows(self, version: int) -> bool:
        """Move past a version that a member has named, and say so; one that no clock can have made is not believed."""
        try:
            self.versions.observe(Version(version))
        except BadInput:
            return False
        return True

    # Health

    def is_resting(self, server: Server) -> bool:
        """Whether a member has failed, and has not answered since."""
        return self._health.is_resting(server)

    def failed(self, server: Server) -> None:
        """Note that a member did not answer as it should, or not in time."""
        if not self._health.is_resting(server):
            self._log.warn("{server} is left alone for a while: it does not answer as it should", server=server.url)
        self._health.failed(server, self._now())

    def answered(self, server: Server) -> None:
        """Note that a member has given an answer of its own."""
        if self._health.is_resting(server):
            self._log.info("{server} is well again", server=server.url)
            self._health.answered(server)

    async def is_alive(self, server: Server) -> bool:
        """Ask a member for a sign of life; one that refuses us gives one, and a store of this very process is well."""
        probed = IProbed(self.store_of(server), None)
        if probed is not None:
            try:
                await within(GREETING, self._clock, server, _sign_of_life(probed))
            except ServerUnavailable:
                return False
            except SOSError:
                pass
        return True

    async def probe(self) -> None:
        """Ask each member whose rest has ended for a sign of life, and each that has missed a round whether it still has.

        All at once: one that hangs must not keep the others.
        """
        await concurrently(self._probe(server) for server in [*self._health.due(self._now()), *self._late])

    @property
    def _late(self) -> list[Server]:
        """Those that were behind or partial when they were last heard, and are well."""
        late = dict.fromkeys([*self._rounds.behind, *self._rounds.partial])
        return [server for server in late if not self._health.is_resting(server)]

    async def _probe(self, server: Server) -> None:
        probed = IProbed(self._stores.get(server), None)
        if probed is None:
            self._health.answered(server)  # it has left the topology, or is a store of this very process
            return
        try:
            await probed.alive()
        except SOSError:
            self.failed(server)

    def _store_for(self, server: Server) -> IBlobStore:
        store = self._make_store(server)
        if not IRemoteReplica.providedBy(store):
            return store
        return WatchedStore(store, lambda: self.failed(server), lambda: self.answered(server))


async def _sign_of_life(probed: IProbed) -> None:
    await probed.alive()
