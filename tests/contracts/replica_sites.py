"""Stores for the tests of what replication needs: each with a wall clock of its own, and a way to do it damage."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import define, evolve, frozen
from twisted.internet.task import Clock

from sos.decisions.buckets import BUCKETS, EMPTY, PARTS, bucket_of, changed, part_digests, root_digest, takes_part
from sos.http.bodies import collect
from sos.http.client import Client
from sos.http.front import Front
from sos.remote_replica import RemoteReplica
from sos.store.disk import DiskStore
from sos.store.memory import MemoryStore
from sos.store.opening import open_disk_store
from sos.store.rows import COLUMNS, row_of
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import Unavailable
from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.support import bytes_body, failure_of, immediately, success_of
from tests.support_wire import memory_connector

NOW = 1_700_000_000.0
AGE = 1000.0
"""Seconds after which a tombstone is old, in these tests."""
SWEEP_AGE = 700.0
"""Seconds after which a chunk may be swept."""
GRACE = 500.0
"""Seconds for which an expired blob keeps its bytes."""

Local = DiskStore | MemoryStore
Replica = Local | RemoteReplica
"""Whatever has all verbs."""


@define
class Moment:
    """A wall clock that stands still until a test moves it."""

    time: float = NOW

    def wall(self) -> float:
        """Give unix seconds."""
        return self.time


@frozen
class Site:
    """A store, and the hands that a test has in it. `local` is what keeps the bytes: the store itself, or the far end."""

    store: Replica
    local: Local
    moment: Moment
    harm: Callable[[BlobID], None]
    """Changes the bytes of a blob behind the store's back."""
    held: Callable[[], list[Entry]]
    """Gives all that is held, strays too, behind the store's back."""

    def received(self, entry: Entry, payload: bytes = b"hello") -> Entry:
        """Have a blob received, and give what is held then."""
        return success_of(self.store.receive(entry, bytes_body(payload))).entry

    def removed(self, blob_id: BlobID, version: int, *, is_stray: bool = False) -> Entry:
        """Have a blob removed, and give what is held then."""
        return success_of(self.store.remove(blob_id, Version(version), is_stray)).entry

    def fetched(self, blob_id: BlobID) -> bytes:
        """Give a blob's bytes."""
        return success_of(collect(success_of(self.store.fetch(blob_id)).body, 10**6))

    def damage(self, blob_id: BlobID) -> None:
        """Harm the bytes of a blob, and have the store find it out."""
        self.harm(blob_id)
        assert isinstance(failure_of(self.store.fetch(blob_id)), Unavailable)

    def entries(self) -> list[Entry]:
        """Give all entries that are no strays, as the store lists them."""
        buckets = sorted({bucket_of(entry.id) for entry in self.held()})
        return [entry for bucket in buckets for entry in success_of(self.store.entries(bucket))]

    def check_books(self) -> None:
        """Recompute digests and counts from all that is held: every operation must have kept them right."""
        buckets, counts = [EMPTY] * BUCKETS, Counter[str]()
        for entry in self.held():
            counts[_kind_of(entry)] += 1
            counts["strays"] += entry.is_stray
            counts["size"] += (entry.size or 0) * (_kind_of(entry) == "live")
            if takes_part(entry):
                buckets[bucket_of(entry.id)] = changed(buckets[bucket_of(entry.id)], entry)
        summary, status = success_of(self.store.summary()), self.local.status()
        assert [digest for part in range(PARTS) for digest in success_of(self.store.digests(part))] == buckets
        assert success_of(self.store.digests()) == part_digests(buckets)
        assert summary.root == root_digest(buckets)
        expected = [counts[name] for name in ("live", "deleted", "damaged", "strays")]
        assert [summary.live, summary.deleted, summary.damaged, summary.strays] == expected
        assert [status.blobs, status.deleted, status.damaged, status.strays] == expected
        assert status.size == counts["size"]
        listed = sorted([*self.entries(), *success_of(self.local.strays())], key=lambda entry: entry.id)
        assert listed == sorted(self.held(), key=lambda entry: entry.id)


def _kind_of(entry: Entry) -> str:
    if entry.is_damaged:
        return "damaged"
    return "live" if entry.is_live else "deleted"


def memory_site(path: Path) -> Site:
    """Make a store in memory."""
    moment = Moment()
    store = MemoryStore(
        "00000000-memory", HybridClock(moment.wall), tombstone_age=AGE, expiry_grace=GRACE, sweep_age=SWEEP_AGE
    )
    return Site(store, store, moment, store.damage, lambda: list(store._shelf.entries))


def remote_site(path: Path) -> Site:
    """Make a store in memory at the far end of a connection: client, front and resources are the real ones."""
    far, clock = memory_site(path), Clock()
    root = blob_server_root(far.local, ClusterGuard(None), far.moment.wall, "1.0")
    network = memory_connector({"http://a:1": Front(root, clock, far.moment.wall)})
    return evolve(far, store=RemoteReplica(Client(network, clock), "http://a:1"))


def large_site(path: Path) -> Site:
    """Make a store on the disk that is larger than the memory, of which there is none."""
    return disk_site(path, memory=0)


def disk_site(path: Path, memory: int | None = None) -> Site:
    """Make a store on the disk, or open it again."""
    moment = Moment()
    store = open_disk_store(
        path,
        in_thread=immediately,
        commit_in_thread=immediately,
        wall=moment.wall,
        tombstone_age=AGE,
        expiry_grace=GRACE,
        sweep_age=SWEEP_AGE,
        memory=memory,
    )
    return Site(store, store, moment, lambda blob_id: _harm(path, store, blob_id), lambda: held_in(path))


def held_in(path: Path) -> list[Entry]:
    """Read all entries out of a store's database."""
    connection = sqlite3.connect(path / "sos.db", isolation_level=None)
    try:
        rows = connection.execute(f"SELECT id, number, {', '.join(COLUMNS)} FROM entries").fetchall()
        return [row_of(BlobID(name), number, tuple(values)).entry for name, number, *values in rows]
    finally:
        connection.close()


def _harm(path: Path, store: ILocalReplica, blob_id: BlobID) -> None:
    """Change a bit behind the store's back, and commit something, after which nothing is given out of memory."""
    for file in (path / "blobs").rglob(f"{blob_id}.*"):
        file.write_bytes(b"")
    connection = sqlite3.connect(path / "sos.db", isolation_level=None)
    try:
        connection.execute(
            "UPDATE small SET payload = x'ff' WHERE number = (SELECT number FROM entries WHERE id = ?)", (blob_id,)
        )
    finally:
        connection.close()
    success_of(store.forget(BlobID("nobody"), Version(1)))


SITES: list[Callable[[Path], Site]] = [memory_site, disk_site, large_site, remote_site]
"""One factory for each implementation of what replication needs."""


def metadata_of(text: str) -> Metadata:
    """Make metadata that can be told from other metadata."""
    return Metadata.of([(b"x-is", text.encode("ascii"))])
