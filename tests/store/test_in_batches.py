"""Many small blobs at a time, on a disk: they share a commit, and nobody is answered before it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from math import ceil

import pytest
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from sos.decisions.buckets import bucket_of
from sos.store.disk import DiskStore
from sos.store.room import Reserve
from sos.store.turns import PIECES, RESTS
from sos.words.blob import BlobID, Entry, Parcel, Version
from sos.words.errors import BlobConflict, BlobNotFound, SOSError, StoreFull, StoreReadOnly, Unavailable
from sos.words.interfaces import Received
from tests.store.faults import Bench, database_error
from tests.store.test_commits import HeldThread, commits
from tests.store.turn_clock import TurnClock
from tests.support import bytes_body, failure_of, success_of

NUMBER = 20
LOOK = 0.001


def parcels() -> list[Parcel]:
    """Make small blobs."""
    payloads = [b"%d" % number for number in range(NUMBER)]
    return [
        Parcel(
            Entry(id=BlobID(f"n{number}"), version=Version(5), size=len(payload), sha256=hashlib.sha256(payload).digest()),
            payload,
        )
        for number, payload in enumerate(payloads)
    ]


def receiving(store: DiskStore) -> Deferred[Sequence[Received | SOSError]]:
    """Begin to take them in."""
    return Deferred.fromCoroutine(_received(store))


async def _received(store: DiskStore) -> Sequence[Received | SOSError]:
    return await store.receive_some(parcels())


@pytest.fixture
def thread() -> HeldThread:
    """Give a writer's thread that the test holds."""
    return HeldThread()


def sized(name: str, size: int) -> Parcel:
    """Make a blob of a size."""
    digest = hashlib.sha256(bytes(size)).digest()
    return Parcel(Entry(id=BlobID(name), version=Version(5), size=size, sha256=digest), bytes(size))


def test_where_all_have_room_the_disk_is_asked_once(bench: Bench) -> None:
    """And once more when they are committed."""
    store = bench.open()
    bench.fs.calls.clear()
    assert all(isinstance(outcome, Received) for outcome in success_of(receiving(store)))
    assert bench.fs.calls.count(("room",)) == 2
    success_of(store.close())


@pytest.mark.parametrize("does_not_say", [False, True])
def test_where_not_all_have_room_each_is_taken_or_refused_by_itself(bench: Bench, does_not_say: bool) -> None:
    """The smaller ones still find some. A disk that does not say what room it has takes none."""
    store = bench.open(reserve=Reserve(percent=0, least=0))
    bench.fs.space = evolve(bench.fs.space, free_bytes=30_000)
    if does_not_say:
        bench.fs.failing["room"] = errno.EIO
    outcomes = success_of(store.receive_some([sized("small", 100), sized("large", 60_000), sized("other", 100)]))
    wanted = [Unavailable] * 3 if does_not_say else [Received, StoreFull, Received]
    assert all(isinstance(outcome, kind) for outcome, kind in zip(outcomes, wanted, strict=True))
    bench.fs.failing.clear()
    assert success_of(store.enumerate()) == ([] if does_not_say else ["other", "small"])
    success_of(store.close())


def test_a_batch_shares_a_commit(bench: Bench, thread: HeldThread) -> None:
    """One fsync for all of it."""
    store = bench.open(commit_in_thread=thread)
    before = commits(bench)
    batch = receiving(store)
    thread.run_all()
    assert all(isinstance(outcome, Received) for outcome in success_of(batch))
    assert commits(bench) - before == 1
    success_of(store.close())


def test_a_batch_is_answered_when_all_of_it_is_committed(bench: Bench, thread: HeldThread) -> None:
    """Whoever hears of it finds each blob in the database, by a connection that knows nothing of this one."""
    store = bench.open(commit_in_thread=thread)
    seen: list[object] = []
    batch = receiving(store)
    batch.addCallback(lambda outcomes: seen.extend(bench.rows("SELECT CAST(id AS TEXT) FROM entries")))
    assert not batch.called
    while not batch.called:
        assert len(seen) == 0
        thread.run()
    assert {name for (name,) in seen} == {parcel.entry.id for parcel in parcels()}
    thread.run_all()
    success_of(store.close())


def test_one_that_loses_in_the_commit_does_not_undo_the_others(bench: Bench) -> None:
    """What was refused is refused alone; they are in one transaction all the same."""
    store = bench.open()
    success_of(store.receive(Entry(id=BlobID("n7"), version=Version(9)), bytes_body(b"newer")))
    outcomes = success_of(store.receive_some(parcels()))
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, BlobConflict)] == [7]
    assert len(success_of(store.enumerate())) == NUMBER
    success_of(store.close())


def test_a_commit_that_fails_fails_each_of_them(bench: Bench) -> None:
    """None is called taken, and the store takes nothing more."""
    store = bench.open()
    bench.fs.statements["COMMIT"] = database_error(10, "disk I/O error")
    assert isinstance(failure_of(store.receive_some(parcels())), StoreReadOnly)
    bench.fs.statements.clear()
    outcomes = success_of(store.receive_some(parcels()))
    assert all(isinstance(outcome, StoreReadOnly) for outcome in outcomes)
    assert list(success_of(store.enumerate())) == []
    success_of(store.close())


def test_a_sender_that_leaves_is_no_fault_of_the_store(bench: Bench, thread: HeldThread) -> None:
    """Nobody is answered any more; what was under way is committed all the same."""
    store = bench.open(commit_in_thread=thread)
    batch = receiving(store)
    batch.cancel()
    assert isinstance(failure_of(batch), CancelledError)
    thread.run_all()
    assert len(success_of(store.enumerate())) == NUMBER
    success_of(store.close())


def test_while_a_batch_is_read_others_have_their_turn(bench: Bench) -> None:
    """Some blobs at a time, and once more before they are sent: whoever asks for something else does not wait for all."""
    clock = TurnClock()
    store = bench.open(clock=clock)
    success_of(store.receive_some(parcels()))
    names = [parcel.entry.id for parcel in parcels()]
    reading = Deferred.fromCoroutine(_fetched(store, names))
    turns = 0
    while not reading.called:
        assert success_of(store.stat(names[0])) == parcels()[0].entry
        clock.turn()
        turns += 1
    assert turns == 1 + ceil(NUMBER / PIECES)
    assert success_of(reading) == parcels()
    success_of(store.close())


@pytest.mark.parametrize("do", [None, "fetch", "receive"])
def test_while_users_are_there_a_round_takes_its_time(bench: Bench, do: str | None) -> None:
    """Where nobody asks for a blob or brings one, a turn of the reactor's is all that it waits for."""
    clock = TurnClock(LOOK)
    store = bench.open(clock=clock)
    success_of(store.receive_some(parcels()))
    reading = Deferred.fromCoroutine(_fetched(store, [parcel.entry.id for parcel in parcels()]))
    if do == "fetch":
        success_of(store.fetch(parcels()[0].entry.id))
    elif do == "receive":
        success_of(store.receive(Entry(id=BlobID("new"), version=Version(9)), bytes_body(b"new")))
    clock.turn()
    assert clock.turn() == ([0] if do is None else [pytest.approx(RESTS * LOOK)])
    while not reading.called:
        clock.turn()
    success_of(store.close())


def test_a_long_answer_is_made_in_turns(bench: Bench) -> None:
    """No more of it at a time than a few pieces, and while users are there one by one."""
    clock = TurnClock()
    store = bench.open(clock=clock)
    made: list[bytes] = []
    making = Deferred.fromCoroutine(_made(store, _noting([b"%d" % number for number in range(NUMBER)], made)))
    clock.turn()
    assert len(made) == PIECES
    with pytest.raises(BlobNotFound):
        success_of(store.fetch(BlobID("user")))
    clock.turn()
    clock.turn()
    assert len(made) == PIECES + 1
    while not making.called:
        clock.turn()
    assert success_of(making) == made == [b"%d" % number for number in range(NUMBER)]
    success_of(store.close())


def _noting(pieces: Sequence[bytes], made: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        made.append(piece)
        yield piece


async def _made(store: DiskStore, pieces: Iterable[bytes]) -> Sequence[bytes]:
    return await store.in_turns(pieces)


async def _fetched(store: DiskStore, names: Sequence[BlobID]) -> Sequence[Parcel]:
    return await store.fetch_some(names)


def test_of_what_is_long_to_read_one_thing_is_read_in_a_turn(bench: Bench) -> None:
    """A round asks for many lists at once, and all of them together would hold up whoever asks for one blob."""
    clock = TurnClock()
    store = bench.open(clock=clock)
    success_of(store.receive_some(parcels()))
    buckets = sorted({bucket_of(parcel.entry.id) for parcel in parcels()})[:5]
    asking = [Deferred.fromCoroutine(_listed(store, bucket)) for bucket in buckets]
    for number in range(len(buckets)):
        assert sum(one.called for one in asking) == number
        clock.turn()
        clock.turn()
    listed = [entry for one in asking for entry in success_of(one)]
    assert {entry.id for entry in listed} == {one.entry.id for one in parcels() if bucket_of(one.entry.id) in buckets}
    success_of(store.close())


async def _listed(store: DiskStore, bucket: int) -> Sequence[Entry]:
    return await store.entries(bucket)
