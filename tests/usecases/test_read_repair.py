"""What a download finds missing is brought there without a round."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.decisions.buckets import bucket_of
from sos.decisions.tally import usual_min_copies
from sos.http.bodies import collect
from sos.services.timer import RoundTimer
from sos.store.memory import MemoryStore
from sos.usecases.cluster import Cluster
from sos.usecases.downloads import Downloads
from sos.usecases.read_repair import MOST, PAUSE, ReadRepair
from sos.words.blob import BlobID, Version
from sos.words.errors import BlobNotFound, ServerUnavailable
from sos.words.interfaces import IBlobStore, StoreSummary
from sos.words.versions import HybridClock
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_of, memory_store, put, server

ABC = BlobID("abc")
DOWN = ServerUnavailable("http://x:3001", "connection refused")


class Api:
    """The downloads and the read-repair of one api, whose members are asked in their order."""

    def __init__(self, *members: IBlobStore, **groups: dict[str, IBlobStore]) -> None:
        self.clock = Clock()
        named = {f"m{number}": store for number, store in enumerate(members)}
        self.cluster: Cluster = cluster_of(**(groups or {"one": named}))
        self.repair = ReadRepair(self.cluster, self.clock.seconds)
        self.downloads = Downloads(self.cluster, usual_min_copies, self.clock, self.repair.look_into)

    def download(self, name: BlobID = ABC) -> bytes:
        """Download an object."""
        return success_of(collect(success_of(self.downloads.open(name)).body, 100))

    def work(self) -> None:
        """Do what there is to do."""
        success_of(self.repair.round())


def trio() -> list[MemoryStore]:
    """Make three empty stores."""
    return [memory_store(name) for name in "abc"]


def has(store: IBlobStore, name: BlobID = ABC) -> bool:
    """Whether a store gives a blob."""
    return name in success_of(store.enumerate())


def test_a_member_that_lacks_what_was_downloaded_has_it_soon() -> None:
    """Without a round, and with the version that the others have."""
    stores = trio()
    for store in stores[1:]:
        put(store, b"hello", "abc", version=5)
    api = Api(*stores)
    assert api.download() == b"hello"
    assert not has(stores[0])
    api.work()
    assert success_of(stores[0].stat(ABC)) == success_of(stores[1].stat(ABC))
    assert [store.round for store in stores] == [0, 0, 0]


def test_a_head_is_as_good_as_a_download() -> None:
    """Whoever only asks learns the same."""
    stores = trio()
    put(stores[1], b"hello", "abc")
    api = Api(*stores)
    success_of(api.downloads.stat(ABC))
    api.work()
    assert all(map(has, stores))


def test_a_download_that_finds_nothing_wrong_causes_no_work() -> None:
    """No member is asked for anything."""
    stores = trio()
    for store in stores:
        put(store, b"hello", "abc")
    members = [Flaky(store) for store in stores]
    api = Api(*members)
    assert api.download() == b"hello"
    api.work()
    assert [member.calls for member in members] == [["fetch"], [], []]


def test_a_damaged_copy_is_healed() -> None:
    """It is left out of the digests, so it differs."""
    stores = trio()
    for store in stores:
        put(store, b"hello", "abc")
    stores[0].damage(ABC)
    api = Api(*stores)
    assert api.download() == b"hello"
    api.work()
    assert not success_of(stores[0].stat(ABC)).is_damaged


def test_what_was_deleted_is_not_brought_back() -> None:
    """A member has missed the delete: its copy is not given, and soon it has the tombstone as well."""
    stores = trio()
    put(stores[2], b"hello", "abc", version=5)
    for store in stores[:2]:
        success_of(store.remove(ABC, Version(7)))
    api = Api(*stores)
    cluster = cluster_of(one={"m1": stores[1], "m2": stores[2]})
    downloads = Downloads(cluster, usual_min_copies, api.clock, api.repair.look_into)
    assert isinstance(failure_of(downloads.open(ABC)), BlobNotFound)
    api.work()
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in stores)
    assert [store.status().deleted for store in stores] == [1, 1, 1]


def test_what_may_have_been_deleted_is_not_copied() -> None:
    """A member has missed the dropping of a tombstone: what it alone holds is a ghost, as in a round."""
    now = NOW
    stores = [MemoryStore(name, HybridClock(lambda: now), tombstone_age=5.0) for name in "abc"]
    put(stores[2], b"hello", "abc", version=5)
    for store in stores[:2]:
        success_of(store.note_round(3, "one"))
        success_of(store.remove(ABC, Version(7)))
    now += 6
    for store in stores[:2]:
        assert success_of(store.drop_tombstones([(ABC, Version(7))])) == 1
    api = Api(*stores)
    api.repair.look_into(server("m0"), ABC)
    api.work()
    assert [has(store) for store in stores] == [False, False, True]


def test_a_store_of_another_group_takes_no_part() -> None:
    """Disks that were swapped are not mirrored into each other."""
    stores = trio()
    for store, group in zip(stores, ("other", "one", "one"), strict=True):
        success_of(store.note_round(1, group))
    put(stores[1], b"hello", "abc")
    api = Api(*stores)
    assert api.download() == b"hello"
    api.work()
    assert [has(store) for store in stores] == [False, True, True]


def test_what_another_group_gives_is_left_to_the_rounds() -> None:
    """It may be a stray, and a round carries those home."""
    one, two = Flaky(memory_store("1")), Flaky(memory_store("2"))
    for member in (one, two):
        api = Api(one={"m1": one}, two={"m2": two})
        put(member, b"hello", "abc")
        assert api.download() == b"hello"
        api.work()
        assert "summary" not in one.calls + two.calls
        success_of(member.remove(ABC, Version(9)))


def test_a_member_out_of_reach_keeps_the_others_from_nothing() -> None:
    """Those that are there become equal; nothing is raised."""
    stores = trio()
    put(stores[1], b"hello", "abc")

    class Fading(Flaky):
        """A member that is gone once it has denied a blob."""

        async def summary(self) -> StoreSummary:
            raise DOWN

    api = Api(stores[0], stores[1], Fading(stores[2]))
    assert api.download() == b"hello"
    api.work()
    assert [has(store) for store in stores] == [True, True, False]


def test_a_bucket_that_cannot_be_repaired_is_not_tried_again_and_again() -> None:
    """However often it is read: once a pause."""
    stores = trio()
    put(stores[1], b"hello", "abc")

    class Full(Flaky):
        """A member that takes nothing."""

        async def receive(self, entry: object, body: object) -> object:  # type: ignore[override]
            self.calls.append("receive")
            body.stopProducing()  # type: ignore[attr-defined]
            raise DOWN

    full = Full(stores[0])
    api = Api(full, stores[1])
    for _ in range(10):
        assert api.download() == b"hello"
        api.work()
    assert full.calls.count("receive") == 1
    api.clock.advance(PAUSE)
    api.work()
    assert full.calls.count("receive") == 2


def test_a_flood_of_names_is_bounded() -> None:
    """In memory, and in what is asked of the members: a bucket is a bucket, whatever is missing in it."""
    api = Api(*trio())
    for number in range(3 * MOST):
        api.repair.look_into(server("m0"), BlobID(f"blob{number}"))
    assert len(api.repair._buckets) == MOST


def test_all_that_differs_in_a_bucket_is_repaired_at_once() -> None:
    """Two objects of one bucket, of which one was read."""
    names = [BlobID(f"blob{number}") for number in range(20_000)]
    other = next(name for name in names if bucket_of(name) == bucket_of(ABC))
    stores = trio()
    for name in (ABC, other):
        put(stores[1], b"hello", name)
    api = Api(*stores)
    api.download()
    api.work()
    assert all(has(store, other) for store in stores)


def test_two_apis_at_once_do_no_harm() -> None:
    """Both have found it; the second finds the members equal."""
    stores = trio()
    put(stores[1], b"hello", "abc")
    apis = [Api(*stores), Api(*stores)]
    for api in apis:
        api.download()
    for api in apis:
        api.work()
    assert all(map(has, stores))
    assert len({success_of(store.summary()).root for store in stores}) == 1


def test_a_group_that_has_gone_is_nobodys_work() -> None:
    """The topology has changed since."""
    stores = trio()
    put(stores[1], b"hello", "abc")
    api = Api(*stores)
    api.download()
    api.cluster.change(cluster_of(two={"m0": stores[0]}).topology)
    api.work()
    assert not has(stores[0])


class Hanging(Flaky):
    """A member that never gives its summary."""

    def __init__(self, store: IBlobStore) -> None:
        super().__init__(store)
        self.cancelled = 0

    async def summary(self) -> StoreSummary:
        return await Deferred(self._cancel)

    def _cancel(self, waiting: Deferred[StoreSummary]) -> None:
        self.cancelled += 1


def members_with_one_that_hangs() -> Sequence[IBlobStore]:
    """Make two, of which the second has the object."""
    holder = memory_store("b")
    put(holder, b"hello", "abc")
    return [memory_store("a"), Hanging(holder)]


def test_a_download_waits_for_no_repair() -> None:
    """One hangs, and downloads go on."""
    api = Api(*members_with_one_that_hangs())
    assert api.download() == b"hello"
    repairing = Deferred.fromCoroutine(api.repair.round())
    assert api.download() == b"hello"
    assert not repairing.called
    repairing.cancel()
    failure_of(repairing)


def test_a_stop_ends_what_is_under_way() -> None:
    """As the service does it: nothing is left waiting, here or on the clock."""
    members = members_with_one_that_hangs()
    api = Api(*members)
    timer = RoundTimer("read-repair", 1.0, api.repair.round, api.clock)
    timer.startService()
    assert api.download() == b"hello"
    api.clock.advance(1.0)
    success_of(timer.stopService())
    assert members[1].cancelled == 1  # type: ignore[attr-defined]
    assert api.clock.getDelayedCalls() == []
