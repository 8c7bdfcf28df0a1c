"""Uploads of objects that are cut into chunks, over memory stores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions import placement
from sos.decisions.manifest import MOST_CHUNKS, Chunk, Manifest, chunk_id, manifest_json, manifest_of
from sos.http.bodies import PIECE, BytesBody, collect
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.group_write import GIVE_UP, STRAGGLE
from sos.usecases.uploads import Uploaded, Uploads
from sos.words.blob import NO_METADATA, BlobID, Entry, Kind, Metadata, Span, Version
from sos.words.errors import (
    BlobTooLarge,
    BlobTruncated,
    NotEnoughCopies,
    ServerUnavailable,
    SOSError,
    StoreFull,
    UploadTooSlow,
)
from sos.words.interfaces import IBlobStore, OpenBlob, Received
from tests.store.test_staging import PushingBody
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put

CHUNK = 2 * PIECE
MOST = 5 * CHUNK
SMALL = 64
"""Bytes of a chunk where many uploads are made."""
STEVE = Metadata.of([(b"X-Orig-Filename", b"steve.jpg")])
OTHER = Metadata.of([(b"X-Orig-Filename", b"other.jpg")])
DOWN = ServerUnavailable("http://a:3001", "connection refused")
FULL = StoreFull("full")


def payload_of(size: int, seed: int = 0) -> bytes:
    """Make bytes of which no two chunks are equal."""
    return b"".join(b"%016d" % number for number in range(seed, seed + size // 16 + 1))[:size]


def id_of(payload: bytes) -> BlobID:
    """Give the ID of an object."""
    return BlobID(hashlib.sha1(payload).hexdigest())


def chunk_ids(payload: bytes, size: int = CHUNK) -> list[BlobID]:
    """Give the IDs of the chunks that an object is cut into."""
    return [chunk_id(hashlib.sha256(payload[at : at + size]).digest()) for at in range(0, len(payload), size)]


def body_of(payload: bytes, piece: int = PIECE, is_declared: bool = True) -> BytesBody:
    """Make a body that comes in pieces, and says its length or not."""
    body = BytesBody(*(payload[at : at + piece] for at in range(0, len(payload), piece)))
    if not is_declared:
        body.length = None  # type: ignore[assignment]
    return body


def uploads_to(cluster: Cluster, timer: Clock | None = None, min_copies: int | None = None) -> Uploads:
    """Make the use case, with chunks of 128 KiB and room for eight."""
    return Uploads(Copies(cluster, timer or Clock(), min_copies), hashlib.sha1, MOST, CHUNK, 8 * CHUNK)


def small_uploads_to(cluster: Cluster) -> Uploads:
    """Make the use case, with chunks of 64 bytes and room for eight."""
    return Uploads(Copies(cluster, Clock()), hashlib.sha1, 5 * SMALL, SMALL, 8 * SMALL)


def upload(uploads: Uploads, payload: bytes, metadata: Metadata = STEVE) -> Uploaded:
    """Upload an object, which must go well at once and leave nothing in memory."""
    uploaded = success_of(uploads.upload(body_of(payload), metadata))
    assert (uploaded.id, uploaded.size, uploads.budget.used) == (id_of(payload), len(payload), 0)
    return uploaded


def read(store: IBlobStore, blob_id: BlobID) -> tuple[Entry, bytes]:
    """Read a blob."""
    opened = success_of(store.fetch(blob_id))
    return opened.entry, success_of(collect(opened.body, MOST))


def object_at(store: IBlobStore, object_id: BlobID) -> bytes:
    """Put an object together from what one member holds."""
    entry, payload = read(store, object_id)
    if entry.kind is Kind.BLOB:
        return payload
    manifest = manifest_of(payload, object_id)
    held = [read(store, chunk.id) for chunk in manifest.chunks]
    assert all((entry.kind, entry.metadata, entry.expires) == (Kind.CHUNK, NO_METADATA, None) for entry, _ in held)
    assert [len(piece) for _, piece in held] == [chunk.size for chunk in manifest.chunks]
    return b"".join(piece for _, piece in held)


def kinds_at(store: IBlobStore) -> dict[Kind, int]:
    """Count what a member holds."""
    return {kind: len(success_of(store.enumerate(kind=kind))) for kind in Kind}


class OfKind(Flaky):
    """A member that refuses one kind of blobs from the n-th on."""

    def __init__(self, store: IBlobStore, kind: Kind, error: Exception, first: int = 0) -> None:
        super().__init__(store)
        self.refused, self._error, self._left = kind, error, first

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        if entry.kind is self.refused:
            self._left -= 1
            if self._left < 0:
                body.stopProducing()
                raise self._error
        return await super().receive(entry, body)


class Held(Flaky):
    """A member that takes each blob and says so when it is let go."""

    def __init__(self, store: IBlobStore) -> None:
        super().__init__(store)
        self.waiting: list[Deferred[None]] = []

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        received = await super().receive(entry, body)
        waiting: Deferred[None] = Deferred()
        self.waiting.append(waiting)
        await waiting
        return received

    def let_go(self) -> None:
        """Answer all that waits."""
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)


@implementer(IBlobStore)
class OldContract:
    """A member that cannot renew anything."""

    def __init__(self, store: IBlobStore) -> None:
        self.receive, self.enumerate = store.receive, store.enumerate
        self._store = store

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        return await self._store.fetch(blob_id, span)

    async def stat(self, blob_id: BlobID) -> Entry:
        return evolve(await self._store.stat(blob_id), version=Version(0), sha256=None)


SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 1, MOST]


@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_any_size_is_there_in_one_piece_or_in_chunks(size: int, is_declared: bool) -> None:
    """Torture H45: what fits into one chunk is a blob of its own, and so is one of exactly that size."""
    store, payload = memory_store(), payload_of(size)
    uploads = uploads_to(cluster_of(one={"a": store}))
    uploaded = success_of(uploads.upload(body_of(payload, 10_000, is_declared), STEVE, expires=1_800_000_000))
    assert (uploaded.id, uploaded.size, uploaded.copies) == (id_of(payload), size, 1)
    assert object_at(store, uploaded.id) == payload
    entry = success_of(store.stat(uploaded.id))
    assert (entry.metadata, entry.expires) == (STEVE, 1_800_000_000)
    assert entry.kind is (Kind.BLOB if size <= CHUNK else Kind.MANIFEST)
    chunks = len(set(chunk_ids(payload))) if size > CHUNK else 0
    assert kinds_at(store)[Kind.CHUNK] == chunks
    assert uploads.budget.used == 0


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_byte_too_many_is_refused(is_declared: bool) -> None:
    """At once where it was declared; else when it comes, and then there are chunks that nothing names."""
    store = memory_store()
    uploads = uploads_to(cluster_of(one={"a": store}))
    body = body_of(payload_of(MOST + 1), is_declared=is_declared)
    assert isinstance(failure_of(uploads.upload(body, STEVE)), BlobTooLarge)
    kinds = kinds_at(store)
    assert kinds[Kind.BLOB] + kinds[Kind.MANIFEST] == 0
    assert bool(kinds[Kind.CHUNK]) is not is_declared
    assert uploads.budget.used == 0


def test_an_object_has_no_more_chunks_than_a_manifest_can_name() -> None:
    """It is refused before its first byte."""
    uploads = Uploads(Copies(cluster_of(one={"a": memory_store()}), Clock()), hashlib.sha1, 1 << 40, PIECE)
    body = body_of(b"x")
    body.length = MOST_CHUNKS * PIECE + 1
    assert isinstance(failure_of(uploads.upload(body, STEVE)), BlobTooLarge)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 3 * SMALL), min_size=1, max_size=12), st.booleans())
def test_the_pieces_in_which_it_comes_make_no_difference(sizes: list[int], is_declared: bool) -> None:
    """The same bytes are the same chunks and the same manifest."""
    payload = payload_of(min(sum(sizes), 5 * SMALL))
    ends = [sum(sizes[: count + 1]) for count in range(len(sizes))]
    body = BytesBody(*(payload[end - size : end] for size, end in zip(sizes, ends, strict=True)))
    if not is_declared:
        body.length = None  # type: ignore[assignment]
    store = memory_store()
    uploaded = success_of(small_uploads_to(cluster_of(one={"a": store})).upload(body, STEVE))
    assert object_at(store, uploaded.id) == payload
    if len(payload) > SMALL:
        chunks = [Chunk(name, min(SMALL, len(payload) - SMALL * n)) for n, name in enumerate(chunk_ids(payload, SMALL))]
        assert read(store, uploaded.id)[1] == manifest_json(Manifest(id_of(payload), tuple(chunks)))


def test_a_body_of_crumbs_is_kept_as_whole_pieces() -> None:
    """A million objects of one byte would take forty times what is counted."""
    store, payload = Flaky(memory_store()), payload_of(CHUNK)
    seen: list[int] = []

    class Looking(OfKind):
        async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
            assert isinstance(body, BytesBody)
            seen.append(len(body.pieces))
            return await super().receive(entry, body)

    looking = Looking(store, Kind.CHUNK, FULL)
    success_of(uploads_to(cluster_of(one={"a": looking})).upload(body_of(payload, 7), STEVE))
    assert seen[0] <= 3


def test_bytes_that_look_like_a_manifest_are_bytes() -> None:
    """Torture H59: only the kind of an entry makes a manifest, and no client can set that."""
    store = memory_store()
    payload = manifest_json(Manifest(BlobID("a" * 40), (Chunk(chunk_ids(b"x")[0], 1),)))
    uploaded = upload(uploads_to(cluster_of(one={"a": store})), payload)
    assert success_of(store.stat(uploaded.id)).kind is Kind.BLOB


# Copies and groups


def test_the_copies_of_an_object_are_those_of_its_rarest_part() -> None:
    """One chunk at one member less makes it one copy less."""
    rare = OfKind(memory_store("b"), Kind.CHUNK, FULL, first=2)
    cluster = cluster_of(one={"a": memory_store("a"), "b": rare})
    assert upload(uploads_to(cluster), payload_of(3 * CHUNK)).copies == 1
    cluster = cluster_of(one={"a": memory_store("a"), "b": OfKind(memory_store("b"), Kind.MANIFEST, DOWN)})
    assert upload(uploads_to(cluster), payload_of(3 * CHUNK)).copies == 1
    cluster = cluster_of(one={"a": memory_store("a"), "b": memory_store("b")})
    assert upload(uploads_to(cluster), payload_of(3 * CHUNK)).copies == 2


def two_groups(payload: bytes, home: IBlobStore, other: IBlobStore) -> Cluster:
    """Make a cluster of two groups; `home` is that of the first chunk of some bytes."""
    probe = cluster_of(one={"a": memory_store()}, two={"b": memory_store()})
    first = placement.order(chunk_ids(payload)[0], probe.topology.groups)[0].name
    stores = {"one": other, "two": other, first: home}
    return cluster_of(one={"a": stores["one"]}, two={"b": stores["two"]})


def test_all_chunks_are_in_the_group_of_the_first_one() -> None:
    """So an object depends on two groups at most, not on all."""
    for seed in range(0, 10**6, 10**5):
        payload = payload_of(4 * CHUNK, seed)
        home, other = memory_store("home"), memory_store("other")
        upload(uploads_to(two_groups(payload, home, other)), payload)
        assert (kinds_at(home)[Kind.CHUNK], kinds_at(other)[Kind.CHUNK]) == (4, 0)


@pytest.mark.parametrize("error", [FULL, DOWN])
def test_a_group_that_takes_no_more_chunks_is_followed_by_the_next(error: Exception) -> None:
    """They are no strays: a chunk may be in any group. And it is not asked again for each of them."""
    payload = payload_of(5 * CHUNK)
    home, other = OfKind(memory_store("home"), Kind.CHUNK, error, first=1), memory_store("other")
    upload(uploads_to(two_groups(payload, home, other)), payload)
    assert (kinds_at(home)[Kind.CHUNK], kinds_at(other)[Kind.CHUNK]) == (1, 4)
    assert not any(success_of(other.stat(name)).is_stray for name in chunk_ids(payload)[1:])
    assert home.calls.count("receive") <= 3  # two chunks are under way at a time


# Failures


@pytest.mark.parametrize(("error", "told"), [(DOWN, NotEnoughCopies), (FULL, StoreFull)])
@pytest.mark.parametrize("number", range(5))
def test_no_manifest_is_written_where_a_chunk_is_missing(number: int, error: Exception, told: type[SOSError]) -> None:
    """Torture F32: whichever chunk it is."""
    store = OfKind(memory_store(), Kind.CHUNK, error, first=number)
    uploads = uploads_to(cluster_of(one={"a": store}))
    assert isinstance(failure_of(uploads.upload(body_of(payload_of(5 * CHUNK)), STEVE)), told)
    kinds = kinds_at(store)
    assert (kinds[Kind.MANIFEST], kinds[Kind.BLOB]) == (0, 0)
    assert uploads.budget.used == 0


def test_no_manifest_is_written_before_the_last_chunk_is_durable() -> None:
    """Torture F32: nothing names a chunk that a member may still lose."""
    store = Held(memory_store())
    uploading = Deferred.fromCoroutine(
        uploads_to(cluster_of(one={"a": store})).upload(body_of(payload_of(2 * CHUNK)), STEVE)
    )
    for left in (2, 1):
        assert (len(store.waiting), kinds_at(store)[Kind.MANIFEST]) == (left, 0)
        store.waiting.pop(0).callback(None)
    assert (len(store.waiting), kinds_at(store)[Kind.MANIFEST]) == (1, 1)
    store.let_go()
    assert success_of(uploading).copies == 1


@pytest.mark.parametrize(("error", "told"), [(DOWN, NotEnoughCopies), (FULL, StoreFull)])
def test_a_manifest_that_nobody_takes_is_no_upload(error: Exception, told: type[SOSError]) -> None:
    """Torture F32: its chunks are for the sweep."""
    store = OfKind(memory_store(), Kind.MANIFEST, error)
    uploads = uploads_to(cluster_of(one={"a": store}))
    assert isinstance(failure_of(uploads.upload(body_of(payload_of(3 * CHUNK)), STEVE)), told)
    assert kinds_at(store) == {Kind.BLOB: 0, Kind.MANIFEST: 0, Kind.CHUNK: 3}
    assert uploads.budget.used == 0


def test_a_chunk_that_nobody_takes_ends_the_upload_at_once() -> None:
    """Not when the next chunk is full: the client may be slow."""
    store = Held(memory_store())
    cluster = cluster_of(one={"a": OfKind(store, Kind.CHUNK, DOWN, first=1)})
    uploads = uploads_to(cluster)
    body = PushingBody()
    uploading = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    payload = payload_of(2 * CHUNK + 1)
    body.write(payload[: CHUNK + 1])
    assert not uploading.called
    body.write(payload[CHUNK + 1 :])
    assert isinstance(failure_of(uploading), NotEnoughCopies)
    assert body.is_stopped
    store.let_go()
    assert uploads.budget.used == 0


@pytest.mark.parametrize("arrived", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK + 1])
def test_a_client_that_leaves_takes_everything_with_it(arrived: int) -> None:
    """Torture F2 and F3: its body is stopped, its memory is free, and there is no manifest."""
    store = Held(memory_store())
    uploads = uploads_to(cluster_of(one={"a": store}))
    body = PushingBody()
    uploading: Deferred[Uploaded] = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    body.write(payload_of(arrived))
    uploading.cancel()
    failure_of(uploading)
    assert body.is_stopped
    assert uploads.budget.used == 0
    assert kinds_at(store)[Kind.MANIFEST] == 0


class Noting(Held):
    """A member that notes which writes were called off."""

    def __init__(self, store: IBlobStore) -> None:
        super().__init__(store)
        self.called_off: list[BlobID] = []

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        try:
            return await super().receive(entry, body)
        except CancelledError:
            self.called_off.append(entry.id)
            raise


def test_writes_are_called_off_in_the_order_in_which_they_began() -> None:
    """A run with a seed, a simulation's too, can be had again."""
    payload = payload_of(2 * CHUNK)
    for _ in range(8):  # of two in any order, one time in two would be right
        store = Noting(memory_store())
        uploading = Deferred.fromCoroutine(uploads_to(cluster_of(one={"a": store})).upload(body_of(payload), STEVE))
        uploading.cancel()
        failure_of(uploading)
        assert store.called_off == chunk_ids(payload)


def test_a_body_that_breaks_off_leaves_chunks_and_no_manifest() -> None:
    """Whatever it broke off with is told."""
    store = memory_store()
    uploads = uploads_to(cluster_of(one={"a": store}))
    body = PushingBody()
    uploading = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    body.write(payload_of(2 * CHUNK + 1))
    body.done.errback(BlobTruncated("cut"))
    assert isinstance(failure_of(uploading), BlobTruncated)
    assert kinds_at(store) == {Kind.BLOB: 0, Kind.MANIFEST: 0, Kind.CHUNK: 2}
    assert uploads.budget.used == 0


@pytest.mark.parametrize("days", [0.9, 1.1])
def test_an_upload_may_last_a_day(days: float) -> None:
    """A sweep may have removed the first chunks of one that lasts for longer: it must not be acknowledged without them."""
    timer, store = Clock(), memory_store()
    uploads = uploads_to(cluster_of(one={"a": store}), timer)
    body = PushingBody()
    uploading = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    payload = payload_of(2 * CHUNK + 1)
    body.write(payload[:-1])
    timer.advance(days * 86_400)
    body.write(payload[-1:])
    body.done.callback(None)
    if days < 1:
        assert success_of(uploading).size == len(payload)
    else:
        assert isinstance(failure_of(uploading), UploadTooSlow)
    assert kinds_at(store)[Kind.MANIFEST] == (days < 1)
    assert uploads.budget.used == 0


# What is there already


def calls_of(store: Flaky, act: Callable[[], object]) -> list[str]:
    """Give what a store was asked for by something."""
    before = len(store.calls)
    act()
    return store.calls[before:]


@pytest.mark.parametrize("size", [PIECE + 1, CHUNK, 4 * CHUNK + 1])
def test_an_object_that_is_there_is_renewed_and_no_byte_is_sent(size: int) -> None:
    """Its metadata is replaced, at every member, and all of it gets newer versions."""
    stores = {name: Flaky(memory_store(name)) for name in "ab"}
    uploads = uploads_to(cluster_of(one=stores))
    payload = payload_of(size)
    upload(uploads, payload)
    names = success_of(stores["a"].enumerate())
    before = {name: success_of(stores["a"].stat(name)).version for name in names}
    for store in stores.values():
        store.calls.clear()
    assert upload(uploads, payload, OTHER).copies == 2
    for store in stores.values():
        assert "receive" not in store.calls
        assert object_at(store, id_of(payload)) == payload
        assert success_of(store.stat(id_of(payload))).metadata == OTHER
        assert all(success_of(store.stat(name)).version > before[name] for name in names)


def test_a_small_blob_is_sent_without_asking() -> None:
    """To ask costs as much as to send it."""
    store = Flaky(memory_store())
    assert calls_of(store, lambda: upload(uploads_to(cluster_of(one={"a": store})), payload_of(PIECE))) == ["receive"]


def test_an_upload_that_was_broken_off_sends_what_is_missing() -> None:
    """The chunks that made it are renewed."""
    store = Flaky(memory_store())
    uploads = uploads_to(cluster_of(one={"a": store}))
    payload = payload_of(5 * CHUNK)
    body = PushingBody()
    uploading = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    body.write(payload[: 3 * CHUNK + 5])
    body.done.errback(BlobTruncated("cut"))
    failure_of(uploading)
    calls = calls_of(store, lambda: upload(uploads, payload))
    assert calls.count("receive") == 3  # two chunks and the manifest
    assert object_at(store, id_of(payload)) == payload


def test_a_chunk_that_is_damaged_is_sent_again() -> None:
    """Its entry is there, its bytes are not."""
    store = memory_store()
    uploads = uploads_to(cluster_of(one={"a": store}))
    payload = payload_of(3 * CHUNK)
    upload(uploads, payload)
    store.damage(chunk_ids(payload)[1])
    upload(uploads, payload)
    assert object_at(store, id_of(payload)) == payload


def test_what_one_member_lacks_is_sent_to_that_one() -> None:
    """The others renew."""
    full, empty = Flaky(memory_store("a")), Flaky(memory_store("b"))
    payload = payload_of(3 * CHUNK)
    upload(uploads_to(cluster_of(one={"a": full})), payload)
    full.calls.clear()
    assert upload(uploads_to(cluster_of(one={"a": full, "b": empty})), payload).copies == 2
    assert full.calls.count("receive") == 0
    assert object_at(empty, id_of(payload)) == payload


def test_a_server_that_cannot_renew_is_sent_the_bytes_again() -> None:
    """The same bytes under the same ID are 200 there."""
    store = memory_store()
    cluster = cluster_of(one={"a": OldContract(store)})
    payload = payload_of(3 * CHUNK)
    upload(uploads_to(cluster), payload)
    assert upload(uploads_to(cluster), payload, OTHER).copies == 1
    assert object_at(store, id_of(payload)) == payload
    assert success_of(store.stat(id_of(payload))).metadata == OTHER


def test_an_object_that_is_there_as_one_blob_stays_so() -> None:
    """It was stored where chunks were larger: its metadata is renewed, and the chunks are stored in vain."""
    stores = {name: memory_store(name) for name in "ab"}
    payload = payload_of(3 * CHUNK)
    for store in stores.values():
        put(store, payload, id_of(payload))
    assert upload(uploads_to(cluster_of(one=stores)), payload, OTHER).copies == 2
    for store in stores.values():
        entry = success_of(store.stat(id_of(payload)))
        assert (entry.kind, entry.metadata) == (Kind.BLOB, OTHER)


def test_a_blob_that_too_few_members_hold_is_followed_by_a_manifest_at_all() -> None:
    """The newer wins, and what is acknowledged is on enough members."""
    stores = {name: memory_store(name) for name in "abc"}
    payload = payload_of(3 * CHUNK)
    put(stores["a"], payload, id_of(payload))
    put(stores["b"], payload, id_of(payload))
    stores["b"].damage(id_of(payload))
    assert upload(uploads_to(cluster_of(one=stores)), payload, OTHER).copies == 3
    entries = {success_of(store.stat(id_of(payload))) for store in stores.values()}
    assert [(entry.kind, entry.metadata) for entry in entries] == [(Kind.MANIFEST, OTHER)]


def test_what_was_cut_in_another_way_is_replaced() -> None:
    """Nobody has looked at the chunks of that manifest: they may be gone."""
    store = memory_store()
    payload = payload_of(3 * CHUNK)
    halves = [Chunk(name, PIECE) for name in chunk_ids(payload, PIECE)]
    put(store, manifest_json(Manifest(id_of(payload), tuple(halves))), id_of(payload), kind=Kind.MANIFEST)
    upload(uploads_to(cluster_of(one={"a": store})), payload)
    assert object_at(store, id_of(payload)) == payload


# Memory


def test_one_upload_has_three_chunks_in_memory_at_most() -> None:
    """Torture H53: also where a member is slow, and is left behind."""
    timer, slow = Clock(), Held(memory_store("b"))
    uploads = uploads_to(cluster_of(one={"a": memory_store("a"), "b": slow}), timer)
    body = PushingBody()
    uploading = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    payload = payload_of(5 * CHUNK)
    most = 0
    for at in range(0, len(payload), PIECE):
        while body.is_paused:
            timer.advance(STRAGGLE)
        body.write(payload[at : at + PIECE])
        most = max(most, uploads.budget.used)
    body.done.callback(None)
    for _ in range(100):
        timer.advance(STRAGGLE)
    assert success_of(uploading).copies == 1
    assert most == 3 * CHUNK
    assert uploads.budget.used == 0


def test_a_chunk_is_in_memory_until_the_last_member_has_ended() -> None:
    """It may be acknowledged before: what a slow member still takes is counted."""
    timer, slow = Clock(), Held(memory_store("b"))
    uploads = uploads_to(cluster_of(one={"a": memory_store("a"), "b": slow}), timer)
    uploading = Deferred.fromCoroutine(uploads.upload(body_of(payload_of(CHUNK)), STEVE))
    timer.advance(STRAGGLE)
    assert success_of(uploading).copies == 1
    assert uploads.budget.used == CHUNK
    timer.advance(GIVE_UP)
    assert uploads.budget.used == 0


def test_a_copy_that_comes_late_is_counted_where_it_comes_before_the_end() -> None:
    """A disk may be slow for a moment: what the answer says is what is durable when it is given."""
    timer, slow = Clock(), Held(memory_store("b"))
    uploads = uploads_to(cluster_of(one={"a": memory_store("a"), "b": slow}), timer)
    body = PushingBody()
    uploading = Deferred.fromCoroutine(uploads.upload(body, STEVE))
    payload, late = payload_of(5 * CHUNK), 0
    for at in range(0, len(payload), PIECE):
        while body.is_paused:
            timer.advance(STRAGGLE)  # what is in memory is acknowledged without the slow member, which answers then
            slow.waiting.pop(0).callback(None)
            late += 1
        body.write(payload[at : at + PIECE])
    assert late
    body.done.callback(None)
    while not uploading.called:
        assert slow.waiting, "all that is waited for is the slow member"
        slow.waiting.pop(0).callback(None)
    assert success_of(uploading).copies == 2
    assert uploads.budget.used == 0


def test_a_body_that_is_in_memory_waits_for_room_as_well() -> None:
    """And takes what is there at once where there is room."""
    store = Held(memory_store())
    uploads = small_uploads_to(cluster_of(one={"a": store}))
    payloads = [payload_of(SMALL, 1000 * number) for number in range(12)]
    uploading = [Deferred.fromCoroutine(uploads.upload(BytesBody(payload), STEVE)) for payload in payloads]
    assert 4 * SMALL <= uploads.budget.used <= 8 * SMALL
    for _ in payloads:
        store.let_go()
        assert uploads.budget.used <= 8 * SMALL
    assert [success_of(one).id for one in uploading] == [id_of(payload) for payload in payloads]
    assert uploads.budget.used == 0


class Client:
    """Sends an upload, a piece at a time, as far as it is let."""

    def __init__(self, uploads: Uploads, payload: bytes) -> None:
        self.body = PushingBody()
        self.body.length = len(payload)
        self._left: Sequence[bytes] = [payload[at : at + 16] for at in range(0, len(payload), 16)]
        self.uploading = Deferred.fromCoroutine(uploads.upload(self.body, STEVE))

    def step(self) -> None:
        """Send the next piece, unless told to wait."""
        if self._left and not self.body.is_paused:
            piece, *self._left = self._left
            self.body.write(piece)
            if not self._left:
                self.body.done.callback(None)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 5 * SMALL), min_size=5, max_size=12), st.data())
def test_uploads_that_need_more_memory_than_there_is_wait_for_each_other_and_all_end(
    sizes: list[int], data: st.DataObject
) -> None:
    """Torture F41: clients and members are as slow as they like, and the limit is never passed."""
    store = Held(memory_store())
    uploads = small_uploads_to(cluster_of(one={"a": store}))
    clients = [Client(uploads, payload_of(size, 10**6 * number)) for number, size in enumerate(sizes)]
    for number in data.draw(st.lists(st.integers(0, len(clients)), max_size=60)):
        if number == len(clients):
            store.let_go()
        else:
            clients[number].step()
        assert uploads.budget.used <= 8 * SMALL
    for _ in range(1000):
        if all(client.uploading.called for client in clients):
            break
        for client in clients:
            client.step()
            assert uploads.budget.used <= 8 * SMALL
        store.let_go()
    assert [success_of(client.uploading).size for client in clients] == sizes
    assert uploads.budget.used == 0
