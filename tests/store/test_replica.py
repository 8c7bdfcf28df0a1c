"""What only a store on a disk can get wrong about deletes, digests and rounds: files, transactions, restarts."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from functools import partial

import pytest
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from sos.decisions.buckets import BUCKETS, EMPTY, bucket_of, changed, root_digest, takes_part
from sos.store import replica
from sos.store.disk import DiskStore
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobConflict, BlobDamaged, BlobNotFound, StoreReadOnly, Unavailable
from tests.contracts.replica_sites import held_in
from tests.store.faults import Bench, database_error
from tests.store.test_commits import HeldThread
from tests.support import bytes_body, failure_of, success_of

ABC = BlobID("abc")
LIVE = Entry(id=ABC, version=Version(5))
LARGE = b"x" * 200_000
CANARY = b"a secret that nobody may find again" * 40


def received(store: DiskStore, payload: bytes, entry: Entry = LIVE) -> Entry:
    """Put a blob in."""
    return success_of(store.receive(entry, bytes_body(payload))).entry


def removed(store: DiskStore, version: int = 6, name: BlobID = ABC) -> Entry:
    """Remove a blob."""
    return success_of(store.remove(name, Version(version))).entry


def recomputed_root(bench: Bench) -> bytes:
    """Make the root digest anew from the rows in the database."""
    buckets = [EMPTY] * BUCKETS
    for entry in held_in(bench.path):
        if takes_part(entry):
            buckets[bucket_of(entry.id)] = changed(buckets[bucket_of(entry.id)], entry)
    return root_digest(buckets)


def busy_history(store: DiskStore) -> None:
    """Do some of everything that changes the books."""
    for number in range(20):
        received(store, b"%d" % number, Entry(id=BlobID(f"n{number}"), version=Version(1), is_stray=number > 17))
    for number in range(5):
        removed(store, 2, BlobID(f"n{number}"))
    received(store, LARGE)
    success_of(store.renew(evolve(success_of(store.stat(ABC)), version=Version(9))))
    success_of(store.forget(BlobID("n18"), Version(1)))
    success_of(store.note_round(7, "first"))
    success_of(store.note_round(3, "first"))
    success_of(store.note_round(8, "first", True))


# Removing


def test_the_file_goes_after_the_commit(bench: Bench) -> None:
    """A file that a row still names must be there; so the tombstone is durable first."""
    store = bench.open()
    received(store, LARGE)
    bench.fs.calls.clear()
    removed(store)
    steps = [call[1] if call[0] == "execute" else call[0] for call in bench.fs.calls]
    assert steps.index("COMMIT") < steps.index("unlink")
    assert bench.files("blobs") == []
    success_of(store.close())


def test_a_file_that_could_not_be_unlinked_goes_at_the_next_start(bench: Bench) -> None:
    """The unlink table survives; the delete was acknowledged all the same."""
    store = bench.open()
    received(store, LARGE)
    bench.fs.failing["unlink"] = errno.EACCES
    assert not removed(store).is_live
    success_of(store.close())
    assert len(bench.files("blobs")) == 1
    again = bench.open()
    assert bench.files("blobs") == []
    success_of(again.close())


def test_a_removal_that_was_not_committed_changes_nothing(bench: Bench) -> None:
    """Neither bytes nor books; and the disk is not trusted any more."""
    store = bench.open()
    received(store, LARGE)
    root = success_of(store.summary()).root
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
    assert isinstance(failure_of(store.remove(ABC, Version(6))), StoreReadOnly)
    bench.fs.statements.clear()
    assert success_of(store.stat(ABC)).version == 5
    assert len(bench.files("blobs")) == 1
    assert success_of(store.summary()).root == root == recomputed_root(bench)
    success_of(store.close())


def test_a_full_disk_takes_deletes(bench: Bench) -> None:
    """They make room; the reserve is theirs."""
    store = bench.open()
    received(store, LARGE)
    bench.fs.space = evolve(bench.fs.space, free_bytes=0)
    assert not removed(store).is_live
    success_of(store.close())


def test_deleted_bytes_are_overwritten_in_the_database(bench: Bench) -> None:
    """Once the store was closed, no file of it has them."""
    store = bench.open()
    assert ("execute", "PRAGMA secure_delete = ON") in bench.fs.calls  # some builds of SQLite do it unasked
    received(store, CANARY)
    removed(store)
    success_of(store.close())
    assert not [path for path in bench.path.rglob("*") if path.is_file() and CANARY[:35] in path.read_bytes()]


def test_a_removal_whose_asker_left_happens_all_the_same(bench: Bench) -> None:
    """What was asked for is done; nobody but the asker misses the answer."""
    thread = HeldThread()
    store = bench.open()
    received(store, b"hello")
    success_of(store.close())
    held = bench.open(commit_in_thread=thread)
    removing = Deferred.fromCoroutine(held.remove(ABC, Version(6)))
    removing.cancel()
    removing.addErrback(lambda _: None)
    thread.run_all()
    assert isinstance(failure_of(held.stat(ABC)), BlobNotFound)
    success_of(held.close())


def test_a_row_that_cannot_be_trusted_is_not_removed(bench: Bench) -> None:
    """Nobody knows what it would have been; it is for the scrub."""
    store = bench.open()
    received(store, b"hello")
    bench.rows("UPDATE entries SET version = 4")
    assert isinstance(failure_of(store.remove(ABC, Version(6))), BlobDamaged)
    (listed,) = success_of(store.entries(bucket_of(ABC)))
    assert (listed.id, listed.is_damaged) == (ABC, True)
    success_of(store.close())


# Restarts


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_books_are_right_after_a_restart(bench: Bench, is_killed: bool) -> None:
    """Digests, counts, round and group are those of the last commit, however the process ended."""
    store = bench.open()
    busy_history(store)
    before, status = success_of(store.summary()), store.status()
    left = Bench(bench.path.with_name("left"))
    if is_killed:
        shutil.copytree(bench.path, left.path)
    success_of(store.close())
    if not is_killed:
        shutil.copytree(bench.path, left.path)
    again = left.open()
    after = success_of(again.summary())
    assert after == evolve(before, clock=after.clock, incarnation=after.incarnation)
    assert after.incarnation != before.incarnation
    assert after.root == recomputed_root(left)
    assert (again.round, again.group, again.is_partial) == (8, "first", True)
    assert (again.status().strays, again.status().deleted) == (status.strays, status.deleted) == (1, 5)
    assert again.clock.last >= 9
    success_of(again.close())


def test_the_arrival_of_a_tombstone_survives_a_restart(bench: Bench) -> None:
    """Else each restart would make it young."""
    store = bench.open(tombstone_age=0.5)
    removed(store)
    success_of(store.close())
    again = bench.open(tombstone_age=-0.5)  # this store's clock stands still: the age it asks for moves instead
    assert [entry.id for entry in success_of(again.old_tombstones())] == ["abc"]
    assert success_of(again.drop_tombstones([(ABC, Version(6))])) == 1
    success_of(again.close())


def test_dropped_rows_leave_nothing_behind(bench: Bench) -> None:
    """No small bytes without an entry, no file without a row."""
    store = bench.open()
    for name, payload in (("small", b"hello"), ("large", LARGE)):
        received(store, payload, Entry(id=BlobID(name), version=Version(1), is_stray=True))
        success_of(store.forget(BlobID(name), Version(1)))
    assert bench.rows("SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM small)") == [(0, 0)]
    assert bench.files("blobs") == []
    success_of(store.close())


# Digests


def test_digests_are_read_anew_only_after_a_commit(bench: Bench) -> None:
    """An idle round costs no more than a look whether something was committed."""
    store = bench.open()
    received(store, b"hello")

    def reads() -> int:
        bench.fs.calls.clear()
        success_of(store.summary())
        return len([call for call in bench.fs.calls if "FROM digests" in call[-1]])

    assert [reads(), reads(), reads()] == [1, 0, 0]
    received(store, b"x", Entry(id=BlobID("other"), version=Version(1)))
    assert [reads(), reads()] == [1, 0]
    success_of(store.close())


def test_nobody_sees_digests_that_are_not_committed(bench: Bench) -> None:
    """What is compared is what a crash would leave."""
    thread = HeldThread()
    success_of(bench.open().close())
    store = bench.open(commit_in_thread=thread)
    empty = success_of(store.summary())
    receiving = Deferred.fromCoroutine(store.receive(LIVE, bytes_body(b"hello")))
    assert success_of(store.summary()) == evolve(empty, clock=store.clock.last)
    thread.run_all()
    success_of(receiving)
    assert success_of(store.summary()).root == recomputed_root(bench) != empty.root
    success_of(store.close())


def test_a_refused_change_leaves_the_books_of_the_others(bench: Bench) -> None:
    """A conflict in a batch takes nothing into account."""
    store = bench.open()
    received(store, b"hello")
    assert isinstance(failure_of(store.receive(evolve(LIVE, version=Version(6)), bytes_body(b"other"))), BlobConflict)
    assert isinstance(failure_of(store.remove(ABC, Version(1))), BlobConflict)
    assert success_of(store.summary()).root == recomputed_root(bench)
    success_of(store.close())


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT id FROM entries WHERE bucket = 1 AND id > 'a' AND stray = 0 ORDER BY id LIMIT 9", "buckets"),
        ("SELECT id FROM entries WHERE stray = 1 AND id > 'a' ORDER BY id LIMIT 9", "strays"),
        ("SELECT id FROM entries WHERE state = 1 AND stray = 0 AND arrived < 9 AND id > 'a' ORDER BY id", "tombstones"),
        ("SELECT id FROM entries WHERE state = 0 AND expires IS NOT NULL AND expires <= 9 ORDER BY expires", "expiring"),
    ],
)
def test_what_replication_lists_has_an_index(bench: Bench, query: str, index: str) -> None:
    """Nothing is sorted, and no table is walked through."""
    success_of(bench.open().close())
    plan = " ".join(str(row[-1]) for row in bench.rows(f"EXPLAIN QUERY PLAN {query}"))
    assert f"INDEX {index}" in plan and "TEMP B-TREE" not in plan


def test_entries_of_several_buckets_are_sorted_by_an_index_alone(bench: Bench) -> None:
    """Only the rows that are given are looked at: each may lie on a page that has to come from the disk."""
    store = bench.open()
    bench.fs.calls.clear()
    success_of(store.entries(0, buckets=64))
    queries = [call[1] for call in bench.fs.calls if call[0] == "execute" and "INDEXED BY" in call[1]]
    success_of(store.close())
    plan = " ".join(str(row[-1]) for row in bench.rows(f"EXPLAIN QUERY PLAN {queries[0].replace('?', '1')}"))
    assert "SEARCH entries USING INTEGER PRIMARY KEY" in plan
    assert "SEARCH one USING COVERING INDEX buckets" in plan
    assert "SEARCH other USING INDEX strays" in plan


def test_names_are_listed_from_an_index_alone(bench: Bench) -> None:
    """The row of each would be somewhere else in a table that is larger than what is kept of it."""
    store = bench.open()
    bench.fs.calls.clear()
    success_of(store.enumerate())
    (query,) = [call[1] for call in bench.fs.calls if call[0] == "execute"]
    success_of(store.close())
    plan = [str(row[-1]) for row in bench.rows(f"EXPLAIN QUERY PLAN {query.replace('?', '1')}")]
    assert "listed USING COVERING INDEX sqlite_autoindex_entries_1" in plan[0]
    assert "USING COVERING INDEX hideable" in plan[-1]
    assert "TEMP B-TREE" not in " ".join(plan)


def test_a_store_of_an_earlier_program_lists_what_it_held(bench: Bench) -> None:
    """It has no index of what a list leaves out; that is made when it is opened."""
    store = bench.open()
    received(store, b"hello")
    received(store, b"gone", evolve(LIVE, id=BlobID("gone")))
    removed(store, name=BlobID("gone"))
    success_of(store.close())
    bench.rows("DROP INDEX hideable")
    for _ in range(2):
        again = bench.open()
        assert success_of(again.enumerate()) == [ABC]
        success_of(again.close())


# Suspicion


@pytest.mark.parametrize("payload", [b"hello", LARGE])
def test_suspected_bytes_that_are_wrong_are_set_apart(bench: Bench, payload: bytes) -> None:
    """A bit that nobody has seen turning: the length is right, the digest is not."""
    store = bench.open()
    received(store, payload)
    if payload is LARGE:
        (file,) = bench.files("blobs")
        file.write_bytes(LARGE[:-1] + b"y")
    else:
        bench.rows("UPDATE small SET payload = x'68656c6c70'")
    success_of(store.suspect(ABC))
    assert isinstance(failure_of(store.fetch(ABC)), BlobDamaged)
    assert store.status().damaged == 1
    assert len(bench.files("quarantine")) == 2
    assert bench.files("blobs") == []
    assert success_of(store.summary()).root == recomputed_root(bench)
    assert received(store, payload).size == len(payload)
    assert success_of(store.summary()).root == recomputed_root(bench)
    success_of(store.close())


def test_a_suspected_file_that_is_gone_is_damage(bench: Bench) -> None:
    """A missing file is no reason to say that all is well."""
    store = bench.open()
    received(store, LARGE)
    bench.files("blobs")[0].unlink()
    success_of(store.suspect(ABC))
    assert store.status().damaged == 1
    success_of(store.close())


def test_large_bytes_are_hashed_in_a_thread(bench: Bench) -> None:
    """One blob at a time, while the store goes on; what was replaced meanwhile is left alone."""
    thread = HeldThread()
    store = bench.open()
    received(store, LARGE)
    received(store, LARGE, Entry(id=BlobID("other"), version=Version(1)))
    success_of(store.close())
    (file,) = [path for path in bench.files("blobs") if path.name.startswith("abc")]
    again = bench.open(in_thread=thread)
    file.write_bytes(LARGE[:-1] + b"y")
    suspecting = [Deferred.fromCoroutine(again.suspect(BlobID(name))) for name in ("abc", "other")]
    assert thread.waiting == 1
    removed(again)
    thread.run_all()
    for suspected in suspecting:
        success_of(suspected)
    assert again.status().damaged == 0
    assert bench.files("quarantine") == []
    success_of(again.close())


def test_a_long_look_goes_on_when_the_one_who_asked_has_left(bench: Bench) -> None:
    """Else the damage of what takes longer to read than anybody waits would never be found."""
    store = bench.open()
    received(store, LARGE)
    success_of(store.close())
    bench.files("blobs")[0].write_bytes(LARGE[:-1] + b"y")
    thread = HeldThread()
    again = bench.open(in_thread=thread)
    asking = Deferred.fromCoroutine(again.suspect(ABC))
    asking.cancel()
    assert isinstance(failure_of(asking), CancelledError)
    thread.run_all()
    assert again.status().damaged == 1
    success_of(again.close())


def test_a_store_that_is_closed_looks_at_nothing_more(bench: Bench) -> None:
    """What waits for its turn would find its database closed."""
    store = bench.open()
    received(store, LARGE)
    success_of(store.close())
    thread = HeldThread()
    again = bench.open(in_thread=thread)
    asking = [Deferred.fromCoroutine(again.suspect(ABC)) for _ in range(2)]
    success_of(again.close())
    thread.run_all()
    assert all(isinstance(failure_of(asked), CancelledError) for asked in asking)


def test_a_suspected_file_that_cannot_be_read_is_not_called_sound(bench: Bench) -> None:
    """The one who asked learns that nobody knows."""
    store = bench.open()
    received(store, LARGE)
    bench.fs.failing["open"] = errno.EMFILE
    assert isinstance(failure_of(store.suspect(ABC)), Unavailable)
    assert store.status().damaged == 0
    success_of(store.close())


# Space


def test_only_what_has_expired_is_reaped(bench: Bench) -> None:
    """What was renewed between the look and the change stays, though its version is the one that was seen."""
    store = bench.open()
    received(store, b"hello", evolve(LIVE, expires=1000))
    store._commits.submit(partial(replica.expire, blobs=[(ABC, Version(5))], now=999, arrived=0))
    assert [entry.is_live for entry in held_in(bench.path)] == [True]
    store._commits.submit(partial(replica.expire, blobs=[(ABC, Version(4))], now=1000, arrived=0))
    assert [entry.is_live for entry in held_in(bench.path)] == [True]
    store._commits.submit(partial(replica.expire, blobs=[(ABC, Version(5))], now=1000, arrived=0))
    assert held_in(bench.path) == [Entry.tombstone(ABC, Version(5))]
    success_of(store.close())


def test_the_reaper_gives_pages_back(bench: Bench) -> None:
    """A database of which most is free becomes smaller; what was in it is not needed for that."""
    store = bench.open(expiry_grace=0)
    for number in range(100):
        received(store, b"%d" % number * 20_000, Entry(id=BlobID(f"n{number}"), version=Version(1), expires=1))
    (pages,) = bench.rows("PRAGMA page_count")[0]
    assert success_of(store.reap()) == 100
    assert bench.rows("PRAGMA page_count")[0][0] < pages / 2
    assert success_of(store.summary()).root == recomputed_root(bench)
    success_of(store.close())


def test_that_tombstones_were_dropped_is_known_after_a_restart(bench: Bench) -> None:
    """It is in the transaction that drops them, so that an old copy of a peer is known for ever."""
    store = bench.open(tombstone_age=-1.0)
    removed(store, 6)
    success_of(store.note_round(4, "one"))
    assert success_of(store.drop_tombstones([(ABC, Version(6))])) == 1
    success_of(store.close())
    again = bench.open()
    summary = success_of(again.summary())
    assert (summary.dropped_round, summary.dropped_version) == (4, 6)
    success_of(again.close())
