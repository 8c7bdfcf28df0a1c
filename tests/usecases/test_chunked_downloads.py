"""Downloads of objects in chunks, over memory stores that fail, lie and fall silent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer

from sos.decisions.manifest import Manifest, manifest_json
from sos.decisions.tally import usual_min_copies
from sos.decisions.topology import Server
from sos.http.bodies import BytesBody, PushedBody, collect
from sos.store.memory import MemoryStore
from sos.usecases.cluster import Cluster
from sos.usecases.downloads import Downloads
from sos.usecases.first_answer import IMPATIENCE
from sos.words.blob import BlobID, Entry, Kind, Metadata, Span, Version
from sos.words.errors import (
    BlobDamaged,
    BlobNotFound,
    BlobTruncated,
    RangeNotSatisfiable,
    ServerUnavailable,
    Unavailable,
)
from sos.words.interfaces import IBlobStore, OpenBlob
from tests.support import ScriptedConsumer, bytes_body, failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, manifest_for, memory_store, put, put_chunked, server

PAYLOAD = b"0123456789abcdefghijklm"
OBJECT = BlobID(hashlib.sha1(PAYLOAD).hexdigest())
CHUNK = 5
CHUNKS = manifest_for(PAYLOAD, OBJECT, CHUNK).chunks
NUMBERS = range(len(CHUNKS))
DOWN = ServerUnavailable("http://a:3001", "connection refused")

Bad = Callable[[OpenBlob], IBodyProducer]
"""Gives the body that a bad member gives instead of the right one."""


def downloads_of(cluster: Cluster, clock: Clock | None = None, most_memory: int = 1000) -> Downloads:
    """Make the use case with the usual copies."""
    return Downloads(cluster, usual_min_copies, clock or Clock(), most_memory=most_memory)


def holding(chunk_size: int = CHUNK, version: int = 1) -> IBlobStore:
    """Make a member that holds the object, its manifest and all of its chunks."""
    store = memory_store()
    put_chunked(store, PAYLOAD, OBJECT, chunk_size, version)
    return store


def read(downloads: Downloads, span: Span | None = None) -> bytes:
    """Download the object, or a part of it."""
    return success_of(collect(success_of(downloads.open(OBJECT, span)).body, 1000))


class Bent(Flaky):
    """A member that gives another body for one blob."""

    def __init__(self, store: IBlobStore, name: str, bad: Bad) -> None:
        super().__init__(store)
        self.fetched: list[str] = []
        self.suspected: list[str] = []
        self._name = name
        self._bad = bad

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        self.fetched.append(blob_id)
        opened = await super().fetch(blob_id, span)
        return evolve(opened, body=self._bad(opened)) if blob_id == self._name else opened

    async def suspect(self, blob_id: BlobID) -> None:
        self.suspected.append(blob_id)


class Breaking(PushedBody):
    """A body that breaks off behind its first byte."""

    _has_begun = False

    def next_piece(self) -> bytes:
        if self._has_begun:
            raise BlobTruncated("the member is gone")
        self._has_begun = True
        return b"0"


class Silent(PushedBody):
    """A body of which nothing comes."""

    def _push(self) -> None:
        """Push nothing."""


def wrong(opened: OpenBlob) -> BytesBody:
    """Give as many bytes, and others."""
    assert opened.entry.size is not None
    return BytesBody(b"#" * opened.entry.size)


BAD: dict[str, Bad] = {
    "wrong bytes": wrong,
    "too few": lambda opened: BytesBody(b"0"),
    "too many": lambda opened: BytesBody(b"0" * 1000),
    "breaks off": lambda opened: Breaking(opened.entry.size or 0),
}


@given(st.binary(min_size=1, max_size=60), st.integers(1, 9), st.data())
def test_what_is_poured_is_the_slice(payload: bytes, chunk_size: int, data: st.DataObject) -> None:
    """Of any object, cut in any way, any span; and so is all of it."""
    start = data.draw(st.integers(0, len(payload)))
    span = Span(start, data.draw(st.integers(0, len(payload) - start)))
    store = memory_store()
    put_chunked(store, payload, OBJECT, chunk_size)
    downloads = downloads_of(cluster_of(one={"a": store}))
    assert read(downloads, span) == payload[span.start : span.stop]
    assert read(downloads) == payload
    assert isinstance(failure_of(downloads.open(OBJECT, Span(start, len(payload) + 1))), RangeNotSatisfiable)


def test_the_client_sees_an_object_as_any_other() -> None:
    """Its size, its metadata, its expiry and its version; of the manifest nothing but that it is one."""
    store = memory_store()
    manifest = put_chunked(store, PAYLOAD, OBJECT, CHUNK)
    metadata = Metadata.of([(b"x-mime-type", b"text/plain")])
    entry = Entry(id=OBJECT, version=Version(9), kind=Kind.MANIFEST, metadata=metadata, expires=2_000_000_000)
    success_of(store.receive(entry, bytes_body(manifest_json(manifest))))
    downloads = downloads_of(cluster_of(one={"a": store}))
    stated = success_of(downloads.stat(OBJECT))
    assert (stated.size, stated.metadata, stated.expires, stated.version) == (
        len(PAYLOAD),
        metadata,
        2_000_000_000,
        Version(9),
    )
    opened = success_of(downloads.open(OBJECT))
    assert opened.entry == stated
    opened.body.stopProducing()


def test_a_manifest_is_read_once() -> None:
    """A player that asks for many ranges costs no more than its chunks; another manifest of the object is read again."""
    store = memory_store()
    put_chunked(store, PAYLOAD, OBJECT, CHUNK)
    member = Bent(store, "", wrong)
    downloads = downloads_of(cluster_of(one={"a": member}))
    for at in (0, 1, 2):
        assert success_of(downloads.stat(OBJECT)).size == len(PAYLOAD)
        assert read(downloads, Span(at, 2)) == PAYLOAD[at : at + 2]
    assert member.fetched == [OBJECT, CHUNKS[0].id, CHUNKS[0].id, CHUNKS[0].id]
    put_chunked(store, PAYLOAD, OBJECT, 20, version=2)
    assert read(downloads) == PAYLOAD
    assert member.fetched.count(OBJECT) == 2


def test_chunks_are_found_in_whatever_group_they_are() -> None:
    """They are placed by the first chunk, the manifest by the object, and a full group has spilled over."""
    manifest = manifest_for(PAYLOAD, OBJECT, CHUNK)
    for home in range(3):
        stores = [memory_store(name) for name in "abc"]
        put(stores[home], manifest_json(manifest), OBJECT, kind=Kind.MANIFEST)
        for number, chunk in enumerate(manifest.chunks):
            put(stores[(home + number) % 3], PAYLOAD[number * CHUNK :][:CHUNK], chunk.id, kind=Kind.CHUNK)
        cluster = cluster_of(one={"a": stores[0]}, two={"b": stores[1]}, three={"c": stores[2]})
        assert read(downloads_of(cluster)) == PAYLOAD


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("how", BAD)
def test_a_bad_chunk_of_one_member_is_never_seen(how: str, number: int) -> None:
    """Torture F36, B9, B13: another member gives it without a seam, in a part of the object as in all of it."""
    chunk = CHUNKS[number]
    for span in (None, Span(number * CHUNK, 1), Span(0, len(PAYLOAD))):
        bad = Bent(holding(), chunk.id, BAD[how])
        downloads = downloads_of(cluster_of(one={"a": bad, "b": holding()}))
        expected = PAYLOAD if span is None else PAYLOAD[span.start : span.stop]
        assert read(downloads, span) == expected
        assert bad.suspected == ([] if how == "breaks off" else [chunk.id])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_member_that_dies_is_replaced_at_any_chunk(number: int) -> None:
    """Torture F36: all it can still give is errors."""

    class Dying(Bent):
        async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
            if self._name in self.fetched:
                raise DOWN
            return await super().fetch(blob_id, span)

    dying = Dying(holding(), CHUNKS[number].id, lambda opened: Breaking(opened.entry.size or 0))
    assert read(downloads_of(cluster_of(one={"a": dying, "b": holding()}))) == PAYLOAD


@pytest.mark.parametrize("number", NUMBERS)
def test_a_member_that_falls_silent_costs_two_seconds(number: int) -> None:
    """Torture B10: at any chunk, and it is asked last from then on."""
    clock = Clock()
    silent = Bent(holding(), CHUNKS[number].id, lambda opened: Silent(opened.entry.size or 0))
    cluster = cluster_of(one={"a": silent, "b": holding()})
    consumer = ScriptedConsumer()

    async def pour() -> None:
        opened = await downloads_of(cluster, clock).open(OBJECT)
        await opened.body.startProducing(consumer)

    pouring = Deferred.fromCoroutine(pour())
    clock.advance(IMPATIENCE - 0.1)
    assert not pouring.called
    assert consumer.payload == PAYLOAD[: number * CHUNK]
    clock.advance(0.1)
    success_of(pouring)
    assert consumer.payload == PAYLOAD
    assert cluster.is_resting(server("a"))
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("how", [*BAD, "gone"])
def test_a_first_chunk_that_nobody_has_is_an_error_before_the_answer_begins(how: str) -> None:
    """The client gets a 503, and not the head of a 200."""
    store = Bent(holding(), CHUNKS[0].id, BAD.get(how, wrong))
    if how == "gone":
        success_of(store.remove(CHUNKS[0].id, Version(2)))
    error = failure_of(downloads_of(cluster_of(one={"a": store})).open(OBJECT))
    assert isinstance(error, Unavailable) and not isinstance(error, BlobNotFound)


@pytest.mark.parametrize("number", NUMBERS[1:])
@pytest.mark.parametrize("how", [*BAD, "gone"])
def test_a_later_chunk_that_nobody_has_cuts_the_body(how: str, number: int) -> None:
    """Torture F35: all that came before it was right, and it never ends well."""
    store = Bent(holding(), CHUNKS[number].id, BAD.get(how, wrong))
    if how == "gone":
        success_of(store.remove(CHUNKS[number].id, Version(2)))
    opened = success_of(downloads_of(cluster_of(one={"a": store})).open(OBJECT))
    consumer = ScriptedConsumer()
    assert isinstance(failure_of(opened.body.startProducing(consumer)), Unavailable)
    assert consumer.payload == PAYLOAD[: number * CHUNK]


def test_a_download_goes_on_when_the_object_is_deleted_meanwhile() -> None:
    """Torture F35: the manifest goes first, and the chunks stay for a week."""
    store = holding()
    downloads = downloads_of(cluster_of(one={"a": store}))
    opened = success_of(downloads.open(OBJECT))
    assert isinstance(store, MemoryStore)
    success_of(store.remove(OBJECT, Version(2)))
    assert success_of(collect(opened.body, 1000)) == PAYLOAD
    assert isinstance(failure_of(downloads.open(OBJECT)), BlobNotFound)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        PAYLOAD,
        manifest_json(manifest_for(PAYLOAD, "abc", CHUNK)),
        manifest_json(manifest_for(PAYLOAD, OBJECT, CHUNK)).replace(b'"size":23', b'"size":24'),
        manifest_json(manifest_for(PAYLOAD, OBJECT, CHUNK)).replace(b'["c', b'["/'),
        manifest_json(manifest_for(PAYLOAD, OBJECT, CHUNK)) + b" " * 100 + b"x",
    ],
)
def test_a_manifest_that_does_not_add_up_is_not_believed(payload: bytes) -> None:
    """Torture H60: the next member is asked; where none has a better one it is 503."""
    bad = memory_store()
    put(bad, payload, OBJECT, kind=Kind.MANIFEST)
    for ask in ("open", "stat"):
        alone = getattr(downloads_of(cluster_of(one={"a": bad})), ask)
        assert isinstance(failure_of(alone(OBJECT)), Unavailable)
        together = getattr(downloads_of(cluster_of(one={"a": bad, "b": holding()})), ask)
        success_of(together(OBJECT))


@pytest.mark.parametrize("how", BAD)
def test_wrong_bytes_of_a_manifest_are_never_believed(how: str) -> None:
    """Torture B9: not those that its SHA-256 does not have; the member is told."""
    bad = Bent(holding(), OBJECT, BAD[how])
    downloads = downloads_of(cluster_of(one={"a": bad, "b": holding()}))
    assert success_of(downloads.stat(OBJECT)).size == len(PAYLOAD)
    assert bad.suspected == ([] if how == "breaks off" else [OBJECT])


@pytest.mark.parametrize("kind", [Kind.BLOB, Kind.MANIFEST])
def test_what_is_no_chunk_is_not_taken_for_one(kind: Kind) -> None:
    """Torture H60: a manifest that names a manifest, or an object, leads nowhere."""
    store = memory_store()
    manifest = put_chunked(memory_store(), PAYLOAD, OBJECT, CHUNK)
    put(store, manifest_json(manifest), OBJECT, kind=Kind.MANIFEST)
    for number, chunk in enumerate(manifest.chunks):
        put(store, PAYLOAD[number * CHUNK :][:CHUNK], chunk.id, kind=kind)
    assert isinstance(failure_of(downloads_of(cluster_of(one={"a": store})).open(OBJECT)), Unavailable)


def test_a_chunk_of_another_size_than_the_manifest_says_is_refused() -> None:
    """Its bytes are those of its name, and the manifest is wrong."""

    class WithoutSizes(Flaky):
        """An old member: it says nothing of its blobs."""

        async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
            opened = await super().fetch(blob_id, span)
            return evolve(opened, entry=Entry(id=blob_id, kind=opened.entry.kind))

    chunks = (evolve(CHUNKS[0], size=4), evolve(CHUNKS[1], size=6), *CHUNKS[2:])
    for member in (Flaky, WithoutSizes):
        store = memory_store()
        put_chunked(store, PAYLOAD, OBJECT, CHUNK)
        put(store, manifest_json(Manifest(OBJECT, chunks)), OBJECT, version=2, kind=Kind.MANIFEST)
        assert isinstance(failure_of(downloads_of(cluster_of(one={"a": member(store)})).open(OBJECT)), Unavailable)


class Old(Flaky):
    """A member of the old contract: of its entries only the kind is known. It may exchange the bytes of a blob."""

    def __init__(self, store: IBlobStore, exchanged: Sequence[tuple[str, bytes]] = ()) -> None:
        super().__init__(store)
        self._exchanged = dict(exchanged)

    async def stat(self, blob_id: BlobID) -> Entry:
        return Entry(id=blob_id, kind=(await super().stat(blob_id)).kind)

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await super().fetch(blob_id, span)
        entry = Entry(id=blob_id, kind=opened.entry.kind)
        exchanged = self._exchanged.get(blob_id)
        return OpenBlob(entry, opened.body if exchanged is None else BytesBody(exchanged))


def test_an_old_member_may_hold_objects_in_chunks() -> None:
    """Torture B17: it gives the kind back as the metadata that it is to it."""
    downloads = downloads_of(cluster_of(one={"a": Old(holding())}))
    assert success_of(downloads.stat(OBJECT)) == success_of(downloads.open(OBJECT)).entry
    assert success_of(downloads.stat(OBJECT)).size == len(PAYLOAD)
    assert read(downloads) == PAYLOAD
    assert read(downloads, Span(4, 3)) == PAYLOAD[4:7]


def test_a_manifest_for_which_nobody_vouches_is_held_against_the_object() -> None:
    """Torture B17: an old member keeps no digest of it, so all bytes have to have the digest that is the ID."""
    other = PAYLOAD[:-1] + b"#"
    store = memory_store()
    put_chunked(store, other, OBJECT, CHUNK)
    opened = success_of(downloads_of(cluster_of(one={"a": Old(store)})).open(OBJECT))
    consumer = ScriptedConsumer()
    assert isinstance(failure_of(opened.body.startProducing(consumer)), BlobDamaged)
    assert len(consumer.payload) < len(other)


def test_memory_is_waited_for_and_nobody_is_refused() -> None:
    """Neither for a chunk nor for a plain object that is verified whole."""
    clock = Clock()
    plain = BlobID("plain")
    large = bytes(100_000)
    store = holding()
    put(store, large, plain)
    downloads = downloads_of(cluster_of(one={"a": store}), clock, most_memory=100_001)

    async def read_whole(name: BlobID) -> bytes:
        return await collect((await downloads.open(name)).body, len(large))

    first = success_of(downloads.open(plain))
    waiting = [Deferred.fromCoroutine(read_whole(name)) for name in (plain, OBJECT, plain)]
    assert not any(one.called for one in waiting)
    assert success_of(collect(first.body, len(large))) == large
    assert [success_of(one) for one in waiting] == [large, PAYLOAD, large]
    assert not clock.getDelayedCalls()


def test_a_question_about_an_object_does_not_wait_for_memory() -> None:
    """A manifest of usual size is read whatever others hold."""
    store = holding()
    put(store, bytes(100_000), "plain")
    downloads = downloads_of(cluster_of(one={"a": store}), most_memory=100_000)
    first = success_of(downloads.open(BlobID("plain")))
    waiting = Deferred.fromCoroutine(downloads.open(BlobID("plain")))
    assert success_of(downloads.stat(OBJECT)).size == len(PAYLOAD)
    first.body.stopProducing()
    success_of(waiting).body.stopProducing()


def test_what_is_missing_at_a_member_of_the_group_is_told() -> None:
    """A chunk that one lacks is brought there as an object is, without waiting for the round."""
    missed: list[tuple[Server, BlobID]] = []
    lacking = holding()
    assert isinstance(lacking, MemoryStore)
    success_of(lacking.remove(CHUNKS[1].id, Version(2)))
    cluster = cluster_of(one={"a": lacking, "b": holding()}, two={"c": memory_store()})
    downloads = Downloads(cluster, usual_min_copies, Clock(), lambda member, name: missed.append((member, name)))
    assert read(downloads) == PAYLOAD
    assert missed == [(server("a"), CHUNKS[1].id)]


def test_a_client_that_leaves_while_it_waits_for_memory_is_forgotten() -> None:
    """Whoever is behind it has its turn."""
    plain = BlobID("plain")
    store = memory_store()
    put(store, bytes(100_000), plain)
    downloads = downloads_of(cluster_of(one={"a": store}), most_memory=100_000)
    first = success_of(downloads.open(plain))
    leaving, staying = (Deferred.fromCoroutine(downloads.open(plain)) for _ in range(2))
    leaving.cancel()
    leaving.addErrback(lambda failure: None)
    first.body.stopProducing()
    success_of(staying).body.stopProducing()
    success_of(downloads.open(plain)).body.stopProducing()


def test_a_plain_object_that_is_read_slowly_is_fetched_again() -> None:
    """Its memory is lent to others meanwhile, and it goes on where it was; another member will do (torture F6)."""
    clock = Clock()
    plain, large = BlobID("plain"), bytes(range(256)) * 1000
    stores = [memory_store(name) for name in "ab"]
    for store in stores:
        put(store, large, plain)
    dying = Flaky(stores[0], [None, None, DOWN, DOWN])
    downloads = downloads_of(cluster_of(one={"a": dying, "b": stores[1]}), clock, most_memory=len(large))
    slow = success_of(downloads.open(plain))
    consumer = ScriptedConsumer(pause_after=1)
    consumer.registerProducer(slow.body, True)
    pouring = slow.body.startProducing(consumer)
    clock.advance(1)
    assert success_of(collect(success_of(downloads.open(plain)).body, len(large))) == large
    consumer.go_on()
    success_of(pouring)
    assert consumer.payload == large
