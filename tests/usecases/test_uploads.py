"""Uploads over memory stores."""

from __future__ import annotations

import hashlib

import pytest
from twisted.internet.task import Clock

from sos.decisions import placement
from sos.decisions.health import Health
from sos.http.bodies import BytesBody, PushedBody, collect
from sos.store.memory import MemoryStore
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.uploads import Uploads
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BlobConflict, BlobTooLarge, BlobTruncated, NotEnoughCopies, ServerUnavailable, StoreFull
from sos.words.interfaces import IBlobStore
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import Flaky, clock, cluster_of, memory_store, server

HELLO = BlobID(hashlib.sha1(b"hello").hexdigest())
STEVE = Metadata.of([(b"X-Orig-Filename", b"steve.jpg")])
DOWN = ServerUnavailable("http://a:3001", "connection refused")


def uploads_to(cluster: Cluster, most: int = 1000) -> Uploads:
    """Make the use case, naming objects by SHA-1."""
    return Uploads(Copies(cluster, Clock()), hashlib.sha1, most)


def held_by(store: IBlobStore, blob_id: BlobID) -> bytes:
    """Read a blob."""
    return success_of(collect(success_of(store.fetch(blob_id)).body, 10_000))


def test_an_object_is_named_by_its_bytes_and_kept_with_its_metadata() -> None:
    """The ID is the digest, whatever the pieces in which the bytes came."""
    store = memory_store()
    uploads = uploads_to(cluster_of(one={"a": store}))
    uploaded = success_of(uploads.upload(BytesBody(b"he", b"l", b"lo"), STEVE))
    assert (uploaded.id, uploaded.size, uploaded.copies) == (HELLO, 5, 1)
    assert held_by(store, HELLO) == b"hello"
    entry = success_of(store.stat(HELLO))
    assert entry.metadata == STEVE
    assert entry.sha256 == hashlib.sha256(b"hello").digest()


@pytest.mark.parametrize("refusal", [DOWN, StoreFull("full"), NotEnoughCopies("no")])
def test_the_next_member_takes_what_the_first_does_not(refusal: Exception) -> None:
    """Whatever one member refuses for its own reasons goes to the next, with a fresh body."""
    first, second = Flaky(memory_store(), always=refusal), memory_store()
    uploaded = success_of(uploads_to(cluster_of(one={"a": first, "b": second})).upload(bytes_body(b"hello"), STEVE))
    assert first.calls == ["receive"]
    assert held_by(second, uploaded.id) == b"hello"


def test_the_next_group_takes_what_the_home_group_does_not() -> None:
    """An ID has a home group, and spills over where that cannot take it."""
    down, well = Flaky(memory_store(), always=DOWN), memory_store()
    probe = cluster_of(one={"a": memory_store()}, two={"b": memory_store()})
    home = placement.order(HELLO, probe.topology.groups)[0].name
    stores: dict[str, IBlobStore] = {"one": well, "two": well, home: down}
    cluster = cluster_of(one={"a": stores["one"]}, two={"b": stores["two"]})
    success_of(uploads_to(cluster).upload(bytes_body(b"hello"), STEVE))
    assert down.calls == ["receive"]
    assert held_by(well, HELLO) == b"hello"


def test_nothing_is_acknowledged_when_no_member_takes_it() -> None:
    """Out of reach is 503 and full is 507; a mixture is 503, for it may pass by itself."""
    full, down = StoreFull("full"), DOWN
    for refusals, error in (([down, down], NotEnoughCopies), ([full, full], StoreFull), ([full, down], NotEnoughCopies)):
        members = {name: Flaky(memory_store(), always=refusal) for name, refusal in zip("ab", refusals, strict=True)}
        assert isinstance(failure_of(uploads_to(cluster_of(one=members)).upload(bytes_body(b"hello"), STEVE)), error)


def test_more_than_the_most_is_refused_whether_it_is_declared_or_just_comes() -> None:
    """A declared length is refused before a byte is read, an undeclared one when it passes the limit."""
    uploads = uploads_to(cluster_of(one={"a": memory_store()}), most=4)
    declared = bytes_body(b"hello")
    assert isinstance(failure_of(uploads.upload(declared, STEVE)), BlobTooLarge)
    undeclared = BytesBody(b"he", b"llo")
    undeclared.length = None  # type: ignore[assignment]
    assert isinstance(failure_of(uploads.upload(undeclared, STEVE)), BlobTooLarge)
    assert success_of(uploads.upload(bytes_body(b"hell"), STEVE)).size == 4


def test_a_body_that_fails_leaves_nothing() -> None:
    """An upload that ends early is stored nowhere."""

    class Cut(PushedBody):
        def next_piece(self) -> bytes:
            raise BlobTruncated("cut")

    store = memory_store()
    assert isinstance(failure_of(uploads_to(cluster_of(one={"a": store})).upload(Cut(5), STEVE)), BlobTruncated)
    assert success_of(store.enumerate()) == []


def test_an_upload_again_replaces_the_metadata_even_where_a_faster_clock_wrote_before() -> None:
    """The writer moves its clock past what is held and sends again: what was asked later wins."""
    store = memory_store()
    ahead = Entry(id=HELLO, version=Version(clock().tick() + (60_000 << 16)))
    success_of(store.receive(ahead, bytes_body(b"hello")))
    success_of(uploads_to(cluster_of(one={"a": store})).upload(bytes_body(b"hello"), STEVE))
    entry = success_of(store.stat(HELLO))
    assert entry.metadata == STEVE
    assert entry.version > ahead.version


def test_a_member_that_keeps_finding_newer_versions_ends_the_upload_in_the_end() -> None:
    """Three times to all members, and then the client is asked to come back: a liar must not hold it up for ever."""
    liar = Flaky(memory_store(), always=BlobConflict(HELLO, BlobConflict.OLDER, 5))
    uploads = uploads_to(cluster_of(one={"a": liar, "b": memory_store()}))
    assert isinstance(failure_of(uploads.upload(bytes_body(b"hello"), STEVE)), NotEnoughCopies)
    assert liar.calls == ["receive"] * 3


def test_other_bytes_under_the_same_digest_are_a_conflict_and_never_replaced() -> None:
    """A SHA-1 collision is told to the client who made it, and harms nobody else."""
    store = memory_store()
    success_of(store.receive(Entry(id=HELLO, version=Version(1)), bytes_body(b"other")))
    error = failure_of(uploads_to(cluster_of(one={"a": store})).upload(bytes_body(b"hello"), STEVE))
    assert isinstance(error, BlobConflict)
    assert error.reason == BlobConflict.OTHER_BYTES
    assert held_by(store, HELLO) == b"other"


def test_a_change_of_topology_is_seen_by_the_next_upload() -> None:
    """Servers that stay keep their stores, new ones get theirs."""
    stores: dict[str, MemoryStore] = {"a": memory_store("a"), "b": memory_store("b")}
    made: list[str] = []

    def store_for(wanted: object) -> IBlobStore:
        name = str(wanted)[len("http://")]
        made.append(name)
        return stores[name]

    before = cluster_of(one={"a": stores["a"]}).topology
    after = cluster_of(one={"b": stores["b"], "a": stores["a"]}).topology
    cluster = Cluster(before, store_for, Health(lambda: 0.5), Clock(), lambda servers: None, clock())
    cluster.change(after)
    success_of(uploads_to(cluster).upload(bytes_body(b"hello"), STEVE))
    assert made == ["a", "b"]
    assert cluster.topology.servers == (server("b"), server("a"))
    assert held_by(stores["b"], HELLO) == b"hello"
