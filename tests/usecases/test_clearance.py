"""When tombstones are dropped, and when they have to stay."""

from __future__ import annotations

from collections.abc import Sequence

from sos.decisions import placement
from sos.store.memory import MemoryStore
from sos.usecases.clearance import Clearance
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Round
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobNotFound, ServerUnavailable
from sos.words.interfaces import IBlobStore
from sos.words.versions import HybridClock
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_of, put, server

ABC = BlobID("abc")
AGE = 5.0
DOWN = ServerUnavailable("http://x:3001", "connection refused")


class Place:
    """Stores on one wall clock, with a tombstone age of five seconds."""

    def __init__(self) -> None:
        self.now = NOW

    def store(self, uuid: str) -> MemoryStore:
        """Make an empty one."""
        return MemoryStore(uuid, HybridClock(lambda: self.now), tombstone_age=AGE)

    def trio(self) -> list[MemoryStore]:
        """Make three."""
        return [self.store(name) for name in "abc"]

    def wait(self) -> None:
        """Let tombstones grow old."""
        self.now += AGE + 1


def run(cluster: Cluster) -> Round:
    """Run one round."""
    return success_of(Replication(cluster, SilentReporter()).round())


def group_of(stores: Sequence[IBlobStore]) -> Cluster:
    """Make one group of stores."""
    return cluster_of(one={f"m{number}": store for number, store in enumerate(stores)})


def tombstones(stores: Sequence[MemoryStore]) -> list[int]:
    """Count what each store holds of them."""
    return [store.status().deleted for store in stores]


def is_equal(stores: Sequence[MemoryStore]) -> bool:
    """Whether stores hold the same."""
    return len({success_of(store.summary()).root for store in stores}) == 1


def remove(stores: Sequence[MemoryStore], name: str = "abc", version: int = 7) -> None:
    """Delete an object, at these members."""
    for store in stores:
        success_of(store.remove(BlobID(name), Version(version)))


def test_a_tombstone_that_all_hold_long_enough_goes() -> None:
    """Not before; and after it the members are equal, and the rounds idle."""
    place = Place()
    stores = place.trio()
    remove(stores)
    assert run(group_of(stores)).dropped == 0
    assert tombstones(stores) == [1, 1, 1]
    place.wait()
    assert run(group_of(stores)).dropped == 1
    assert tombstones(stores) == [0, 0, 0]
    assert is_equal(stores)
    members = [Flaky(store) for store in stores]
    assert run(group_of(members)).dropped == 0
    assert [member.calls for member in members] == [["summary", "note_round"]] * 3


def test_a_member_that_is_away_keeps_the_tombstones_alive() -> None:
    """Torture F18: however old they are. It may hold the copy that they are there for."""
    place = Place()
    stores = place.trio()
    put(stores[2], b"hello", "abc", version=5)
    remove(stores[:2])
    place.wait()
    outcome = run(group_of([*stores[:2], Flaky(stores[2], always=DOWN)]))
    assert outcome.dropped == 0
    assert tombstones(stores) == [1, 1, 0]
    outcome = run(group_of(stores))
    assert (outcome.buried, outcome.dropped) == (1, 0)
    assert tombstones(stores) == [1, 1, 1]
    assert isinstance(failure_of(stores[2].stat(ABC)), BlobNotFound)
    place.wait()
    assert run(group_of(stores)).dropped == 1
    assert tombstones(stores) == [0, 0, 0]


def test_one_that_a_member_took_lately_stays() -> None:
    """Each member goes by when it took it, by its own clock."""
    place = Place()
    stores = place.trio()
    remove(stores[:2])
    place.wait()
    remove(stores[2:])
    assert run(group_of(stores)).dropped == 0
    assert tombstones(stores) == [1, 1, 1]


def two_groups(homes: Sequence[IBlobStore], others: Sequence[IBlobStore]) -> Cluster:
    """Make the home group of `abc`, and another."""
    probe = cluster_of(one={"x": homes[0]}, two={"y": others[0]})
    home = placement.order(ABC, probe.topology.groups)[0].name
    groups = {home: homes, "two" if home == "one" else "one": others}
    return cluster_of(
        **{
            name: {f"{'h' if stores is homes else 'o'}{number}": store for number, store in enumerate(stores)}
            for name, stores in groups.items()
        }
    )


def test_a_live_copy_in_another_group_is_buried_first() -> None:
    """It was out of reach when the object was deleted. Without the tombstone it would be served again."""
    place = Place()
    homes, others = place.trio()[:2], [place.store("o")]
    put(others[0], b"hello", "abc", version=5)
    remove(homes)
    remove(homes, "abd")
    place.wait()
    outcome = run(two_groups(homes, others))
    assert outcome.dropped == 1
    assert tombstones([*homes, *others]) == [1, 1, 1]
    assert is_equal(homes)
    assert isinstance(failure_of(others[0].fetch(ABC)), BlobNotFound)
    place.wait()
    run(two_groups(homes, others))
    assert tombstones([*homes, *others]) == [0, 0, 0]


def test_a_newer_live_copy_in_another_group_keeps_it() -> None:
    """It was uploaded since: nobody but its own home may say what becomes of it."""
    place = Place()
    homes, others = place.trio()[:2], [place.store("o")]
    put(others[0], b"hello", "abc", version=9)
    remove(homes)
    place.wait()
    assert run(two_groups(homes, others)).dropped == 0
    assert tombstones([*homes, *others]) == [1, 1, 0]
    assert success_of(others[0].stat(ABC)).version == 9


def test_a_damaged_copy_in_another_group_keeps_it() -> None:
    """It may become good again."""
    place = Place()
    homes, others = place.trio()[:2], [place.store("o")]
    put(others[0], b"hello", "abc", version=5)
    others[0].damage(ABC)
    remove(homes)
    place.wait()
    run(two_groups(homes, others))
    assert tombstones(homes) == [1, 1]


def test_a_group_out_of_reach_keeps_all() -> None:
    """Nobody can say what it holds."""
    place = Place()
    homes, others = place.trio()[:2], [place.store("o")]
    remove(homes)
    place.wait()
    assert run(two_groups(homes, [Flaky(others[0], always=DOWN)])).dropped == 0
    assert tombstones(homes) == [1, 1]


def test_a_tombstone_that_is_renewed_meanwhile_stays() -> None:
    """Each member drops only the version that all were asked about, and a late upload lives."""
    place = Place()
    stores = place.trio()
    remove(stores)
    place.wait()

    class Racing(Flaky):
        async def drop_tombstones(self, named: Sequence[tuple[BlobID, Version]]) -> int:
            await stores[0].receive(Entry(id=ABC, version=Version(9)), bytes_body(b"hello"))
            return await super().drop_tombstones(named)

    run(group_of([Racing(stores[0]), *stores[1:]]))
    assert success_of(stores[0].stat(ABC)).version == 9
    run(group_of(stores))
    assert all(success_of(store.stat(ABC)).version == 9 for store in stores)


def test_a_member_that_could_not_drop_it_brings_it_back_to_all() -> None:
    """They are equal after the next round, and it goes when it has grown old again."""
    place = Place()
    stores = place.trio()
    remove(stores)
    place.wait()

    class Failing(Flaky):
        async def drop_tombstones(self, named: Sequence[tuple[BlobID, Version]]) -> int:
            raise DOWN

    run(group_of([stores[0], stores[1], Failing(stores[2])]))
    assert tombstones(stores) == [0, 0, 1]
    run(group_of(stores))
    assert tombstones(stores) == [1, 1, 1]
    place.wait()
    assert run(group_of(stores)).dropped == 1


def test_those_that_have_to_stay_hold_up_no_others() -> None:
    """A round goes on behind the last one, and begins again at the end."""
    place = Place()
    homes, others = place.trio()[:2], [place.store("o")]
    for name in ("a", "b", "c", "d"):
        remove(homes, name)
    for name in ("a", "b"):
        put(others[0], b"hello", name, version=9)
    place.wait()
    cluster = two_groups(homes, others)
    group = next(group for group in cluster.topology.groups if server("h0") in group.members)
    clearance = Clearance(cluster, at_once=2, most=2)
    dropped = [success_of(clearance.of(group, group.members)) for _ in range(4)]
    assert dropped == [0, 2, 0, 0]
    assert tombstones(homes) == [2, 2]


def test_strays_are_left_alone() -> None:
    """A tombstone that has still to be carried home is not old, whatever its age."""
    place = Place()
    homes, others = place.trio()[:2], [place.store("o")]
    success_of(others[0].remove(ABC, Version(7), True))
    place.wait()
    assert success_of(others[0].old_tombstones()) == []
    run(two_groups(homes, others))
    assert tombstones(homes) == [1, 1]
    assert success_of(others[0].summary()).strays == 0


def test_an_old_copy_of_a_member_is_no_source_of_what_was_forgotten() -> None:
    """Torture F19: it is older than the tombstones that were dropped, and what it alone holds may have been deleted."""
    place = Place()
    stores = place.trio()
    for store in stores:
        put(store, b"hello", "abc", version=5)
    run(group_of(stores))
    old = place.store("c")  # as it is now, put back later
    put(old, b"hello", "abc", version=5)
    success_of(old.note_round(stores[2].round, "one"))
    remove(stores)
    place.wait()
    assert run(group_of(stores)).dropped == 1
    members = [*stores[:2], old]
    put(stores[0], b"later", "abd", version=9)
    put(old, b"later", "abe", version=9)
    before = stores[0].round
    for _ in range(2):
        outcome = run(group_of(members))
        assert outcome.reported == {ABC}
        assert outcome.ghosts == {server("m2"): 1}
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in stores[:2])
    assert all(len(success_of(store.enumerate(after="abc"))) == 2 for store in members)  # what is newer goes both ways
    assert old.round < before < stores[0].round
    success_of(old.remove(ABC, Version(20)))
    assert not run(group_of(members)).reported
    assert old.round == stores[0].round
    assert is_equal(members)


def test_a_member_that_was_only_away_is_no_old_copy() -> None:
    """Nothing is dropped without it, so what it alone holds is wanted."""
    place = Place()
    stores = place.trio()
    remove(stores)
    run(group_of(stores))
    place.wait()
    run(group_of([*stores[:2], Flaky(stores[2], always=DOWN)]))
    put(stores[2], b"hello", "abd", version=3)
    outcome = run(group_of(stores))
    assert (outcome.copied, outcome.reported) == (2, set())
    assert outcome.dropped == 1
