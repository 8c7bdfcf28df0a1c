"""Races for one ID: deletes against uploads, deletes against replication, and two who name other bytes alike.

Each race is run in an order of chance that its number gives. The stores are real, in memory and on a disk; on a disk the
work of each thread is a step as well. A few hundred races always; ten thousand of each kind under torture.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.decisions.health import Health
from sos.decisions.topology import Group, Topology
from sos.http.bodies import BytesSource, collect
from sos.store.disk import DiskStore
from sos.store.memory import MemoryStore
from sos.store.opening import open_disk_store
from sos.store.room import Reserve
from sos.usecases.cluster import Cluster, Shuffle
from sos.usecases.copies import Copies
from sos.usecases.copying import Round
from sos.usecases.deletes import Deleted, Deletes
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobConflict, BlobNotFound, NotEnoughCopies, SOSError
from sos.words.versions import HybridClock
from tests.support import bytes_body, success_of
from tests.usecases.cluster_of import NOW, cluster_of, server, store_by, wall
from tests.usecases.steps import Stepped, Steps

NAMES = "abc"
FEW, MANY = {"memory": 100, "disk": 30}, {"memory": 10_000, "disk": 1000}
SIZES = (5, 70_000)
"""One in the database, and one in a file."""

Store = DiskStore | MemoryStore


class Arena:
    """Three stores, those who race over them, and the steps that they take."""

    def __init__(self, directory: Path | None) -> None:
        """Keep the stores on a disk, or in memory."""
        self.steps = Steps()
        self.clock = Clock()
        self.directory = directory
        self.steps.is_free = True
        self.stores: dict[str, Store] = {name: self._store(name) for name in NAMES}

    def _store(self, name: str) -> Store:
        if self.directory is None:
            return MemoryStore(name, HybridClock(wall))
        return open_disk_store(
            self.directory / name,
            in_thread=self.steps.in_thread,
            commit_in_thread=self.steps.in_thread,
            wall=wall,
            reserve=Reserve(percent=0, least=1000),
        )

    def racer(self, ahead: float = 0.0, shuffle: Shuffle = lambda order: None) -> tuple[Cluster, dict[str, Stepped]]:
        """Make the cluster as somebody sees it whose clock is ahead, or behind."""
        members = {server(name): Stepped(store, self.steps) for name, store in self.stores.items()}
        topology = Topology((Group("one", tuple(members)),))
        versions = HybridClock(lambda: NOW + ahead)
        cluster = Cluster(topology, members.__getitem__, Health(lambda: 0.5), self.clock, shuffle, versions)
        return cluster, {member.host: store for member, store in members.items()}

    def uploading(self, name: BlobID, payload: bytes, ahead: float) -> Deferred[bool]:
        """Begin an upload; the result says whether it was acknowledged."""
        copies = Copies(self.racer(ahead)[0], self.clock)
        entry = Entry(id=name, size=len(payload), sha256=hashlib.sha256(payload).digest())
        return _told(store_by(copies, entry, BytesSource([payload])), NotEnoughCopies)

    def deleting(self, name: BlobID, ahead: float) -> Deferred[bool]:
        """Begin a delete; the result says whether it was left everywhere."""

        async def delete() -> None:
            deleted: Deleted = await Deletes(self.racer(ahead)[0], lambda group: 2, self.clock).delete(name)
            assert deleted.is_everywhere

        return _told(delete(), NotEnoughCopies, BlobNotFound)

    def put(self, name: BlobID, payload: bytes, members: Sequence[str] = NAMES) -> None:
        """Have some members hold a blob."""
        for member in members:
            success_of(self.stores[member].receive(Entry(id=name, version=Version(7)), bytes_body(payload)))

    def round(self) -> Round:
        """Run a round in which everything happens at once."""
        self.steps.set_free()
        return success_of(Replication(cluster_of(one=self.stores), SilentReporter()).round())

    def entry_at(self, member: str, name: BlobID) -> Entry | None:
        """Give what a member holds live, None for nothing; the bytes of what it holds must be there (I24)."""
        store = self.stores[member]
        try:
            entry = success_of(store.stat(name))
        except BlobNotFound:
            return None
        payload = success_of(collect(success_of(store.fetch(name)).body, 10**6))
        assert (len(payload), hashlib.sha256(payload).digest()) == (entry.size, entry.sha256)
        return entry

    def entries(self, name: BlobID) -> list[Entry | None]:
        """Give what the members hold live."""
        return [self.entry_at(member, name) for member in NAMES]

    def roots(self) -> set[bytes]:
        """Give the different root digests of the members."""
        return {success_of(store.summary()).root for store in self.stores.values()}

    def check_files(self) -> None:
        """On a disk nothing is staged, and each file is named by a row (I24)."""
        if self.directory is not None:
            assert [*self.directory.glob("*/staging/*")] == []
            files = sorted(path.name.partition(".")[0] for path in self.directory.glob("*/blobs/*/*/*"))
            entries = [(name, self.entry_at(member, BlobID(name))) for member in NAMES for name in _listed(self, member)]
            assert files == sorted(name for name, entry in entries if entry is not None and (entry.size or 0) > 65_536)

    def close(self) -> None:
        """Close the stores."""
        self.steps.set_free()
        for store in self.stores.values():
            success_of(store.close())


def _listed(arena: Arena, member: str) -> Sequence[BlobID]:
    return success_of(arena.stores[member].enumerate(limit=10_000))


def _told(asking: object, *refusals: type[SOSError]) -> Deferred[bool]:
    """Say whether something went well; it may be refused in these ways, and in no other."""

    def refused(failure: object) -> bool:
        failure.trap(*refusals)  # type: ignore[attr-defined]
        return False

    return Deferred.fromCoroutine(asking).addCallbacks(lambda _: True, refused)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "disk"])
def arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arena]:
    """Give three stores in memory, or on a disk."""
    made = Arena(tmp_path if request.param == "disk" else None)
    yield made
    made.close()


@frozen
class Race:
    """One race: its number gives its name, its bytes and its order."""

    number: int
    chance: random.Random

    @property
    def name(self) -> BlobID:
        """The ID that it is for."""
        return BlobID(f"race{self.number}")

    def payload(self, text: str = "") -> bytes:
        """Make its bytes."""
        return f"{self.name}{text}".encode().ljust(SIZES[self.number % 7 == 0], b".")

    @property
    def ahead(self) -> float:
        """How far somebody's clock is ahead."""
        return self.chance.choice([0.0, 0.0, 0.001, 60.0, -60.0])


def a_delete_against_an_upload(arena: Arena, race: Race) -> object:
    """Either outcome, the same on all members; what is live has its bytes."""
    arena.steps.set_free()
    if race.chance.random() < 0.5:
        arena.put(race.name, race.payload())
    arena.steps.hold()
    running = [arena.uploading(race.name, race.payload(), race.ahead), arena.deleting(race.name, race.ahead)]
    arena.steps.take_all(race.chance)
    arena.steps.set_free()
    was_stored, was_deleted = map(success_of, running)
    entries = arena.entries(race.name)
    assert len(set(entries)) == 1
    assert was_stored or was_deleted
    assert entries[0] is not None or was_deleted
    return was_stored, was_deleted, entries[0] is None


def a_delete_against_replication(arena: Arena, race: Race) -> object:
    """The copy is read before and written after the tombstone, or the other way: no member holds it after the delete."""
    arena.steps.set_free()
    arena.put(race.name, race.payload(), race.chance.sample(NAMES, race.chance.randrange(1, 3)))
    arena.steps.hold()
    cluster, members = arena.racer()
    replicating = Deferred.fromCoroutine(Replication(cluster, SilentReporter()).round())
    arena.steps.take_all(race.chance, race.chance.randrange(40))
    deleting = arena.deleting(race.name, race.ahead)
    arena.steps.take_all(race.chance)
    arena.steps.set_free()
    assert success_of(deleting)
    copied = success_of(replicating).copied
    assert copied == sum(member.stored for member in members.values())
    assert arena.entries(race.name) == [None] * 3
    assert arena.round().copied == 0
    assert arena.entries(race.name) == [None] * 3
    assert len(arena.roots()) == 1
    return copied


def other_bytes_under_one_id(arena: Arena, race: Race) -> object:
    """Two clients write them to the same two members: none takes both, and what it took it keeps, whatever rounds say."""
    arena.steps.hold()
    payloads = [race.payload("one"), race.payload("other")]
    versions = race.chance.sample([Version(10), Version(11), Version(12)], 2)
    entries = [Entry(id=race.name, version=version) for version in versions]
    writes = {
        (member, which): _told(arena.stores[member].receive(entries[which], bytes_body(payloads[which])), BlobConflict)
        for member, which in race.chance.sample([("a", 0), ("a", 1), ("b", 0), ("b", 1)], 4)
    }
    arena.steps.take_all(race.chance)
    arena.steps.set_free()
    taken = {member: [which for which in (0, 1) if success_of(writes[member, which])] for member in "ab"}
    assert [len(which) for which in taken.values()] == [1, 1]
    for _ in range(2):
        outcome = arena.round()
        assert (race.name in outcome.reported) is (taken["a"] != taken["b"])
        for member, (which,) in taken.items():
            held = arena.entry_at(member, race.name)
            assert held is not None and held.sha256 == hashlib.sha256(payloads[which]).digest()
    for store in arena.stores.values():  # what nobody else can settle, so that the next race reports only its own
        success_of(store.remove(race.name, Version(99)))
    return taken["a"] == taken["b"], *taken["a"]


Run = Callable[[Arena, Race], object]
"""Runs one race, and says how it ended."""

RACES: list[Run] = [a_delete_against_an_upload, a_delete_against_replication, other_bytes_under_one_id]


def run_races(arena: Arena, race: Run, counts: Mapping[str, int]) -> None:
    """Run races over the same stores, which end in more ways than one; then nothing is left, and a round copies nothing."""
    count = counts["memory" if arena.directory is None else "disk"]
    outcomes = Counter(race(arena, Race(number, random.Random(number))) for number in range(count))
    assert len(outcomes) > 1, f"there was no race: {outcomes}"
    arena.round()
    arena.check_files()
    outcome = arena.round()
    assert (outcome.copied, outcome.renewed, outcome.buried, outcome.failed) == (0, 0, 0, 0)


@pytest.mark.parametrize("race", RACES)
def test_a_few_hundred_races_end_as_they_should(arena: Arena, race: Run) -> None:
    """Torture F15, F16 and F27, in brief."""
    run_races(arena, race, FEW)


@pytest.mark.torture
@pytest.mark.parametrize("race", RACES)
def test_ten_thousand_races_end_as_they_should(arena: Arena, race: Run) -> None:
    """Torture F15, F16 and F27."""
    run_races(arena, race, MANY)
