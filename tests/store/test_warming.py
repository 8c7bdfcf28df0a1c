"""Where the memory cannot hold the database, a thread reads each blob first: nobody else waits for the disk meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from sos.http.bodies import collect
from sos.store.disk import DiskStore
from sos.store.warming import LATELY, READERS, SLOW, TOGETHER, Warming, usable_memory
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobNotFound, Unavailable
from sos.words.interfaces import OpenBlob
from tests.store.faults import Bench
from tests.store.test_commits import HeldThread
from tests.support import bytes_body, failure_of, success_of

NAMES = [BlobID(f"n{number:02}") for number in range(10)]


def put(store: DiskStore, name: BlobID, payload: bytes = b"hello", version: int = 1) -> None:
    """Store a blob."""
    success_of(store.receive(Entry(id=name, version=Version(version)), bytes_body(payload)))


def fetching(store: DiskStore, name: BlobID) -> Deferred[OpenBlob]:
    """Begin to fetch a blob."""
    return Deferred.fromCoroutine(store.fetch(name))


def bytes_of(fetched: Deferred[OpenBlob]) -> bytes:
    """Give the bytes of a blob that is there by now."""
    return success_of(collect(success_of(fetched).body, 10**6))


@pytest.fixture
def reading() -> HeldThread:
    """Give readers' threads that the test holds."""
    return HeldThread()


@pytest.fixture
def store(bench: Bench, reading: HeldThread) -> DiskStore:
    """Give a store with ten blobs that no memory holds."""
    opened = bench.open(read_in_thread=reading, memory=0)
    for name in NAMES:
        put(opened, name)
    return opened


def test_a_blob_that_has_to_be_read_keeps_nobody_waiting(store: DiskStore, reading: HeldThread) -> None:
    """What was read lately is given out meanwhile, and so is the list of names."""
    first = fetching(store, NAMES[0])
    assert not first.called
    reading.run()
    assert bytes_of(first) == b"hello"
    second = fetching(store, NAMES[1])
    assert bytes_of(fetching(store, NAMES[0])) == b"hello"
    assert success_of(store.enumerate()) == NAMES
    assert success_of(store.summary()).live == len(NAMES)
    assert (second.called, reading.waiting) == (False, 1)
    reading.run_all()
    assert bytes_of(second) == b"hello"
    success_of(store.close())


def test_where_the_memory_holds_it_no_thread_is_asked(bench: Bench, reading: HeldThread) -> None:
    """It would cost more than the read."""
    store = bench.open(read_in_thread=reading, memory=2**30)
    put(store, NAMES[0])
    assert bytes_of(fetching(store, NAMES[0])) == b"hello"
    assert isinstance(failure_of(store.stat(NAMES[1])), BlobNotFound)
    success_of(store.close())


def test_a_database_that_grows_is_found_to_be_large(bench: Bench, reading: HeldThread) -> None:
    """Not at once, but soon."""
    store = bench.open(read_in_thread=reading, memory=2 * 2**20)
    asking = fetching(store, NAMES[0])
    for number in range(20):
        put(store, BlobID(f"more{number}"), bytes(60_000))
    asked = 0
    while asking.called:
        assert isinstance(failure_of(asking), BlobNotFound)
        asking = fetching(store, NAMES[0])
        asked += 1
        assert asked < 2000
    assert reading.waiting == 1
    reading.run_all()
    assert isinstance(failure_of(asking), BlobNotFound)
    success_of(store.close())


class Disk:
    """A disk that takes so many seconds for each look at the time, of which there are two a call."""

    def __init__(self) -> None:
        self.takes = 0.0
        self._now = 0.0

    def seconds(self) -> float:
        """Count on."""
        self._now += self.takes
        return self._now


def warming_of(bench: Bench, reading: HeldThread, disk: Disk, memory: int = 0) -> Warming:
    """Make what reads ahead in a database that is there."""
    path = bench.path / "sos.db"
    return Warming(lambda: sqlite3.connect(path, check_same_thread=False), reading, lambda: 10**9, memory, disk.seconds)


@pytest.mark.usefixtures("store")
def test_what_comes_while_a_thread_reads_goes_together(bench: Bench, reading: HeldThread) -> None:
    """A crowd does not wait for the last of it, and what nobody waits for any more is not read at all."""
    warming = warming_of(bench, reading, Disk())
    waiting = [warming.of(BlobID(f"n{number:02}")) for number in range(TOGETHER + 4)]
    assert reading.waiting == 1
    for left in (waiting.pop(0), waiting.pop()):  # a thread cannot be called back
        left.cancel()
        assert isinstance(failure_of(left), CancelledError)
    called = []
    while reading.waiting:
        reading.run()
        called.append(sum(one.called for one in waiting))
    assert called == [0, TOGETHER, TOGETHER + 2]
    warming.close()


@pytest.mark.usefixtures("store")
def test_a_disk_that_is_slow_is_asked_for_several_at_a_time(bench: Bench, reading: HeldThread) -> None:
    """As long as it is: memory answers one after the other faster."""
    disk = Disk()
    warming = warming_of(bench, reading, disk)
    disk.takes = 2 * TOGETHER * SLOW
    waiting = [warming.of(BlobID(f"n{number:02}")) for number in range(5 * TOGETHER)]
    reading.run()
    assert reading.waiting == READERS
    disk.takes = 0.0
    reading.run()
    assert reading.waiting == READERS - 1
    reading.run_all()
    assert all(one.called for one in waiting)
    success_of(warming.end())
    warming.close()


@pytest.mark.usefixtures("store")
def test_what_was_read_lately_is_not_read_ahead_again(bench: Bench, reading: HeldThread) -> None:
    """Until so much else was read that it may have left the memory."""
    memory = 2 * LATELY * 3 * (8192 + len(b"hello"))  # a generation is the fourth blob's
    warming = warming_of(bench, reading, Disk(), memory)
    reading.run_all()
    needed = []
    for name in NAMES[:8]:
        assert warming.is_needed(name)
        success_of(warming.of(name))
        needed.append("".join("+" if warming.is_needed(known) else "-" for known in NAMES[:8]))
    assert needed[3:] == ["----++++", "-----+++", "------++", "-------+", "++++----"]
    warming.close()


def test_what_is_replaced_meanwhile_is_given_as_it_is_now(store: DiskStore, reading: HeldThread) -> None:
    """What the thread read is thrown away."""
    fetched, gone = fetching(store, NAMES[0]), fetching(store, NAMES[1])
    put(store, NAMES[0], version=2)
    success_of(store.remove(NAMES[1], Version(2)))
    reading.run_all()
    assert success_of(fetched).entry.version == 2
    assert isinstance(failure_of(gone), BlobNotFound)
    success_of(store.close())


def test_a_store_that_is_closed_waits_for_its_readers(store: DiskStore, reading: HeldThread) -> None:
    """Their connections are closed after that; who waited is told."""
    fetches = [fetching(store, name) for name in NAMES]
    assert reading.waiting == 1
    closing = Deferred.fromCoroutine(store.close())
    assert not closing.called
    reading.run_all()
    success_of(closing)
    assert {type(failure_of(fetched)) for fetched in fetches} == {Unavailable}


def test_a_thread_that_cannot_read_leaves_it_to_who_wants_to_know(
    bench: Bench, store: DiskStore, reading: HeldThread
) -> None:
    """The read that follows meets what is wrong, if it still is."""
    fetched = fetching(store, NAMES[0])
    bench.fs.statements["PRAGMA cell_size_check"] = sqlite3.OperationalError("disk I/O error")
    reading.run()
    assert bytes_of(fetched) == b"hello"
    bench.fs.statements.clear()
    again = fetching(store, NAMES[1])
    reading.run_all()
    assert bytes_of(again) == b"hello"
    success_of(store.close())


def test_many_blobs_at_a_time_are_read_ahead_too(store: DiskStore, reading: HeldThread) -> None:
    """As for a peer that lacks them."""
    fetched = Deferred.fromCoroutine(store.fetch_some(NAMES[:3]))
    assert (fetched.called, reading.waiting) == (False, 1)
    reading.run_all()
    assert [parcel.payload for parcel in success_of(fetched)] == [b"hello"] * 3
    success_of(store.close())


def test_the_memory_is_that_of_the_narrowest_cgroup(tmp_path: Path) -> None:
    """What is read of files counts as theirs."""
    own = tmp_path / "own"
    deep = tmp_path / "groups" / "outer" / "inner"
    deep.mkdir(parents=True)
    own.write_text("1:name=systemd:/elsewhere\n0::/outer/inner\n")
    everything = usable_memory(own, tmp_path / "groups")
    assert everything == usable_memory(tmp_path / "missing", tmp_path / "groups") > 2**20
    (deep / "memory.max").write_text("max\n")
    (deep.parent / "memory.max").write_text(f"{2**20}\n")
    (tmp_path / "memory.max").write_text("1\n")
    assert usable_memory(own, tmp_path / "groups") == 2**20
    (deep / "memory.max").write_text("4096\n")
    assert usable_memory(own, tmp_path / "groups") == 4096
