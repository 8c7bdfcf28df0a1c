"""The sweep: what goes, what stays, and what keeps it from removing anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from attrs import evolve, frozen
from twisted.internet.task import Clock

from sos.decisions.manifest import Chunk, Manifest, chunk_id, manifest_json
from sos.decisions.tally import usual_min_copies
from sos.store.memory import MemoryStore
from sos.store.name_set import NameSet
from sos.usecases.cluster import Cluster
from sos.usecases.replication import Replication, SilentReporter
from sos.usecases.sweep import LONGEST_SWEEP, Sweep, SweepReport
from sos.words.blob import BlobID, Entry, Kind, Version
from sos.words.errors import BlobDamaged, BlobNotFound, ServerUnavailable, Unsupported
from sos.words.interfaces import IBlobStore, Swept
from sos.words.versions import HybridClock
from tests.support import bytes_body, failure_of, immediately, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_with

DAY = 86_400.0
DOWN = ServerUnavailable("http://x:3001", "connection refused")
PAYLOADS = (b"first chunk", b"second")


@frozen
class Object:
    """An object of two chunks, as an upload leaves it."""

    id: BlobID
    payloads: tuple[bytes, ...]

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        chunks = (Chunk(chunk_id(hashlib.sha256(payload).digest()), len(payload)) for payload in self.payloads)
        return Manifest(self.id, tuple(chunks))


OBJECT = Object(BlobID("a" * 40), PAYLOADS)
OTHER = Object(BlobID("b" * 40), (PAYLOADS[1], b"its own"))


class Place:
    """Stores and an api on one wall clock."""

    def __init__(self) -> None:
        self.now = NOW

    def clock(self) -> HybridClock:
        """Make a clock of this place."""
        return HybridClock(lambda: self.now)

    def group_of(self, *stores: IBlobStore) -> Cluster:
        """Make one group of stores."""
        return cluster_with(self.clock(), {"one": {f"m{number}": store for number, store in enumerate(stores)}})

    def stores(self, names: str) -> list[MemoryStore]:
        """Make empty ones."""
        return [MemoryStore(name, self.clock()) for name in names]

    def wait(self, days: float = 8) -> None:
        """Let chunks grow old."""
        self.now += days * DAY


def put_chunks(stores: Sequence[IBlobStore], stored: Object, version: int = 1) -> None:
    """Store the chunks of an object."""
    for store in stores:
        for chunk, payload in zip(stored.manifest.chunks, stored.payloads, strict=True):
            entry = Entry(id=chunk.id, version=Version(version), kind=Kind.CHUNK)
            success_of(store.receive(entry, bytes_body(payload)))


def put_manifest(stores: Sequence[IBlobStore], stored: Object, version: int = 2, expires: int | None = None) -> None:
    """Store the manifest of an object."""
    for store in stores:
        entry = Entry(id=stored.id, version=Version(version), kind=Kind.MANIFEST, expires=expires)
        success_of(store.receive(entry, bytes_body(manifest_json(stored.manifest))))


def put(stores: Sequence[IBlobStore], stored: Object) -> None:
    """Store an object."""
    put_chunks(stores, stored)
    put_manifest(stores, stored)


def sweep(cluster: Cluster, ignored: Sequence[BlobID] = (), *, is_rehearsal: bool = False, page: int = 1000) -> SweepReport:
    """Sweep once."""
    made = Sweep(cluster, usual_min_copies, lambda: NameSet(immediately), page)
    return success_of(made.run(ignored, is_rehearsal))


def chunks_of(store: MemoryStore) -> set[BlobID]:
    """Name the chunks that a store has."""
    return set(success_of(store.enumerate(kind=Kind.CHUNK)))


def ids_of(*stored: Object) -> set[BlobID]:
    """Name the chunks of objects."""
    return {chunk.id for each in stored for chunk in each.manifest.chunks}


@pytest.mark.parametrize("page", [1, 1000])
def test_what_a_manifest_names_stays_and_the_rest_goes(page: int) -> None:
    """A chunk that a deleted object shared with another stays, too."""
    place = Place()
    stores = place.stores("ab")
    put(stores, OBJECT)
    put(stores, OTHER)
    for store in stores:
        success_of(store.remove(OTHER.id, Version(9)))
    place.wait()
    report = sweep(place.group_of(*stores), page=page)
    assert (report.is_complete, report.manifests, report.chunks) == (True, 1, 6)
    assert report.swept == Swept(2, 2 * len(b"its own"))
    assert [chunks_of(store) for store in stores] == [ids_of(OBJECT)] * 2


def test_after_a_sweep_the_members_are_equal_and_a_round_brings_nothing_back() -> None:
    """A member that was away keeps a copy of what is swept, and learns of it by the tombstone."""
    place = Place()
    stores = place.stores("abc")
    put_chunks(stores, OBJECT)
    place.wait()
    report = sweep(place.group_of(*stores[:2], Flaky(stores[2], always=DOWN)))
    assert (report.hindrances, report.swept.chunks) == ([], 4)
    success_of(Replication(place.group_of(*stores), SilentReporter()).round())
    assert [chunks_of(store) for store in stores] == [set()] * 3
    assert len({success_of(store.summary()).root for store in stores}) == 1


def test_what_is_young_stays() -> None:
    """An upload may last a day, and writes its manifest last."""
    place = Place()
    stores = place.stores("ab")
    put_chunks(stores, OBJECT)
    place.wait(days=2)
    assert sweep(place.group_of(*stores)).swept == Swept()
    put_manifest(stores, OBJECT)
    place.wait()
    assert sweep(place.group_of(*stores)).swept == Swept()
    assert chunks_of(stores[0]) == ids_of(OBJECT)


def test_a_rehearsal_counts_and_changes_nothing() -> None:
    """``sos sweep --dry-run``."""
    place = Place()
    stores = place.stores("ab")
    put_chunks(stores, OBJECT)
    place.wait()
    report = sweep(place.group_of(*stores), is_rehearsal=True)
    assert report.swept == Swept(4, 2 * sum(map(len, PAYLOADS)))
    assert chunks_of(stores[0]) == ids_of(OBJECT)


def test_a_manifest_in_another_group_counts() -> None:
    """The chunks of an object need not be in the group of its manifest."""
    place = Place()
    (one, two) = place.stores("ab")
    put_chunks([one], OBJECT)
    put_manifest([two], OBJECT)
    place.wait()
    assert sweep(cluster_with(place.clock(), {"one": {"a": one}, "two": {"b": two}})).swept == Swept()
    assert chunks_of(one) == ids_of(OBJECT)


def test_a_manifest_that_is_carried_home_meanwhile_counts() -> None:
    """It was a stray when its home was listed, and is forgotten when the group is listed that kept it."""
    place = Place()
    stores = place.stores("hn")
    probe = cluster_with(place.clock(), {name: {name: place.stores("x")[0]} for name in ("one", "two")})
    home, other = (group.name for group in probe.groups_for(OBJECT.id))
    put_chunks(stores[1:], OBJECT)
    stray = Entry(id=OBJECT.id, version=Version(2), kind=Kind.MANIFEST, is_stray=True)
    success_of(stores[1].receive(stray, bytes_body(manifest_json(OBJECT.manifest))))
    place.wait()

    class Listed(Flaky):
        """Lets a round happen when it has listed its manifests."""

        async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
            listed = await super().of_kind(kind, after, limit)
            if kind is Kind.MANIFEST:
                success_of(Replication(cluster, SilentReporter()).round())
            return listed

    groups: dict[str, dict[str, IBlobStore]] = {home: {"h": Listed(stores[0])}, other: {"n": stores[1]}}
    cluster = cluster_with(place.clock(), groups)
    report = sweep(cluster)
    assert success_of(stores[0].stat(OBJECT.id)).kind is Kind.MANIFEST
    assert isinstance(failure_of(stores[1].stat(OBJECT.id)), BlobNotFound)
    assert (report.manifests, report.swept) == (1, Swept())
    assert chunks_of(stores[1]) == ids_of(OBJECT)


@pytest.mark.parametrize(("seconds", "is_over"), [(LONGEST_SWEEP - 1, False), (LONGEST_SWEEP + 1, True)])
def test_one_that_lasts_too_long_takes_no_more(seconds: float, is_over: bool) -> None:
    """It knows nothing of manifests that came since it began."""
    place, timer = Place(), Clock()
    (store,) = place.stores("a")
    put_chunks([store], OBJECT)
    place.wait()

    class Slow(Flaky):
        """Takes its time over its chunks."""

        async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
            if kind is Kind.CHUNK:
                timer.advance(seconds)
            return await super().of_kind(kind, after, limit)

    report = sweep(cluster_with(place.clock(), {"one": {"a": Slow(store)}}, timer))
    assert (report.swept == Swept(), ["took more than" in why for why in report.failures]) == (is_over, [True] * is_over)
    assert chunks_of(store) == (ids_of(OBJECT) if is_over else set())


@pytest.mark.parametrize("error", [DOWN, Unsupported("It speaks the old contract.")])
def test_a_group_out_of_reach_hinders_it(error: Exception) -> None:
    """F34: a manifest may hide there."""
    place = Place()
    (one, two) = place.stores("ab")
    put_chunks([one], OBJECT)
    place.wait()
    report = sweep(cluster_with(place.clock(), {"one": {"a": one}, "two": {"b": Flaky(two, always=error)}}))
    assert (len(report.hindrances), report.swept) == (1, Swept())
    assert "group two" in report.hindrances[0]
    assert chunks_of(one) == ids_of(OBJECT)


def test_of_three_members_one_may_be_away() -> None:
    """What was acknowledged has two copies: no manifest hides on one member."""
    place = Place()
    stores = place.stores("abc")
    put_chunks(stores[:2], OBJECT)
    put_manifest(stores[1:], OBJECT)
    place.wait()
    report = sweep(place.group_of(Flaky(stores[0]), stores[1], Flaky(stores[2], always=DOWN)))
    assert (report.hindrances, len(report.failures) > 0, report.swept) == ([], True, Swept())
    report = sweep(place.group_of(stores[0], Flaky(stores[1], always=DOWN), Flaky(stores[2], always=DOWN)))
    assert (len(report.hindrances), report.swept) == (1, Swept())


def test_a_member_that_missed_a_round_does_not_count() -> None:
    """It may lack the very manifest that its peers, who are away, hold."""
    place = Place()
    stores = place.stores("ab")
    put_chunks(stores, OBJECT)
    place.wait()
    cluster = place.group_of(*stores)
    success_of(stores[0].note_round(3, "one"))
    report = sweep(cluster)
    assert (len(report.hindrances), report.swept) == (1, Swept())
    success_of(stores[1].note_round(3, "one", is_partial=True))
    report = sweep(cluster)
    assert (len(report.hindrances), report.swept) == (1, Swept())
    success_of(stores[1].note_round(4, "one"))
    success_of(stores[0].note_round(4, "one"))
    assert sweep(cluster).hindrances == []


def test_a_manifest_that_no_member_has_undamaged_hinders_it() -> None:
    """F34: unless the operator says that it does not matter; then its chunks go."""
    place = Place()
    stores = place.stores("ab")
    put(stores, OBJECT)
    place.wait()
    stores[0].damage(OBJECT.id)
    assert sweep(place.group_of(*stores)).hindrances == []
    stores[1].damage(OBJECT.id)
    report = sweep(place.group_of(*stores))
    assert (len(report.hindrances), report.swept) == (1, Swept())
    assert OBJECT.id in report.hindrances[0]
    assert sweep(place.group_of(*stores), [OBJECT.id]).swept.chunks == 4


def test_an_expired_object_keeps_its_chunks_as_long_as_its_manifest() -> None:
    """It is hidden, and not gone: the clock may be wrong. When the reaper has been there, the chunks go as well."""
    place = Place()
    stores = [MemoryStore(name, HybridClock(lambda: place.now), expiry_grace=10 * DAY) for name in "ab"]
    put_chunks(stores, OBJECT)
    put_manifest(stores, OBJECT, expires=int(NOW) + 60)
    place.wait()
    assert isinstance(failure_of(stores[0].fetch(OBJECT.id)), BlobNotFound)
    assert sweep(place.group_of(*stores)).swept == Swept()
    place.wait()
    for store in stores:
        success_of(store.reap())
    assert sweep(place.group_of(*stores)).swept.chunks == 4


@pytest.mark.parametrize("days", [-3, 3, 3650])
def test_a_member_whose_clock_is_astray_hinders_it(days: int) -> None:
    """F13: what it takes for old may be what an upload has just brought; its tombstones would win everywhere."""
    place = Place()
    fine, wrong = place.stores("a")[0], MemoryStore("b", HybridClock(lambda: place.now + days * DAY))
    put_chunks([fine, wrong], OBJECT)
    report = sweep(place.group_of(fine, wrong))
    assert ([("clock" in why) for why in report.hindrances], report.swept) == ([True], Swept())
    place.wait()
    assert sweep(place.group_of(fine)).swept.chunks == 2


@pytest.mark.parametrize("payload", [b"{}", b"no JSON", manifest_json(OTHER.manifest)])
def test_a_manifest_that_makes_no_sense_hinders_it(payload: bytes) -> None:
    """H60: another's, or nobody's. Whatever wrote it, its chunks may be wanted."""
    place = Place()
    (store,) = place.stores("a")
    put_chunks([store], OBJECT)
    success_of(store.receive(Entry(id=OBJECT.id, version=Version(2), kind=Kind.MANIFEST), bytes_body(payload)))
    place.wait()
    report = sweep(place.group_of(store))
    assert (len(report.hindrances), report.swept) == (1, Swept())


def test_two_cuts_of_one_object_both_count() -> None:
    """Two members may hold manifests of one object that was cut differently, until a round has settled it."""
    place = Place()
    stores = place.stores("ab")
    recut = evolve(OTHER, id=OBJECT.id)
    put(stores[:1], OBJECT)
    put(stores[1:], recut)
    place.wait()
    assert sweep(place.group_of(*stores)).swept == Swept()
    assert [chunks_of(store) for store in stores] == [ids_of(OBJECT), ids_of(recut)]


def test_a_member_that_fails_later_keeps_its_chunks_for_now() -> None:
    """The others are swept, and the report names it."""
    place = Place()
    stores = place.stores("ab")
    put_chunks(stores, OBJECT)
    place.wait()
    failing = Flaky(stores[0], [None, None, DOWN])
    report = sweep(place.group_of(failing, stores[1]))
    assert (report.hindrances, len(report.failures), report.swept.chunks) == ([], 1, 2)
    assert not report.is_complete


def test_a_manifest_that_is_deleted_meanwhile_hinders_nothing() -> None:
    """It was listed, and is gone when it is read; so are its chunks, the next time."""
    place = Place()
    (store,) = place.stores("a")
    put([store], OBJECT)
    place.wait()
    report = sweep(place.group_of(Flaky(store, [None, None, BlobNotFound(OBJECT.id)])))
    assert (report.hindrances, report.swept.chunks) == ([], 2)


def test_a_manifest_that_cannot_be_fetched_now_hinders_it() -> None:
    """Its member breaks off in between."""
    place = Place()
    (store,) = place.stores("a")
    put([store], OBJECT)
    place.wait()
    report = sweep(place.group_of(Flaky(store, [None, None, BlobDamaged(OBJECT.id)])))
    assert (len(report.hindrances), report.swept) == (1, Swept())


def test_an_upload_during_the_sweep_keeps_its_chunks() -> None:
    """F33: a chunk of old is counted on again after the manifests were read, and before the chunks are looked at."""
    place = Place()
    stores = place.stores("ab")
    put_chunks(stores, OBJECT)
    place.wait()

    class Meanwhile(Flaky):
        """Lets an upload happen, at one of two members, as the first chunk is listed."""

        async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
            listed = await super().of_kind(kind, after, limit)
            if kind is Kind.CHUNK and not after:
                for chunk, payload in zip(OBJECT.manifest.chunks, PAYLOADS, strict=True):
                    sha256 = hashlib.sha256(payload).digest()
                    renewed = Entry(id=chunk.id, version=Version(5), kind=Kind.CHUNK, sha256=sha256)
                    success_of(stores[0].renew(renewed))
                put_manifest(stores[:1], OBJECT, version=6)
            return listed

    report = sweep(place.group_of(Meanwhile(stores[0]), stores[1]))
    assert report.swept == Swept(2, sum(map(len, PAYLOADS)))  # at the member that the upload did not reach
    success_of(Replication(place.group_of(*stores), SilentReporter()).round())
    assert [chunks_of(store) for store in stores] == [ids_of(OBJECT)] * 2


def test_a_sweep_that_takes_more_than_a_day_leaves_the_rest() -> None:
    """What was stored and named since it read the manifests may be old by now, and unknown to it."""
    place = Place()
    (store,) = place.stores("a")
    clock = Clock()

    class Slow(Flaky):
        """Lists its first chunk when an upload has come, and days have gone."""

        async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
            if kind is Kind.CHUNK and not after:
                put([store], OBJECT)
                place.wait()
                clock.advance(8 * DAY)
            return await super().of_kind(kind, after, limit)

    report = sweep(cluster_with(place.clock(), {"one": {"a": Slow(store)}}, clock))
    assert (len(report.failures), report.swept, chunks_of(store)) == (1, Swept(), ids_of(OBJECT))
    assert sweep(place.group_of(store)).is_complete


def test_two_sweeps_at_once_do_no_harm() -> None:
    """The second finds tombstones."""
    place = Place()
    stores = place.stores("ab")
    put(stores, OTHER)
    put_chunks(stores, OBJECT)
    place.wait()
    assert [sweep(place.group_of(*stores)).swept.chunks for _ in range(2)] == [2, 0]
    assert [chunks_of(store) for store in stores] == [ids_of(OTHER)] * 2
    assert isinstance(failure_of(stores[0].stat(OBJECT.manifest.chunks[0].id)), BlobNotFound)
