"""The cluster as an api or a replicator sees it: the topology, a store for each of its servers, and who of them is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.logger import Logger

from sos.decisions import placement
from sos.decisions.health import Health
from sos.decisions.topology import Group, Server, Topology
from sos.usecases.concurrently import concurrently
from sos.usecases.watched_store import WatchedStore
from sos.words.blob import BlobID
from sos.words.errors import SOSError, Unsupported
from sos.words.interfaces import IBlobRemover, IBlobStore, IDigested, IProbed

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
        now: Callable[[], float],
        shuffle: Shuffle,
    ) -> None:
        """Begin with a topology.

        `store_for` makes the store of a server that was not known before, `now` gives seconds on a monotonic clock, and
        `shuffle` spreads reads over the members of a group.
        """
        self._make_store = store_for
        self._health = health
        self._now = now
        self._shuffle = shuffle
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

    def store_of(self, server: Server) -> IBlobStore:
        """Give the store of a server; one that has left the topology while a request was under way still has one."""
        return self._stores.get(server) or self._store_for(server)

    def digested(self, server: Server) -> IDigested | None:
        """Give what replication needs of a server's store, None for a store that has nothing of it."""
        return IDigested(self.store_of(server), None)

    def remover(self, server: Server) -> IBlobRemover:
        """Give what removes from a server's store. Raises `Unsupported` where nothing does."""
        remover = IBlobRemover(self.store_of(server), None)
        if remover is None:
            raise Unsupported(f"{server.url} cannot remove blobs.")
        return remover

    def groups_for(self, blob_id: BlobID) -> Iterator[Group]:
        """Give the groups in the order in which they are tried for an ID."""
        yield from placement.order(blob_id, self._topology.groups)

    def readers_for(self, blob_id: BlobID) -> list[Server]:
        """Give all servers in the order in which they are asked for an ID: the home group's first, those that rest last."""
        servers: list[Server] = []
        for group in self.groups_for(blob_id):
            members = list(group.members)
            self._shuffle(members)
            servers += members
        return self._health.rested_last(servers)

    def writers_of(self, group: Group, needed: int) -> list[Server]:
        """Give the members of a group that are written to: those that are well, or all where those are too few."""
        well = [server for server in group.members if not self._health.is_resting(server)]
        return well if len(well) >= needed else list(group.members)

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

    async def probe(self) -> None:
        """Ask each member whose rest has ended for a sign of life, all at once: one that hangs must not keep the others."""
        await concurrently(self._probe(server) for server in self._health.due(self._now()))

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
        if not IProbed.providedBy(store):
            return store
        return WatchedStore(store, lambda: self.failed(server), lambda: self.answered(server))
