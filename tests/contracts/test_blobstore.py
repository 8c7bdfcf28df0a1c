"""What every blob store promises, whatever keeps the bytes: add a factory to `STORES`, and it is held to the same.

Errors that share a status are asked for by their parent, for so they come back from a store at the far end of a connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sos.http.bodies import BytesBody, collect, pour
from sos.http.client import Client
from sos.http.front import Front
from sos.remote_replica import RemoteReplica
from sos.store.memory import MemoryStore
from sos.store.opening import open_disk_store
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.words.blob import BlobID, Entry, Kind, Metadata, Span, State, Version
from sos.words.errors import (
    BadInput,
    BlobConflict,
    BlobNotFound,
    BlobTruncated,
    RangeNotSatisfiable,
    Unavailable,
)
from sos.words.interfaces import IBlobStore, OpenBlob
from sos.words.versions import FURTHEST_AHEAD, HybridClock
from tests.support import ScriptedConsumer, bytes_body, failure_of, immediately, success_of
from tests.support_wire import memory_connector

NOW = 1_700_000_000.0
SMALL = 64 * 1024
SIZES = [0, 1, SMALL - 1, SMALL, SMALL + 1, 5 * SMALL + 17]

HELLO = Entry(id=BlobID("abc"), version=Version(5))


def wall() -> float:
    """Stand still."""
    return NOW


def memory_store(tmp_path: Path) -> IBlobStore:
    """Make a store in memory."""
    return MemoryStore("00000000-memory", HybridClock(wall))


def disk_store(tmp_path: Path) -> IBlobStore:
    """Make a store on the disk."""
    return open_disk_store(tmp_path / "store", in_thread=immediately, commit_in_thread=immediately, wall=wall)


def large_store(tmp_path: Path) -> IBlobStore:
    """Make a store on the disk that is larger than the memory, of which there is none."""
    return open_disk_store(tmp_path / "store", in_thread=immediately, commit_in_thread=immediately, wall=wall, memory=0)


def remote_store(tmp_path: Path) -> IBlobStore:
    """Make a store in memory at the far end of a connection: client, front and resources are the real ones."""
    clock = Clock()
    root = blob_server_root(MemoryStore("00000000-memory", HybridClock(wall)), ClusterGuard(None), wall, "1.0")
    network = memory_connector({"http://a:1": Front(root, clock, wall)})
    return RemoteReplica(Client(network, clock), "http://a:1")


STORES: list[Callable[[Path], IBlobStore]] = [memory_store, disk_store, large_store, remote_store]
"""One factory for each implementation. What it gives may have a ``close``."""


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IBlobStore]:
    """Give one empty store of each kind, with nothing in it."""
    made = request.param(tmp_path)
    yield made
    close = getattr(made, "close", None)
    if close is not None:
        success_of(close())


def payload_of(size: int) -> bytes:
    """Make bytes of which no two blocks are alike."""
    return hashlib.shake_256(b"%d" % size).digest(size)


def poured(opened: OpenBlob) -> bytes:
    """Pour a body and give its bytes."""
    consumer = ScriptedConsumer()
    success_of(pour(opened.body, consumer))
    return consumer.payload


def held(store: IBlobStore, entry: Entry = HELLO, payload: bytes = b"hello") -> Entry:
    """Have a blob received, and give what is held then."""
    return success_of(store.receive(entry, bytes_body(payload))).entry


@implementer(IBodyProducer)
class WatchedBody:
    """A body that a test drives by hand, and that notes whether it was stopped."""

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.is_stopped = False
        self.consumer: IConsumer | None = None
        self.done: Deferred[None] = Deferred()

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Wait for the test."""
        self.consumer = consumer
        return self.done

    def write(self, payload: bytes) -> None:
        """Bring a piece."""
        assert self.consumer is not None
        self.consumer.write(payload)

    def pauseProducing(self) -> None:
        """Do nothing: the test decides."""

    def resumeProducing(self) -> None:
        """Do nothing: the test decides."""

    def stopProducing(self) -> None:
        """Note it."""
        self.is_stopped = True


# Fetching and stat


def test_it_is_a_blob_store(store: IBlobStore) -> None:
    """All verbs are there, with the arguments of the interface."""
    assert verifyObject(IBlobStore, store)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_received_comes_back(store: IBlobStore, size: int) -> None:
    """Bytes come back as they came, on either side of the border between small and large."""
    payload = payload_of(size)
    assert held(store, payload=payload).size == size
    opened = success_of(store.fetch(HELLO.id))
    assert opened.body.length == size
    assert poured(opened) == payload


def test_an_entry_comes_back_with_all_its_fields(store: IBlobStore) -> None:
    """Version, kind, metadata, size and digest are those of the write and of its bytes."""
    metadata = Metadata.of([(b"X-Mime-Type", b"text/plain"), (b"x-odd", b"a:b \xff"), (b"x-empty", b"")])
    entry = evolve(HELLO, kind=Kind.CHUNK, metadata=metadata)
    expected = evolve(entry, size=5, sha256=hashlib.sha256(b"hello").digest())
    assert held(store, entry) == expected
    assert success_of(store.stat(HELLO.id)) == expected
    opened = success_of(store.fetch(HELLO.id))
    assert opened.entry == expected
    opened.body.stopProducing()


def test_an_unknown_blob_is_not_found(store: IBlobStore) -> None:
    """Neither verb makes one up."""
    assert isinstance(failure_of(store.fetch(HELLO.id)), BlobNotFound)
    assert isinstance(failure_of(store.stat(HELLO.id)), BlobNotFound)


@pytest.mark.parametrize("size", [100, 3 * SMALL])
@pytest.mark.parametrize("start", [0, 1, 99])
@pytest.mark.parametrize("length", [0, 1])
def test_a_span_is_cut_out(store: IBlobStore, size: int, start: int, length: int) -> None:
    """A span gives its own bytes and says how many; the entry is the whole blob's."""
    payload = payload_of(size)
    held(store, payload=payload)
    opened = success_of(store.fetch(HELLO.id, Span(start, length)))
    assert (opened.entry.size, opened.body.length) == (size, length)
    assert poured(opened) == payload[start : start + length]


@pytest.mark.parametrize("size", [100, 3 * SMALL])
def test_a_long_span_is_cut_out(store: IBlobStore, size: int) -> None:
    """A span may reach to the last byte."""
    payload = payload_of(size)
    held(store, payload=payload)
    assert poured(success_of(store.fetch(HELLO.id, Span(7, size - 7)))) == payload[7:]


@pytest.mark.parametrize("size", [100, 3 * SMALL])
@pytest.mark.parametrize("beyond", [(0, 1), (1, 0)])
def test_a_span_that_reaches_beyond_the_end_is_refused(store: IBlobStore, size: int, beyond: tuple[int, int]) -> None:
    """The error names the length, for an answer has to."""
    held(store, payload=payload_of(size))
    start, more = beyond
    error = failure_of(store.fetch(HELLO.id, Span(size + start, more)))
    assert isinstance(error, RangeNotSatisfiable)
    assert error.size == size


def test_a_paused_body_waits_and_goes_on(store: IBlobStore) -> None:
    """A large blob is read no faster than its consumer drains."""
    payload = payload_of(5 * SMALL)
    held(store, payload=payload)
    consumer = ScriptedConsumer(pause_after=1)
    pouring = Deferred.fromCoroutine(pour(success_of(store.fetch(HELLO.id)).body, consumer))
    assert not pouring.called
    assert 0 < len(consumer.payload) < len(payload)
    consumer.go_on()
    assert pouring.called
    assert consumer.payload == payload


def test_an_open_blob_survives_its_renewal(store: IBlobStore) -> None:
    """Who opened a blob reads it to its end, whatever is received meanwhile."""
    payload = payload_of(3 * SMALL)
    held(store, evolve(HELLO, kind=Kind.MANIFEST), payload)
    opened = success_of(store.fetch(HELLO.id))
    held(store, evolve(HELLO, version=Version(6)), payload_of(2 * SMALL))
    assert poured(opened) == payload
    assert poured(success_of(store.fetch(HELLO.id))) == payload_of(2 * SMALL)


# Receiving


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_the_same_again_is_taken_again(store: IBlobStore, size: int) -> None:
    """A retry finds what it brings, and is told so."""
    first = held(store, payload=payload_of(size))
    assert held(store, payload=payload_of(size)) == first
    assert poured(success_of(store.fetch(HELLO.id))) == payload_of(size)


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_a_newer_version_renews_the_metadata(store: IBlobStore, size: int) -> None:
    """The same bytes with other metadata: the newest version wins."""
    held(store, payload=payload_of(size))
    newer = evolve(HELLO, version=Version(6), metadata=Metadata.of([(b"x-a", b"b")]))
    held(store, newer, payload_of(size))
    opened = success_of(store.fetch(HELLO.id))
    assert (opened.entry.version, opened.entry.metadata) == (6, newer.metadata)
    assert poured(opened) == payload_of(size)


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_an_older_version_is_refused(store: IBlobStore, size: int) -> None:
    """The writer learns which version is held, so that it can move past it."""
    first = held(store, payload=payload_of(size))
    error = failure_of(store.receive(evolve(HELLO, version=Version(4)), bytes_body(payload_of(size))))
    assert isinstance(error, BlobConflict)
    assert (error.reason, error.version) == (BlobConflict.OLDER, 5)
    assert success_of(store.stat(HELLO.id)) == first


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_other_bytes_are_refused_and_the_old_ones_stay(store: IBlobStore, size: int) -> None:
    """Bytes under an ID never change, however new the version that would change them."""
    first = held(store, payload=payload_of(size))
    body = bytes_body(payload_of(size + 1))
    error = failure_of(store.receive(evolve(HELLO, version=Version(6)), body))
    assert isinstance(error, BlobConflict)
    assert (error.reason, error.version) == (BlobConflict.OTHER_BYTES, 5)
    assert success_of(store.stat(HELLO.id)) == first
    assert poured(success_of(store.fetch(HELLO.id))) == payload_of(size)


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_the_body_of_a_refused_write_was_consumed(store: IBlobStore, size: int) -> None:
    """A connection that brings a body can be used again after a 409."""
    held(store, payload=b"other")
    body = WatchedBody()
    receiving = Deferred.fromCoroutine(_awaited(store.receive(HELLO, body)))
    body.write(payload_of(size))
    assert not receiving.called
    body.done.callback(None)
    assert isinstance(failure_of(receiving), BlobConflict)
    assert not body.is_stopped


def test_a_manifest_and_a_blob_may_take_turns(store: IBlobStore) -> None:
    """They are one object, cut differently: the newer one wins, in either direction."""
    held(store, HELLO, b"whole")
    held(store, evolve(HELLO, version=Version(6), kind=Kind.MANIFEST), payload_of(2 * SMALL))
    assert poured(success_of(store.fetch(HELLO.id))) == payload_of(2 * SMALL)
    held(store, evolve(HELLO, version=Version(7)), b"whole")
    assert poured(success_of(store.fetch(HELLO.id))) == b"whole"
    assert success_of(store.stat(HELLO.id)).kind is Kind.BLOB


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_what_agrees_with_its_declaration_is_taken(store: IBlobStore, size: int) -> None:
    """A sender may say how many bytes come, and which."""
    payload = payload_of(size)
    declared = evolve(HELLO, size=size, sha256=hashlib.sha256(payload).digest())
    assert held(store, declared, payload) == declared


@pytest.mark.parametrize("size", [5, 3 * SMALL])
@pytest.mark.parametrize("change", [{"sha256": b"\0" * 32}, {"size": 4}, {"size": 10**6}])
def test_what_differs_from_its_declaration_is_refused(store: IBlobStore, size: int, change: dict[str, Any]) -> None:
    """Bytes that are not the declared ones are not kept."""
    error = failure_of(store.receive(evolve(HELLO, **change), bytes_body(payload_of(size))))
    assert isinstance(error, BadInput)
    assert isinstance(failure_of(store.stat(HELLO.id)), BlobNotFound)


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_a_body_that_ends_early_is_refused(store: IBlobStore, size: int) -> None:
    """A body that knew its length and did not keep to it was cut."""
    body = bytes_body(payload_of(size))
    body.length = size + 1
    assert isinstance(failure_of(store.receive(HELLO, body)), BlobTruncated)
    assert isinstance(failure_of(store.stat(HELLO.id)), BlobNotFound)


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_a_body_that_fails_leaves_nothing(store: IBlobStore, size: int) -> None:
    """What ends a body comes out as it is."""
    body = WatchedBody()
    receiving = Deferred.fromCoroutine(_awaited(store.receive(HELLO, body)))
    body.write(payload_of(size))
    body.done.errback(BlobTruncated("The connection was lost."))
    assert isinstance(failure_of(receiving), BlobTruncated)
    assert isinstance(failure_of(store.stat(HELLO.id)), BlobNotFound)


@pytest.mark.parametrize("size", [5, 3 * SMALL])
def test_a_client_that_leaves_stops_its_body(store: IBlobStore, size: int) -> None:
    """Cancelled while bytes arrive: they are forgotten, and the body is told."""
    body = WatchedBody()
    receiving = Deferred.fromCoroutine(_awaited(store.receive(HELLO, body)))
    body.write(payload_of(size))
    receiving.cancel()
    assert isinstance(failure_of(receiving), CancelledError)
    assert body.is_stopped
    assert isinstance(failure_of(store.stat(HELLO.id)), BlobNotFound)
    assert success_of(store.enumerate()) in ([], ())


def test_more_bytes_than_declared_stop_the_body(store: IBlobStore) -> None:
    """Nobody needs to see the end of a body that is too long already."""
    body = WatchedBody()
    receiving = Deferred.fromCoroutine(_awaited(store.receive(evolve(HELLO, size=3), body)))
    body.write(b"four")
    assert isinstance(failure_of(receiving), BadInput)
    assert body.is_stopped


def test_a_body_of_unknown_length_is_taken(store: IBlobStore) -> None:
    """A chunked upload has no length before its end."""
    body = WatchedBody()
    receiving = Deferred.fromCoroutine(_awaited(store.receive(HELLO, body)))
    for _ in range(7):
        body.write(payload_of(20_000))
    body.done.callback(None)
    assert success_of(receiving).entry.size == 140_000
    assert poured(success_of(store.fetch(HELLO.id))) == 7 * payload_of(20_000)


def test_a_version_from_a_far_future_is_refused(store: IBlobStore) -> None:
    """No clock can have made it, and the body is not waited for."""
    body = WatchedBody()
    ahead = evolve(HELLO, version=Version((int(NOW * 1000) << 16) + FURTHEST_AHEAD + 1))
    assert isinstance(failure_of(store.receive(ahead, body)), BadInput)
    assert body.is_stopped


def test_a_tombstone_is_not_received(store: IBlobStore) -> None:
    """Only live entries come with bytes."""
    body = WatchedBody()
    assert isinstance(failure_of(store.receive(evolve(HELLO, state=State.DELETED), body)), BadInput)
    assert body.is_stopped


def test_nothing_is_seen_before_it_is_whole(store: IBlobStore) -> None:
    """No reader and no list sees bytes that are still arriving."""
    body = WatchedBody()
    receiving = Deferred.fromCoroutine(_awaited(store.receive(HELLO, body)))
    body.write(payload_of(3 * SMALL))
    assert isinstance(failure_of(store.fetch(HELLO.id)), BlobNotFound)
    assert success_of(store.enumerate()) in ([], ())
    body.done.callback(None)
    assert success_of(receiving).entry.size == 3 * SMALL


def test_two_writers_of_one_name_agree(store: IBlobStore) -> None:
    """The second to finish finds the first one's bytes, and learns that they are others."""
    bodies = [WatchedBody(), WatchedBody()]
    receiving = [Deferred.fromCoroutine(_awaited(store.receive(HELLO, body))) for body in bodies]
    bodies[0].write(payload_of(2 * SMALL))
    bodies[1].write(payload_of(3 * SMALL))
    bodies[1].done.callback(None)
    bodies[0].done.callback(None)
    assert success_of(receiving[1]).entry.size == 3 * SMALL
    assert isinstance(failure_of(receiving[0]), BlobConflict)
    assert success_of(collect(success_of(store.fetch(HELLO.id)).body, 10**6)) == payload_of(3 * SMALL)


# Listing


@pytest.fixture
def named(store: IBlobStore) -> IBlobStore:
    """Give a store with some names in it, of all kinds."""
    kinds = {"a": Kind.BLOB, "ab": Kind.MANIFEST, "abc": Kind.CHUNK, "b0": Kind.BLOB, "bz": Kind.CHUNK, "z9": Kind.BLOB}
    for name, kind in reversed(kinds.items()):
        held(store, Entry(id=BlobID(name), version=Version(1), kind=kind), name.encode())
    return store


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ["a", "ab", "abc", "b0", "bz", "z9"]),
        ({"limit": 2}, ["a", "ab"]),
        ({"limit": 2, "after": "ab"}, ["abc", "b0"]),
        ({"after": "aa"}, ["ab", "abc", "b0", "bz", "z9"]),
        ({"after": "z9"}, []),
        ({"prefix": "a"}, ["a", "ab", "abc"]),
        ({"prefix": "bz"}, ["bz"]),
        ({"prefix": "z"}, ["z9"]),
        ({"prefix": "a", "after": "ab"}, ["abc"]),
        ({"prefix": "b", "after": "ab"}, ["b0", "bz"]),
        ({"prefix": "c"}, []),
        ({"kind": Kind.CHUNK}, ["abc", "bz"]),
        ({"kind": Kind.MANIFEST}, ["ab"]),
        ({"kind": Kind.BLOB, "after": "a", "limit": 1}, ["b0"]),
    ],
)
def test_names_are_listed_in_pages(named: IBlobStore, arguments: dict[str, Any], names: list[str]) -> None:
    """Ascending, behind `after`, with the prefix, of the kind, no more than the limit."""
    assert list(success_of(named.enumerate(**arguments))) == names


def test_paging_gives_each_name_once(named: IBlobStore) -> None:
    """Whoever goes on behind the last name sees all of them, and then nothing."""
    seen: list[str] = []
    while page := success_of(named.enumerate(after=seen[-1] if seen else "", limit=1)):
        seen += page
    assert seen == ["a", "ab", "abc", "b0", "bz", "z9"]


def test_a_closed_store_serves_nothing(store: IBlobStore) -> None:
    """Once it is closed, it is out of reach."""
    if not hasattr(store, "close"):
        pytest.skip("this store has nothing to close")
    success_of(store.close())
    for refused in (store.fetch(HELLO.id), store.stat(HELLO.id), store.enumerate(), store.receive(HELLO, BytesBody(b"x"))):
        assert isinstance(failure_of(refused), Unavailable)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
