"""Clusters of memory stores, some of which fail on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.health import Health
from sos.decisions.manifest import Chunk, Manifest, chunk_id, manifest_json
from sos.decisions.tally import CopyTally
from sos.decisions.topology import Group, Server, Topology
from sos.store.memory import MemoryStore
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.load import Load
from sos.words.blob import BlobID, Entry, Kind, Parcel, Span, Version
from sos.words.errors import ServerUnavailable, SOSError
from sos.words.interfaces import (
    IBlobRemover,
    IBlobStore,
    IBodySource,
    IDigested,
    ISweepable,
    OpenBlob,
    Received,
    Removed,
    StoreSummary,
    Swept,
)
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
    """Make a cluster of groups, each with its members' names and stores, whose api has a clock that stands still."""
    return cluster_with(clock(), groups)


def cluster_with(
    versions: HybridClock, groups: Mapping[str, Mapping[str, IBlobStore]], timer: Clock | None = None
) -> Cluster:
    """Make a cluster of groups whose api goes by a clock of the test, and waits by one that it is given."""
    topology = Topology(tuple(Group(name, tuple(map(server, members))) for name, members in groups.items()))
    stores = {server(name): store for members in groups.values() for name, store in members.items()}
    return Cluster(topology, stores.__getitem__, Health(lambda: 0.5), timer or Clock(), lambda servers: None, versions)


def put(store: IBlobStore, payload: bytes, name: str, version: int = 1, kind: Kind = Kind.BLOB) -> Entry:
    """Store a blob and give its entry."""
    entry = Entry(id=BlobID(name), version=Version(version), kind=kind)
    return success_of(store.receive(entry, bytes_body(payload))).entry


async def store_by(copies: Copies, entry: Entry, source: IBodySource, *, has_home: bool = True) -> CopyTally:
    """Write an entry with its bytes, as an upload does that is not a small one."""
    with Load(source) as load:
        return await copies.deliver(entry, load.send, copies.groups_for(entry.id), has_home=has_home)


def chunks_of(payload: bytes, chunk_size: int) -> list[bytes]:
    """Cut the bytes of an object."""
    return [payload[at : at + chunk_size] for at in range(0, len(payload), chunk_size)]


def manifest_for(payload: bytes, name: str, chunk_size: int) -> Manifest:
    """Give the manifest of an object that is cut into chunks of a size."""
    chunks = [Chunk(chunk_id(sha256(piece).digest()), len(piece)) for piece in chunks_of(payload, chunk_size)]
    return Manifest(BlobID(name), tuple(chunks))


def put_chunked(store: IBlobStore, payload: bytes, name: str, chunk_size: int, version: int = 1) -> Manifest:
    """Store an object in chunks, and give its manifest."""
    manifest = manifest_for(payload, name, chunk_size)
    for chunk, piece in zip(manifest.chunks, chunks_of(payload, chunk_size), strict=True):
        put(store, piece, chunk.id, version, Kind.CHUNK)
    put(store, manifest_json(manifest), name, version, Kind.MANIFEST)
    return manifest


@implementer(IBlobStore, IBlobRemover, IDigested, ISweepable)
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

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        return await self._answer("remove", blob_id, version, is_stray)  # type: ignore[no-any-return]

    async def summary(self) -> StoreSummary:
        return await self._answer("summary")  # type: ignore[no-any-return]

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        return await self._answer("digests", part)  # type: ignore[no-any-return]

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        return await self._answer("entries", bucket, after, limit, buckets)  # type: ignore[no-any-return]

    async def strays(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        return await self._answer("strays", after, limit)  # type: ignore[no-any-return]

    async def renew(self, entry: Entry) -> Received:
        return await self._answer("renew", entry)  # type: ignore[no-any-return]

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        return await self._answer("fetch_past_expiry", blob_id)  # type: ignore[no-any-return]

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        return await self._answer("fetch_some", blob_ids)  # type: ignore[no-any-return]

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        return await self._answer("receive_some", parcels)  # type: ignore[no-any-return]

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        await self._answer("forget", blob_id, version)

    async def old_tombstones(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        return await self._answer("old_tombstones", after, limit)  # type: ignore[no-any-return]

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        return await self._answer("drop_tombstones", tombstones)  # type: ignore[no-any-return]

    async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        return await self._answer("of_kind", kind, after, limit)  # type: ignore[no-any-return]

    async def sweep(self, chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Swept:
        return await self._answer("sweep", chunks, is_rehearsal)  # type: ignore[no-any-return]

    async def note_round(self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> None:
        await self._answer("note_round", number, group, is_partial, incarnation)

    async def suspect(self, blob_id: BlobID) -> None:
        await self._answer("suspect", blob_id)


class Switched(Flaky):
    """A member that can be switched off."""

    def __init__(self, local: MemoryStore) -> None:
        super().__init__(local)
        self.local = local
        self.is_on = True

    def _answer(self, verb: str, *arguments: Any, **named: Any) -> Any:
        self._always = None if self.is_on else ServerUnavailable(f"http://{self.local.uuid}:3001", "connection refused")
        return super()._answer(verb, *arguments, **named)
