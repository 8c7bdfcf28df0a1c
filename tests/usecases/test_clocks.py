"""Wall clocks of members and apis that are days and years apart, and clocks that jump.

No decision compares two hosts' wall clocks: what was asked later wins, what was deleted stays deleted, and each store goes
by its own clock for what is old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from sos.http.bodies import BytesSource
from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.copying import Round
from sos.usecases.deletes import Deletes
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Metadata
from sos.words.errors import BlobNotFound
from sos.words.versions import HybridClock
from tests.support import immediately, success_of
from tests.usecases.cluster_of import NOW, cluster_of, store_by

DAY = 86_400.0
YEAR = 365 * DAY
AGE = 7 * DAY
NAMES = "abc"
ABC = BlobID("abc")
PAYLOAD = b"hello"


class Watches:
    """Wall clocks, one for each host: all go on with the same time, and each is wrong by what its owner was given."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.wrong_by: dict[str, float] = {}

    def of(self, host: str) -> float:
        """Read one."""
        return NOW + self.passed + self.wrong_by.get(host, 0.0)


class Site:
    """Three stores on disks, and apis, each with a wall clock of its own."""

    def __init__(self, directory: Path, **wrong_by: float) -> None:
        self.watches = Watches()
        self.watches.wrong_by = wrong_by
        self.directory = directory
        self.stores = {name: self._opened(name) for name in NAMES}
        self.apis: dict[str, Cluster] = {}

    def _opened(self, name: str) -> DiskStore:
        return open_disk_store(
            self.directory / name,
            in_thread=immediately,
            commit_in_thread=immediately,
            wall=lambda: self.watches.of(name),
            tombstone_age=AGE,
        )

    def restart(self, name: str) -> None:
        """Close a store, and open it again."""
        success_of(self.stores[name].close())
        self.stores[name] = self._opened(name)
        self.apis.clear()

    def api(self, host: str) -> Cluster:
        """Give the cluster as the api on a host sees it; it is made, without any memory, when it is first asked for."""
        if host not in self.apis:
            self.part(host)
        return self.apis[host]

    def part(self, host: str, away: str = "") -> None:
        """Make the api on a host anew; there is no such member for it as the one that is away."""
        self.apis[host] = cluster_of(one={name: store for name, store in self.stores.items() if name != away})
        self.apis[host].versions = HybridClock(lambda: self.watches.of(host))

    def upload(self, host: str, colour: str = "red", expires: int | None = None) -> int:
        """Upload through the api on a host, and give the copies."""
        metadata = Metadata.of([(b"X-Colour", colour.encode())])
        sha256 = hashlib.sha256(PAYLOAD).digest()
        entry = Entry(id=ABC, size=len(PAYLOAD), sha256=sha256, metadata=metadata, expires=expires)
        return success_of(store_by(Copies(self.api(host), Clock()), entry, BytesSource([PAYLOAD]))).copies

    def delete(self, host: str) -> None:
        """Delete through the api on a host."""
        assert success_of(Deletes(self.api(host), lambda group: 2, Clock()).delete(ABC)).is_everywhere

    def round(self, host: str = "api") -> Round:
        """Run a round from a host, after which the members are equal."""
        outcome = success_of(Replication(self.api(host), SilentReporter()).round())
        assert len({success_of(store.summary()).root for store in self.stores.values()}) == 1
        return outcome

    def reap(self) -> int:
        """Let each member tidy up."""
        return sum(success_of(store.reap()) for store in self.stores.values())

    def colours(self) -> list[str | None]:
        """Give the colour that each member's copy has, None where it has none."""
        return [self._colour(store) for store in self.stores.values()]

    def _colour(self, store: DiskStore) -> str | None:
        try:
            return (success_of(store.stat(ABC)).metadata.value(b"x-colour") or b"").decode()
        except BlobNotFound:
            return None

    def tombstones(self) -> list[int]:
        """Count what each member holds of them."""
        return [store.status().deleted for store in self.stores.values()]

    @property
    def newest_everywhere(self) -> int:
        """The version that all members' clocks have reached."""
        return min(store.clock.last for store in self.stores.values())

    def close(self) -> None:
        """Close the stores."""
        for store in self.stores.values():
            success_of(store.close())


@contextmanager
def site(directory: Path, **wrong_by: float) -> Iterator[Site]:
    """Give a site whose hosts' clocks are wrong by so many seconds."""
    with closing(Site(directory, **wrong_by)) as made:
        yield made


SKEWS = [
    {"fast": 10 * YEAR},
    {"slow": -10 * YEAR},
    {"fast": 3 * DAY, "slow": -3 * DAY, "a": 3 * DAY, "b": -3 * DAY},
    {"fast": 10 * YEAR, "slow": -3 * DAY, "a": -10 * YEAR, "c": 10 * YEAR},
    {"fast": 60.0, "slow": -60.0, "a": 10 * YEAR, "b": 10 * YEAR, "c": 10 * YEAR},
]


@pytest.mark.parametrize("skews", SKEWS)
def test_what_was_asked_later_wins_whatever_the_wall_clocks(tmp_path: Path, skews: dict[str, float]) -> None:
    """Torture F13: a delete by the fast api, then an upload by the slow one lives; a delete by the slow one is one."""
    with site(tmp_path, **skews) as there:
        assert there.upload("fast") == 3
        there.delete("slow")
        assert there.colours() == [None] * 3
        there.round()
        assert there.colours() == [None] * 3
        there.upload("fast", "blue")
        there.delete("fast")
        assert there.upload("slow", "green") == 3
        there.round("fast")
        assert there.colours() == ["green"] * 3
        there.upload("fast", "blue")
        there.upload("slow", "red")
        there.round("slow")
        assert there.colours() == ["red"] * 3


@pytest.mark.parametrize("skews", SKEWS)
def test_what_was_asked_later_wins_at_a_member_that_was_away(tmp_path: Path, skews: dict[str, float]) -> None:
    """Torture F13, I5 and I11: each of them misses a delete, and then an upload after a delete."""
    for away in NAMES:
        with site(tmp_path / away, **skews) as there:
            there.upload("fast")
            there.part("slow", away)
            there.delete("slow")
            there.apis.clear()
            assert (there.round("slow").buried, there.colours()) == (1, [None] * 3)
            there.part("slow", away)
            there.upload("slow", "green")
            there.apis.clear()
            assert (there.round("fast").copied, there.colours()) == (1, ["green"] * 3)


@pytest.mark.parametrize("skews", SKEWS)
def test_a_tombstone_is_kept_for_its_age_by_each_members_own_clock(tmp_path: Path, skews: dict[str, float]) -> None:
    """Torture F13: never dropped early, and dropped in the end."""
    with site(tmp_path, **skews) as there:
        there.upload("fast")
        there.delete("slow")
        for _ in range(6):
            there.watches.passed += DAY
            assert there.round().dropped == 0
            assert there.tombstones() == [1] * 3
        there.watches.passed += 1.1 * DAY
        assert there.round().dropped == 1
        assert there.tombstones() == [0] * 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("jump", [3 * DAY, 10 * YEAR])
def test_a_clock_that_jumps_ahead_at_one_member_drops_no_tombstone(tmp_path: Path, name: str, jump: float) -> None:
    """Torture F14: the others' clocks say that it is young. Back again, it is dropped when its time has come."""
    with site(tmp_path) as there:
        there.upload("api")
        there.delete("api")
        there.watches.wrong_by[name] = jump
        there.watches.passed += 5 * DAY
        assert there.round().dropped == 0
        there.watches.wrong_by[name] = 0
        there.watches.passed += 2.1 * DAY
        assert there.round().dropped == 1


JUMPS = st.lists(st.tuples(st.sampled_from(["api", "other", "a", "b", "c"]), st.integers(-10, 10)), max_size=8)
ACTS = st.sampled_from(["upload", "delete", "restart"])


@settings(max_examples=12)
@given(st.lists(st.tuples(ACTS, st.sampled_from(["api", "other"]), JUMPS), max_size=8))
def test_versions_grow_though_clocks_jump_between_requests(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, list[tuple[str, int]]]]
) -> None:
    """Torture F14: back and forth by years, at any host, over restarts; the last word is what all members hold."""
    with site(tmp_path_factory.mktemp("jumps")) as there:
        expected = None
        newest = 0
        for number, (act, host, jumps) in enumerate(acts):
            for where, years in jumps:
                there.watches.wrong_by[where] = years * YEAR
            if act == "upload":
                expected = str(number)
                assert there.upload(host, expected) == 3
            elif act == "delete" and expected is not None:
                expected = None
                there.delete(host)
            elif act == "restart":
                there.restart(NAMES[number % 3])
            before, newest = newest, there.newest_everywhere
            assert newest >= before
        there.round()
        assert there.colours() == [expected] * 3
