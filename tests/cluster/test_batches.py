"""Rounds over members at the far end of connections: small blobs in batches, and one by one where a member is older."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from attrs import frozen
from twisted.internet.task import Clock

from sos.http.client import Client
from sos.http.front import Front
from sos.http.request import Request
from sos.remote_replica import RemoteReplica
from sos.store.memory import MemoryStore
from sos.usecases.replication import Replication, SilentReporter
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.web.resource import Routes
from sos.words.blob import BlobID, Entry, Metadata, Parcel, Version
from sos.words.errors import Unauthorized
from tests.contracts.replica_sites import NOW, memory_site
from tests.support import bytes_body, failure_of, success_of
from tests.support_wire import memory_connector
from tests.usecases.cluster_of import cluster_of, wall

NUMBER = 300
KEY = b"secret"
BATCHED = frozenset({b"sync/fetch", b"sync/receive"})


@frozen
class Far:
    """A member at the far end of a connection, and the store that it serves."""

    store: MemoryStore
    remote: RemoteReplica
    asked: list[bytes]
    """The paths of all requests that came."""


def far(name: str, is_older: bool) -> Far:
    """Make a member; it may know of no batches."""
    site = memory_site(Path())
    assert isinstance(site.local, MemoryStore)
    site.local.uuid = f"store-{name}"
    return far_store(site.local, name, is_older)


def far_store(store: MemoryStore, name: str, is_older: bool) -> Far:
    """Make a store a member, with the client's, the front's and the resources' real code between."""
    clock = Clock()
    asked: list[bytes] = []
    guard = ClusterGuard(KEY)

    def noting(request: Request) -> None:
        asked.append(request.path)
        guard(request)

    root = blob_server_root(store, noting, wall, "1.0")
    assert isinstance(root, Routes)
    leaves = {path: leaf for path, leaf in root._leaves.items() if not is_older or path not in BATCHED}
    network = memory_connector({f"http://{name}:1": Front(Routes(leaves, noting), clock, wall)})
    return Far(store, RemoteReplica(Client(network, clock), f"http://{name}:1", KEY), asked)


def fill(store: MemoryStore) -> None:
    """Store blobs of all kinds of sizes, some with metadata, some that have expired."""
    for number in range(NUMBER):
        metadata = Metadata.of([(b"x-is", b"\xff it")] if number % 7 == 0 else [])
        expires = int(NOW) - 1 if number % 11 == 0 else None
        entry = Entry(id=BlobID(f"n{number}"), version=Version(5 + number), metadata=metadata, expires=expires)
        success_of(store.receive(entry, bytes_body(b"x" * (number * 331 % 70_000))))


@pytest.mark.parametrize(
    ("source_is_older", "target_is_older"), [(False, False), (True, False), (False, True), (True, True)]
)
def test_members_become_equal(source_is_older: bool, target_is_older: bool) -> None:
    """Whether both know of batches or not; one that does not is asked few times, and then no more."""
    source, target = far("a", source_is_older), far("b", target_is_older)
    fill(source.store)
    cluster = cluster_of(one={"a": source.remote, "b": target.remote})
    outcome = success_of(Replication(cluster, SilentReporter()).round())
    assert outcome.is_complete and outcome.copied == NUMBER
    assert success_of(source.store.summary()).root == success_of(target.store.summary()).root
    alone = sum(path.startswith(b"/blob/") for path in target.asked)
    if source_is_older or target_is_older:
        assert alone == NUMBER
        assert source.asked.count(b"/sync/fetch") + target.asked.count(b"/sync/receive") <= 2
    else:
        assert alone < NUMBER / 2
        assert source.asked.count(b"/sync/fetch") == target.asked.count(b"/sync/receive")


def test_batches_need_the_cluster_key() -> None:
    """As all of ``/sync`` does."""
    member = far("a", False)
    stranger = RemoteReplica(member.remote._client, "http://a:1", b"wrong")
    entry = Entry(id=BlobID("a"), size=5, sha256=hashlib.sha256(b"hello").digest())
    for asking in (stranger.fetch_some([entry.id]), stranger.receive_some([Parcel(entry, b"hello")])):
        assert isinstance(failure_of(asking), Unauthorized)
    assert success_of(member.store.enumerate()) == []
