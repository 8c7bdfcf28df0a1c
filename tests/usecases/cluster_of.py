"""Clusters of memory stores, some of which fail on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.health import Health
from sos.decisions.topology import Group, Server, Topology
from sos.store.memory import MemoryStore
from sos.usecases.cluster import Cluster
from sos.words.blob import BlobID, Entry, Kind, Span, Version
from sos.words.interfaces import IBlobStore, OpenBlob, Received
from sos.words.versions import HybridClock
from tests.support import bytes_body, success_of

NOW = 1_700_000_000.0


def wall() -> float:
    """Stand still, like every wall clock of these tests."""
    return NOW


def clock() -> HybridClock:
    """Make a clock that begins now."""
    return HybridClock(wall)


def memory_store(uuid: str = "store") -> MemoryStore:
    """Make an empty store."""
    return MemoryStore(uuid, clock())


def server(name: str) -> Server:
    """Name a server."""
    return Server(f"http://{name}:3001")


def cluster_of(**groups: Mapping[str, IBlobStore]) -> Cluster:
    """Make a cluster of groups, each with its members' names and stores."""
    topology = Topology(tuple(Group(name, tuple(map(server, members))) for name, members in groups.items()))
    stores = {server(name): store for members in groups.values() for name, store in members.items()}
    return Cluster(topology, stores.__getitem__, Health(lambda: 0.5), lambda: 0.0, lambda servers: None)


def put(store: IBlobStore, payload: bytes, name: str, version: int = 1, kind: Kind = Kind.BLOB) -> Entry:
    """Store a blob and give its entry."""
    entry = Entry(id=BlobID(name), version=Version(version), kind=kind)
    return success_of(store.receive(entry, bytes_body(payload))).entry


@implementer(IBlobStore)
class Flaky:
    """A store whose next calls fail as a script says: an error is raised, None lets the call through; then it is well."""

    def __init__(self, store: IBlobStore, script: Sequence[Exception | None] = (), always: Exception | None = None) -> None:
        self.calls: list[str] = []
        self._store = store
        self._script = list(script)
        self._always = always

    def _answer(self, verb: str, *arguments: Any, **named: Any) -> Any:
        self.calls.append(verb)
        error = self._always or (self._script.pop(0) if self._script else None)
        if error is not None:
            for argument in arguments:
                if IBodyProducer.providedBy(argument):
                    argument.stopProducing()
            raise error
        return getattr(self._store, verb)(*arguments, **named)

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        return await self._answer("fetch", blob_id, span)  # type: ignore[no-any-return]

    async def stat(self, blob_id: BlobID) -> Entry:
        return await self._answer("stat", blob_id)  # type: ignore[no-any-return]

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        return await self._answer("receive", entry, body)  # type: ignore[no-any-return]

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        return await self._answer("enumerate", prefix, after, limit, kind)  # type: ignore[no-any-return]
