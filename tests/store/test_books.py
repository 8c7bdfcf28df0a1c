"""The books between their tables and the row of what is pending: always right, and in the tables of a store at rest."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from sos.decisions.buckets import BUCKETS, EMPTY
from sos.store.disk import DiskStore
from sos.store.index import Write
from sos.store.kept import MOST_MOVES
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import StoreFull
from tests.store.faults import Bench, database_error
from tests.store.scrubbing import fill, scrubbed
from tests.store.test_replica import received, recomputed_root, removed
from tests.store.test_scrub import CLEAN, check_books
from tests.support import failure_of, success_of

LAYOUT = "PRAGMA user_version"
PENDING = "SELECT highest, live, size, damaged, deleted, strays, healed, length(moves) FROM pending"
TABLES = """
    SELECT (SELECT value FROM meta WHERE name = 'highest'), (SELECT value FROM counts WHERE name = 'live'),
    (SELECT value FROM counts WHERE name = 'size'), (SELECT value FROM counts WHERE name = 'deleted'),
    (SELECT count(*) FROM digests)
"""
A_MOVE = 18
"""Bytes that the change of a digest has."""


def entries(*numbers: int) -> list[Entry]:
    """Make entries, whose versions are their numbers."""
    return [Entry(id=BlobID(f"n{number}"), version=Version(number)) for number in numbers]


def crashed(bench: Bench, place: Path) -> Bench:
    """Give what a process that dies now would leave."""
    shutil.copytree(bench.path, place)
    return Bench(place)


def test_a_few_changes_are_pending_and_count(bench: Bench) -> None:
    """They are in one row, and everybody who asks has them added."""
    store = bench.open()
    fill(store, *entries(1, 2, 3))
    removed(store, 4, BlobID("n1"))
    assert bench.rows(TABLES) == [(0, 0, 0, 0, 0)]
    assert bench.rows(PENDING) == [(4, 2, 10, 0, 1, 0, 0, (3 + 1) * A_MOVE)]
    assert (store.status().blobs, store.status().size) == (2, 10)
    check_books(bench, store)
    success_of(store.close())


def test_many_changes_are_written_into_the_tables(bench: Bench) -> None:
    """Else the row would grow beyond its page; what comes later is pending again."""
    store = bench.open()
    fill(store, *entries(*range(1, MOST_MOVES)))
    assert bench.rows(TABLES) == [(0, 0, 0, 0, 0)]
    fill(store, *entries(*range(MOST_MOVES, 2 * MOST_MOVES)))
    ((highest, live, size, deleted, digests),) = bench.rows(TABLES)
    assert (highest, live, size, deleted) == (2 * MOST_MOVES - 1, 2 * MOST_MOVES - 1, 5 * (2 * MOST_MOVES - 1), 0)
    assert MOST_MOVES < digests < 2 * MOST_MOVES, "some share a bucket"
    assert bench.rows(PENDING) == [(0, 0, 0, 0, 0, 0, 0, 0)]
    fill(store, *entries(1001))
    removed(store, 2000, BlobID("n7"))
    assert bench.rows(PENDING) == [(2000, 0, 0, 0, 1, 0, 0, 2 * A_MOVE)]
    check_books(bench, store)
    assert scrubbed(store) == CLEAN
    success_of(store.close())


def test_a_store_at_rest_is_one_of_an_earlier_program(bench: Bench) -> None:
    """An open one has a layout that an earlier program refuses; one that was closed in order has all in the tables."""
    store = bench.open()
    fill(store, *entries(1, 2))
    assert bench.rows(LAYOUT) == [(2,)]
    root = success_of(store.summary()).root
    success_of(store.close())
    assert bench.rows(LAYOUT) == [(1,)]
    assert bench.rows(PENDING) == [(0, 0, 0, 0, 0, 0, 0, 0)]
    assert bench.rows(TABLES) == [(2, 2, 10, 0, 2)]
    bench.rows("DROP TABLE pending")
    store = bench.open()
    assert success_of(store.summary()).root == root == recomputed_root(bench)
    assert (store.status().blobs, store.clock.last >= 2) == (2, True)
    success_of(store.close())


def test_what_a_crash_left_pending_is_written_at_the_start(bench: Bench, tmp_path: Path) -> None:
    """Counts, digests and the clock go on from it."""
    store = bench.open()
    fill(store, *entries(1, 9000))
    left = crashed(bench, tmp_path / "left")
    assert left.rows(LAYOUT) == [(2,)]
    again = left.open()
    assert left.rows(TABLES) == [(9000, 2, 10, 0, 2)]
    assert left.rows(PENDING) == [(0, 0, 0, 0, 0, 0, 0, 0)]
    assert success_of(again.summary()).root == success_of(store.summary()).root
    check_books(left, again)
    success_of(again.close())
    success_of(store.close())


@pytest.mark.parametrize("numbers", [[3], range(3, 2 * MOST_MOVES)], ids=["few", "many"])
def test_a_transaction_that_failed_leaves_what_was_pending_before(bench: Bench, numbers: list[int]) -> None:
    """Be it that it would have written the tables: the next one begins where the last good one ended."""
    store = bench.open()
    fill(store, *entries(1))
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_FULL, "database or disk is full")
    filling = store._commits.submit(lambda index: [index.apply(Write(entry, 1)) for entry in entries(*numbers)])
    assert isinstance(failure_of(filling), StoreFull)
    bench.fs.statements.clear()
    fill(store, *entries(2))
    assert bench.rows(PENDING) == [(2, 2, 10, 0, 0, 0, 0, 2 * A_MOVE)]
    check_books(bench, store)
    success_of(store.close())
    assert bench.rows(TABLES) == [(2, 2, 10, 0, 2)]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE pending SET live = live + 1",
        "UPDATE pending SET size = 'many', moves = 'none'",
        "UPDATE pending SET moves = zeroblob(17)",
        "UPDATE pending SET moves = x'ffff00112233445566778899aabbccddeeff'",
        "UPDATE pending SET moves = x'000900112233445566778899aabbccddeeff'",
        "DELETE FROM pending",
    ],
)
def test_d12_what_is_pending_is_held_against_the_rows(bench: Bench, tmp_path: Path, harm: str) -> None:
    """Whether it is damaged under a running store or before a start: one pass of the scrub makes it right."""
    store = bench.open()
    fill(store, *entries(1, 2, 3))
    for harmed in (bench, crashed(bench, tmp_path / "left")):
        harmed.rows(harm)
        if harmed is not bench:
            store = harmed.open()
        assert len(success_of(store.digests())) == 64
        scrubbed(store)
        check_books(harmed, store)
        assert scrubbed(store) == CLEAN
        received(store, b"later", Entry(id=BlobID("later"), version=Version(9)))
        check_books(harmed, store)
        success_of(store.close())


def test_digests_that_are_none_have_no_part_in_what_is_pending(bench: Bench) -> None:
    """They are not added to; the pass of the scrub that comes upon them writes the right ones."""
    store = bench.open()
    fill(store, *entries(1))
    bench.rows(f"INSERT OR REPLACE INTO digests SELECT bucket, x'00' FROM entries WHERE bucket < {BUCKETS}")
    assert EMPTY not in {bytes(digest) for digest in success_of(store.digests())}
    scrubbed(store)
    check_books(bench, store)
    assert scrubbed(store) == CLEAN
    success_of(store.close())


def opened_twice(store: DiskStore, bench: Bench) -> DiskStore:
    """Close a store, and open it again."""
    success_of(store.close())
    return bench.open()


def test_books_go_on_over_restarts(bench: Bench) -> None:
    """What was healed, ever, too: it is a count of no table at first."""
    store = bench.open()
    fill(store, *entries(1))
    for number in (1, 2):
        bench.rows("UPDATE small SET payload = x'00'")
        scrubbed(store)
        received(store, b"hello", *entries(1))
        assert store.status().healed == number
        store = opened_twice(store, bench)
        assert store.status().healed == number
    success_of(store.close())
