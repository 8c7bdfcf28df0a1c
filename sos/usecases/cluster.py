"""The cluster as an api or a replicator sees it: the topology, and a store for each of its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sos.decisions import placement
from sos.decisions.topology import Group, Server, Topology
from sos.words.blob import BlobID
from sos.words.interfaces import IBlobStore


class Cluster:
    """Holds the topology of the moment; it may change while requests are under way."""

    def __init__(self, topology: Topology, store_for: Callable[[Server], IBlobStore]) -> None:
        """Begin with a topology; `store_for` makes the store of a server that was not known before."""
        self._store_for = store_for
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

    def groups_for(self, blob_id: BlobID) -> Iterator[Group]:
        """Give the groups in the order in which they are tried for an ID."""
        yield from placement.order(blob_id, self._topology.groups)

    def members_for(self, blob_id: BlobID) -> Iterator[Server]:
        """Give all servers in the order in which they are tried for an ID: the home group's first."""
        for group in self.groups_for(blob_id):
            yield from group.members
