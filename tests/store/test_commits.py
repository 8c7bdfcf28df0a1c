"""Group commit: what waits shares a transaction, and nobody is answered before it is durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial._synctest import _logObserver

from sos.store.disk import DiskStore
from sos.store.lobby import BATCH
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobConflict, BlobNotFound, StoreFull, StoreReadOnly
from sos.words.interfaces import Received
from tests.store.faults import Bench, database_error
from tests.support import bytes_body, failure_of, success_of


class HeldThread:
    """A thread whose calls happen when the test says so."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.is_holding = True

    def __call__(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Keep a call for later."""
        result: Deferred[Any] = Deferred()
        self._calls.append((partial(call, *arguments), result))
        if not self.is_holding:
            self.run()
        return result

    @property
    def waiting(self) -> int:
        """Calls that were not run yet."""
        return len(self._calls)

    def run(self) -> None:
        """Run the next call, and fire its Deferred."""
        call, result = self._calls.pop(0)
        try:
            outcome = call()
        except Exception:
            result.errback()
        else:
            result.callback(outcome)

    def run_all(self) -> None:
        """Run whatever comes, from now on at once."""
        self.is_holding = False
        while self._calls:
            self.run()


@pytest.fixture
def thread() -> HeldThread:
    """Give a writer's thread that the test holds."""
    return HeldThread()


def receiving(store: DiskStore, name: str, payload: bytes = b"hello", version: int = 1) -> Deferred[Received]:
    """Begin to put a blob in."""
    entry = Entry(id=BlobID(name), version=Version(version))
    return Deferred.fromCoroutine(store.receive(entry, bytes_body(payload)))


def commits(bench: Bench) -> int:
    """Count the transactions that were committed."""
    return bench.fs.calls.count(("execute", "COMMIT"))


def test_what_waits_shares_a_transaction(bench: Bench, thread: HeldThread) -> None:
    """While the first commit runs, the others gather, and one more does for all of them."""
    store = bench.open(commit_in_thread=thread)
    before = commits(bench)
    writes = [receiving(store, f"n{number}") for number in range(5)]
    assert thread.waiting == 1
    thread.run()
    assert [write.called for write in writes] == [True, False, False, False, False]
    assert thread.waiting == 1
    thread.run()
    assert all(write.called for write in writes)
    assert commits(bench) - before == 2
    thread.run_all()
    success_of(store.close())


def test_the_next_transaction_begins_before_the_last_one_is_told_of(bench: Bench, thread: HeldThread) -> None:
    """The disk works while those who were answered go on."""
    store = bench.open(commit_in_thread=thread)
    first = receiving(store, "first")
    receiving(store, "second")
    begun = []
    first.addCallback(lambda _: begun.append(thread.waiting))
    thread.run()
    assert begun == [1]


def test_nobody_is_answered_before_the_commit(bench: Bench, thread: HeldThread) -> None:
    """And nobody sees what is not durable yet."""
    store = bench.open(commit_in_thread=thread)
    write = receiving(store, "abc")
    assert not write.called
    assert isinstance(failure_of(store.stat(BlobID("abc"))), BlobNotFound)
    thread.run_all()
    assert success_of(write).store == store.uuid
    assert success_of(store.stat(BlobID("abc"))).size == 5
    success_of(store.close())


def test_what_is_answered_is_committed(bench: Bench, thread: HeldThread) -> None:
    """Whoever hears that it is stored finds it in the database, by a connection that knows nothing of this one."""
    store = bench.open(commit_in_thread=thread)
    seen: list[object] = []
    write = receiving(store, "abc")
    write.addCallback(lambda _: seen.extend(bench.rows("SELECT CAST(id AS TEXT) FROM entries")))
    while not write.called:
        thread.run()
    success_of(write)
    assert seen == [("abc",)]
    thread.run_all()
    success_of(store.close())


def test_a_client_that_leaves_during_the_commit_changes_nothing(bench: Bench, thread: HeldThread) -> None:
    """The write happens, whole; only its answer is missed."""
    store = bench.open(commit_in_thread=thread)
    writes = [receiving(store, "small"), receiving(store, "large", b"x" * 200_000)]
    for write in writes:
        write.cancel()
        failure_of(write)
    thread.run_all()
    assert success_of(store.enumerate()) == ["large", "small"]
    success_of(store.close())


def test_a_client_that_leaves_during_the_publishing_changes_nothing(bench: Bench, thread: HeldThread) -> None:
    """The thread that makes bytes durable cannot be called back, so it is not."""
    store = bench.open(in_thread=thread)
    write = receiving(store, "large", b"x" * (BATCH + 100_000))
    thread.run()
    assert thread.waiting == 1 and not write.called
    write.cancel()
    failure_of(write)
    thread.run_all()
    assert success_of(store.stat(BlobID("large"))).size == BATCH + 100_000
    success_of(store.close())


def test_a_failed_commit_fails_its_whole_batch(bench: Bench, thread: HeldThread) -> None:
    """And all that come after it."""
    store = bench.open(commit_in_thread=thread)
    writes = [receiving(store, f"n{number}") for number in range(3)]
    thread.run()
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
    writes.append(receiving(store, "late"))
    thread.run_all()
    bench.fs.statements.clear()
    writes.append(receiving(store, "later"))
    assert success_of(writes[0]).entry.id == "n0"
    assert [type(failure_of(write)) for write in writes[1:]] == [StoreReadOnly] * 4
    assert success_of(store.enumerate()) == ["n0"]
    assert store.status().blobs == 1
    success_of(store.close())


def test_a_refused_change_leaves_the_others_alone(bench: Bench, thread: HeldThread) -> None:
    """In one transaction, one may lose and the rest be taken."""
    store = bench.open(commit_in_thread=thread)
    first = receiving(store, "first")
    same = [receiving(store, "abc", b"one"), receiving(store, "abc", b"two"), receiving(store, "def")]
    thread.run_all()
    assert success_of(first) and success_of(same[0]) and success_of(same[2])
    assert isinstance(failure_of(same[1]), BlobConflict)
    success_of(store.close())


def test_a_batch_that_did_not_fit_is_forgotten(bench: Bench, thread: HeldThread) -> None:
    """Neither counts nor versions of it stay behind."""
    thread.run_all()
    store = bench.open(commit_in_thread=thread)
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_FULL, "database or disk is full")
    assert isinstance(failure_of(receiving(store, "abc", version=9)), StoreFull)
    bench.fs.statements.clear()
    success_of(receiving(store, "def", version=3))
    assert (store.status().blobs, store.status().size) == (1, 5)
    assert bench.rows("SELECT value FROM meta WHERE name = 'highest'") == [(3,)]
    success_of(store.close())


def test_closing_waits_for_the_commits(bench: Bench, thread: HeldThread) -> None:
    """What was taken is finished before the files are let go."""
    store = bench.open(commit_in_thread=thread)
    writes = [receiving(store, f"n{number}") for number in range(3)]
    closing = Deferred.fromCoroutine(store.close())
    assert not closing.called
    thread.run_all()
    assert closing.called
    assert [success_of(write).entry.id for write in writes] == ["n0", "n1", "n2"]


def test_a_mistake_in_a_change_does_not_end_the_writing(bench: Bench) -> None:
    """It is logged, the one who waits is told, and the next change happens."""
    store = bench.open()
    assert isinstance(failure_of(store._commits.submit(lambda index: 1 // 0)), ZeroDivisionError)
    success_of(receiving(store, "abc"))
    assert len(_logObserver.getErrors()) == 1
    _logObserver.flushErrors(ZeroDivisionError)
    success_of(store.close())
