"""Stores that are filled for a row."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred

from benchmarks.filled import HeldBack, at_once, copy, fill, name_of, payload_of
from sos.decisions.buckets import BUCKETS
from sos.http.bodies import BytesBody, collect
from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.store.reckoning import Reckoning
from sos.words.blob import Entry, Version
from tests.support import success_of

T = TypeVar("T")


def looked_into(path: Path, look: Callable[[DiskStore], T]) -> T:
    """Open a store, look at something, and close it."""
    committing = HeldBack()
    store = open_disk_store(path, in_thread=at_once, commit_in_thread=committing, wall=time.time)
    seen = look(store)
    closing = Deferred.fromCoroutine(store.close())
    committing.run()
    success_of(closing)
    return seen


def test_a_filled_store_holds_what_it_should(tmp_path: Path) -> None:
    """Also where the last turn has fewer rows than the others."""
    fill(tmp_path / "store", 1300, 64)

    def look(store: DiskStore) -> None:
        assert list(success_of(store.enumerate(limit=2000))) == sorted(name_of(number, 64) for number in range(1300))
        opened = success_of(store.fetch(name_of(1299, 64)))
        assert success_of(collect(opened.body, 5000)) == payload_of(1299, 64)

    looked_into(tmp_path / "store", look)


def test_the_books_of_a_filled_store_agree_with_its_rows(tmp_path: Path) -> None:
    """The scrub, which compares them, finds nothing to mend; and the database has the WAL that it needs."""
    fill(tmp_path / "store", 300)
    connection = sqlite3.connect(tmp_path / "store" / "sos.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.text_factory = bytes
    reckoning, at, count = Reckoning(connection), 0, 0
    assert reckoning.indexes_are_sound()
    assert reckoning.counts_are_right()
    while at < BUCKETS:
        seen = reckoning.buckets(at)
        assert seen.wrong == []
        at, count = seen.next, count + seen.count
    assert count == 300
    connection.close()


def test_a_filled_store_is_equal_to_one_that_took_the_same(tmp_path: Path) -> None:
    """Whoever asks for its digest cannot tell by which of two ways the blobs came in."""
    fill(tmp_path / "filled", 3)
    filled = looked_into(tmp_path / "filled", lambda store: success_of(store.summary()))
    committing = HeldBack()
    store = open_disk_store(tmp_path / "taken", in_thread=at_once, commit_in_thread=committing, wall=time.time)
    for number in range(3):
        entry = Entry(id=name_of(number), version=Version((1 << 40) + number + 1), size=4096)
        taking = Deferred.fromCoroutine(store.receive(entry, BytesBody(payload_of(number))))
        committing.run()
        success_of(taking)
    taken = success_of(store.summary())
    closing = Deferred.fromCoroutine(store.close())
    committing.run()
    success_of(closing)
    assert (taken.root, taken.live) == (filled.root, filled.live)


def test_a_copy_is_another_store_that_holds_the_same(tmp_path: Path) -> None:
    """A round between the two has nothing to do, and does not take them for one."""
    fill(tmp_path / "store", 10)
    copy(tmp_path / "store", tmp_path / "twin")
    one, other = (looked_into(tmp_path / name, lambda store: success_of(store.summary())) for name in ("store", "twin"))
    assert one.root == other.root
    assert one.store != other.store
