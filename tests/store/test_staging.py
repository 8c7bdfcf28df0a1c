"""Arriving bytes: in order, off the reactor's thread when they are many, and never many of them in memory."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from sos.http.bodies import BytesBody, collect
from sos.store.lobby import BATCH, CROWD, MOST_WAITING, MOST_WAITING_IN_CROWD, SMALL
from sos.store.staging import MOST_REMEMBERED
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobTruncated, StoreFull
from tests.contracts.test_blobstore import WatchedBody
from tests.store.faults import Bench
from tests.store.test_commits import HeldThread
from tests.support import failure_of, success_of

ENTRY = Entry(id=BlobID("abc"), version=Version(1))


class PushingBody(WatchedBody):
    """A body that notes how it is steered."""

    is_paused = False

    def pauseProducing(self) -> None:
        """Note it."""
        self.is_paused = True

    def resumeProducing(self) -> None:
        """Note it."""
        self.is_paused = False


def test_the_producer_is_paused_when_much_waits_to_be_written(bench: Bench) -> None:
    """While a thread writes, some more may come; when that is its turn, the producer goes on."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    body = PushingBody()
    receiving = Deferred.fromCoroutine(store.receive(ENTRY, body))
    body.write(b"a" * (BATCH - 1))
    assert not body.is_paused and thread.waiting == 0
    body.write(b"b")
    assert not body.is_paused and thread.waiting == 1
    body.write(b"c" * (MOST_WAITING - 1))
    assert not body.is_paused and thread.waiting == 1
    body.write(b"d")
    assert body.is_paused and thread.waiting == 1
    thread.run()
    assert not body.is_paused and thread.waiting == 1
    body.done.callback(None)
    thread.run_all()
    assert success_of(receiving).entry.size == BATCH + MOST_WAITING
    success_of(store.close())


def test_bytes_of_a_producer_that_does_not_pause_keep_their_order(bench: Bench) -> None:
    """One write at a time: what comes meanwhile waits for the next."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    body = PushingBody()
    receiving = Deferred.fromCoroutine(store.receive(ENTRY, body))
    pieces = [bytes([number]) * 100_000 for number in range(9)]
    for piece in pieces:
        body.write(piece)
        assert thread.waiting <= 1
    body.done.callback(None)
    thread.run_all()
    assert success_of(receiving).entry.size == 900_000
    assert success_of(collect(success_of(store.fetch(ENTRY.id)).body, 10**6)) == b"".join(pieces)
    success_of(store.close())


def test_a_body_in_short_pieces_is_written_when_they_are_many(bench: Bench) -> None:
    """Each piece is an object of its own: half a million of one byte each would be twenty megabytes."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    body = PushingBody()
    receiving = Deferred.fromCoroutine(store.receive(ENTRY, body))
    pieces = [bytes([number % 251]) * 1_000 for number in range(SMALL // 1_000 + 1)]
    for piece in pieces:
        assert thread.waiting == 0
        body.write(piece)
    assert thread.waiting == 1
    body.done.callback(None)
    thread.run_all()
    success_of(receiving)
    assert success_of(collect(success_of(store.fetch(ENTRY.id)).body, 10**6)) == b"".join(pieces)
    success_of(store.close())


def test_where_many_bodies_wait_each_is_written_early(bench: Bench) -> None:
    """Torture F6: slow bodies together keep little more than what each of them may keep as a small blob."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    count = CROWD // (BATCH - 1) + 1
    bodies = [PushingBody() for _ in range(count)]
    receiving = [
        Deferred.fromCoroutine(store.receive(Entry(id=BlobID(f"n{number}"), version=Version(1)), body))
        for number, body in enumerate(bodies)
    ]
    for body in bodies:
        body.write(bytes(BATCH - 1))
    assert thread.waiting == 1, "the last one made the lobby full"
    bodies[0].write(b"x")
    assert thread.waiting == 2
    late = PushingBody()
    late_receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(ENTRY, late))
    late.write(bytes(SMALL))
    assert thread.waiting == 2
    late.write(b"x")
    assert thread.waiting == 3
    late.write(bytes(MOST_WAITING_IN_CROWD))
    assert late.is_paused
    thread.run_all()
    assert not late.is_paused
    for body in (*bodies, late):
        body.done.callback(None)
    for waiting in (*receiving, late_receiving):
        success_of(waiting)
    success_of(store.close())


@pytest.mark.parametrize("size", [SMALL, SMALL + 1, BATCH - 1, BATCH, 3 * BATCH + 7])
def test_what_left_the_lobby_is_not_counted_any_more(bench: Bench, size: int) -> None:
    """Whether it was committed, failed, or was discarded; otherwise the lobby would be full one day, and stay so."""
    store = bench.open()
    for ending in ("commit", "fail", "leave", "cut"):
        body = PushingBody(size if ending == "commit" else size + 1)
        receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(ENTRY, body))
        body.write(bytes(size))
        if ending == "fail":
            body.done.errback(BlobTruncated("It broke."))
        elif ending == "leave":
            receiving.cancel()
        else:
            body.done.callback(None)
        (success_of if ending == "commit" else failure_of)(receiving)
        assert store._workshop.lobby.waiting == 0, ending
    success_of(store.close())


def test_a_file_is_not_closed_under_a_thread_that_writes_it(bench: Bench) -> None:
    """Its descriptor could be somebody else's by then."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    body = PushingBody()
    receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(ENTRY, body))
    body.write(b"a" * BATCH)
    assert thread.waiting == 1
    receiving.cancel()
    failure_of(receiving)
    assert body.is_stopped and thread.waiting == 1
    closing = Deferred.fromCoroutine(store.close())
    thread.run()
    assert len(bench.files("staging")) == 1 and not closing.called
    thread.run_all()
    assert bench.files("staging") == []
    assert closing.called


def test_a_client_that_leaves_while_the_last_bytes_are_written_leaves_nothing(bench: Bench) -> None:
    """The body has ended, the commit has not begun: it is still only receiving."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    body = PushingBody()
    receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(ENTRY, body))
    body.write(b"a" * BATCH)
    body.done.callback(None)
    receiving.cancel()
    failure_of(receiving)
    thread.run_all()
    assert bench.files("staging") == []
    assert success_of(store.enumerate()) == []
    success_of(store.close())


def test_a_disk_that_fills_up_stops_the_body(bench: Bench) -> None:
    """It learns so while it sends, not at its end."""
    thread = HeldThread()
    store = bench.open(in_thread=thread)
    body = PushingBody()
    receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(ENTRY, body))
    body.write(b"a" * BATCH)
    bench.fs.failing["write"] = 28
    thread.run()
    assert body.is_stopped
    assert isinstance(failure_of(receiving), StoreFull)
    thread.run_all()
    assert bench.files("staging") == []
    success_of(store.close())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (MOST_REMEMBERED - 1, ["sync"]),
        (MOST_REMEMBERED, ["forget", "sync", "forget"]),
        (MOST_REMEMBERED + 1, ["forget", "sync", "forget"]),
        (3 * MOST_REMEMBERED, ["forget", "forget", "forget", "sync", "forget"]),
    ],
)
def test_the_system_is_not_to_remember_a_long_blob(bench: Bench, size: int, expected: list[str]) -> None:
    """It would push out what is read more often. What is durable can be forgotten, what was written can go to the disk."""
    store = bench.open()
    piece = bytes(MOST_REMEMBERED // 4)
    pieces = [piece] * (size // len(piece)) + [bytes(size % len(piece))]
    success_of(store.receive(ENTRY, BytesBody(*pieces)))
    syncs_and_wishes = [call[0] for call in bench.fs.calls if call in {("forget",), ("sync", "staging")}]
    assert syncs_and_wishes == expected
    assert success_of(collect(success_of(store.fetch(ENTRY.id)).body, size)) == b"".join(pieces)
    success_of(store.close())
