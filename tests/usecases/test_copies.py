"""Copies in groups of memory stores, some of which fail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer

from sos.decisions import placement
from sos.decisions.health import Health
from sos.decisions.tally import CopyTally
from sos.http.bodies import BytesSource
from sos.usecases.cluster import Cluster
from sos.usecases.coalescing import LONGEST_WAIT
from sos.usecases.copies import ONE_BY_ONE, Copies
from sos.usecases.group_write import STRAGGLE
from sos.usecases.load import Load
from sos.words.blob import BlobID, Entry, Parcel
from sos.words.errors import (
    BadInput,
    BlobConflict,
    Forbidden,
    NotEnoughCopies,
    ServerUnavailable,
    SOSError,
    StoreFull,
    Unauthorized,
    Unsupported,
)
from sos.words.interfaces import IBlobStore, Received
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, clock, cluster_of, memory_store, put, server, store_by

HELLO = Entry(id=BlobID("abc"), size=5, sha256=hashlib.sha256(b"hello").digest())
DOWN = ServerUnavailable("http://a:3001", "connection refused")
FULL = StoreFull("full")


class Silent(Flaky):
    """A member that takes a write and never answers."""

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        body.stopProducing()
        self.calls.append("receive")
        answer: Deferred[Received] = Deferred()
        return await answer


class Slow(Flaky):
    """A member that takes whatever it is sent when the test says so."""

    def __init__(self, name: str) -> None:
        super().__init__(memory_store(name))
        self.gate: Deferred[None] = Deferred()

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        await self._opened()
        return await super().receive(entry, body)

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        await self._opened()
        return await super().receive_some(parcels)

    async def _opened(self) -> None:
        """Wait; who gives up leaves it shut."""
        waiting: Deferred[None] = Deferred()
        self.gate.chainDeferred(waiting)
        await waiting


def well(name: str) -> IBlobStore:
    """Make a member that works."""
    return memory_store(name)


def failing(error: SOSError) -> IBlobStore:
    """Make a member that always fails."""
    return Flaky(memory_store(), always=error)


def store(cluster: Cluster, min_copies: int | None = None, timer: Clock | None = None) -> Deferred[CopyTally]:
    """Store the entry."""
    copies = Copies(cluster, timer or Clock(), min_copies)
    return Deferred.fromCoroutine(store_by(copies, HELLO, BytesSource([b"hello"])))


def test_every_member_of_the_home_group_gets_a_copy_and_no_other_group_does() -> None:
    """All have the same version."""
    stores = {name: well(name) for name in "abcdef"}
    cluster = cluster_of(one={name: stores[name] for name in "abc"}, two={name: stores[name] for name in "def"})
    assert success_of(store(cluster)).copies == 3
    home = placement.order(HELLO.id, cluster.topology.groups)[0]
    held = [name for name in stores if success_of(stores[name].enumerate())]
    assert [server(name) for name in held] == list(home.members)
    assert len({success_of(stores[name].stat(HELLO.id)).version for name in held}) == 1


@pytest.mark.parametrize(
    ("members", "min_copies", "copies"),
    [
        ({"a": well("a"), "b": well("b"), "c": failing(DOWN)}, None, 2),
        ({"a": well("a"), "b": failing(DOWN)}, None, 1),
        ({"a": well("a"), "b": failing(FULL), "c": failing(DOWN)}, 1, 1),
    ],
)
def test_an_upload_goes_on_while_enough_members_take_it(
    members: dict[str, IBlobStore], min_copies: int | None, copies: int
) -> None:
    """And the answer says how many did."""
    assert success_of(store(cluster_of(one=members), min_copies)).copies == copies


@pytest.mark.parametrize(
    ("members", "min_copies", "error"),
    [
        ({"a": well("a"), "b": failing(DOWN), "c": failing(DOWN)}, None, NotEnoughCopies),
        ({"a": well("a"), "b": failing(DOWN)}, 2, NotEnoughCopies),
        ({"a": failing(FULL), "b": failing(FULL)}, None, StoreFull),
        ({"a": failing(FULL), "b": failing(DOWN)}, None, NotEnoughCopies),
        ({"a": well("same"), "b": well("same")}, 2, NotEnoughCopies),
    ],
)
def test_too_few_copies_are_never_acknowledged(
    members: dict[str, IBlobStore], min_copies: int | None, error: type[SOSError]
) -> None:
    """Out of reach is 503, full everywhere is 507, and one store under two URLs is one copy."""
    assert isinstance(failure_of(store(cluster_of(one=members), min_copies)), error)


def test_the_next_group_takes_what_the_home_group_cannot_promise() -> None:
    """Full, down, or with too few members."""
    probe = cluster_of(one={"a": well("a")}, two={"b": well("b")})
    home = placement.order(HELLO.id, probe.topology.groups)[0].name
    for error in (DOWN, FULL):
        taker = well("taker")
        groups = {"one": {"a": taker}, "two": {"b": taker}, home: {"c": failing(error)}}
        assert success_of(store(cluster_of(**groups))).copies == 1
        assert success_of(taker.enumerate()) == [HELLO.id]


def test_a_member_that_hangs_delays_an_upload_by_its_straggling_and_no_more() -> None:
    """And only the first one: from then on it is left alone."""
    timer = Clock()
    hanging = Silent(memory_store())
    cluster = cluster_of(one={"a": well("a"), "b": well("b"), "c": hanging})
    storing = store(cluster, timer=timer)
    assert not storing.called
    timer.advance(STRAGGLE)
    assert success_of(storing).copies == 2
    timer.advance(60)
    assert success_of(store(cluster, timer=timer)).copies == 2
    assert hanging.calls == ["receive"]


def test_a_member_that_rests_is_tried_when_the_others_are_too_few() -> None:
    """It may have come back, and nobody else can help."""
    returned = Flaky(memory_store("a"), [DOWN])
    cluster = cluster_of(one={"a": returned, "b": well("b")})
    cluster.failed(server("a"))
    assert success_of(store(cluster, min_copies=1)).copies == 1
    assert returned.calls == []
    assert isinstance(failure_of(store(cluster, min_copies=2)), NotEnoughCopies)
    assert success_of(store(cluster, min_copies=2)).copies == 2


def test_a_newer_version_at_one_member_makes_the_write_newer_at_all() -> None:
    """What was asked later wins everywhere, whatever the clocks."""
    ahead, behind = memory_store("a"), memory_store("b")
    held = put(ahead, b"hello", "abc", version=clock().tick() + (60_000 << 16))
    assert success_of(store(cluster_of(one={"a": ahead, "b": behind}))).copies == 2
    entries = [success_of(member.stat(HELLO.id)) for member in (ahead, behind)]
    assert entries[0] == entries[1]
    assert entries[0].version > held.version


def test_other_bytes_at_one_member_are_told_to_the_client() -> None:
    """It is never acknowledged over somebody else's bytes."""
    other = memory_store("a")
    put(other, b"other", "abc")
    error = failure_of(store(cluster_of(one={"a": other, "b": well("b")})))
    assert isinstance(error, BlobConflict)
    assert error.reason == BlobConflict.OTHER_BYTES


# Small blobs


def small(name: str, payload: bytes = b"hello") -> Entry:
    """Make an entry that says which bytes it has."""
    return Entry(id=BlobID(name), size=len(payload), sha256=hashlib.sha256(payload).digest())


def send(copies: Copies, *names: str, freed: Callable[[], None] = lambda: None) -> list[Deferred[CopyTally]]:
    """Send small blobs of these names, all at once."""
    return [Deferred.fromCoroutine(_sent(copies, small(name), freed)) for name in names]


async def _sent(copies: Copies, entry: Entry, freed: Callable[[], None]) -> CopyTally:
    with Load(BytesSource([b"hello"]), freed) as load:
        return await copies.send(entry, b"hello", load, copies.groups_for(entry.id))


def copies_of_two_batches(slow: Slow, other: IBlobStore) -> list[int]:
    """Send one blob, two that wait for it, and two that wait for these; give the copies that were made of each."""
    copies = Copies(cluster_of(one={"a": slow, "b": other}), Clock())
    sending = send(copies, "first", "x", "y")
    gate, slow.gate = slow.gate, Deferred()
    gate.callback(None)
    sending += send(copies, "u", "v")
    slow.gate.callback(None)
    return [success_of(one).copies for one in sending]


def test_small_blobs_go_to_all_members_together() -> None:
    """While one is on its way, the others wait for each other; each member is asked once for all of them."""
    slow, other = Slow("a"), Flaky(memory_store("b"))
    copies = Copies(cluster_of(one={"a": slow, "b": other}), Clock())
    sending = send(copies, "first", "x", "y", "z")
    slow.gate.callback(None)
    assert [success_of(one).copies for one in sending] == [2] * 4
    assert slow.calls == other.calls == ["receive", "receive_some"]
    for name in ("first", "x", "y", "z"):
        assert success_of(slow.stat(BlobID(name))) == success_of(other.stat(BlobID(name)))


@pytest.mark.parametrize("error", [Unsupported("old"), Unauthorized("who?"), Forbidden("no")])
def test_a_member_that_takes_no_batches_is_not_sent_another(error: SOSError) -> None:
    """What was in it goes there one by one, and so does all that follows; the other members get batches."""
    slow, old = Slow("a"), Flaky(memory_store("b"), [None, error])
    assert copies_of_two_batches(slow, old) == [2] * 5
    assert old.calls == ["receive", "receive_some"] + ["receive"] * 4
    assert slow.calls == ["receive", "receive_some", "receive_some"]


def test_a_member_that_took_no_batches_is_sent_one_again_after_a_while() -> None:
    """It may be a newer program by then: nobody has to start the api anew for that."""
    timer, slow, old = Clock(), Slow("a"), Flaky(memory_store("b"), [None, Unsupported("old")])
    copies = Copies(cluster_of(one={"a": slow, "b": old}), timer)
    expected = [
        (0.0, ["receive", "receive_some", "receive", "receive", "receive"]),
        (ONE_BY_ONE - 0.1, ["receive"] * 4),
        (0.1, ["receive", "receive_some"]),
    ]
    for turn, (passing, calls) in enumerate(expected):
        timer.advance(passing)
        old.calls.clear()
        gate = slow.gate = Deferred()
        sending = send(copies, *(f"{name}{turn}" for name in "wxyz"))
        slow.gate = succeed(None)
        gate.callback(None)
        assert [success_of(one).copies for one in sending] == [2] * 4
        assert old.calls == calls


def test_where_something_in_a_batch_cannot_be_taken_they_go_one_by_one() -> None:
    """So each is told its own error. The next ones go together again."""
    slow = Slow("a")
    picky = Flaky(memory_store("b"), [None, BadInput("one of them"), FULL])
    assert copies_of_two_batches(slow, picky) == [2, 1, 2, 2, 2]
    assert picky.calls == ["receive", "receive_some", "receive", "receive", "receive_some"]


def test_a_member_that_is_gone_has_taken_none_of_a_batch() -> None:
    """As far as anybody knows: each goes to the next group, if too few others have it."""
    slow, next_one = Slow("a"), Flaky(memory_store("b"))
    probe = cluster_of(one={"a": slow}, two={"b": next_one})
    names = [name for name in "abcdefgh" if placement.order(BlobID(name), probe.topology.groups)[0].name == "one"][:3]
    gone = Flaky(slow, [None, DOWN])
    copies = Copies(cluster_of(one={"a": gone}, two={"b": next_one}), Clock())
    sending = send(copies, *names)
    slow.gate.callback(None)
    assert [success_of(one).copies for one in sending] == [1] * 3
    assert gone.calls == ["receive", "receive_some"]
    assert [success_of(next_one.stat(BlobID(name))).is_stray for name in names[1:]] == [True, True]


def test_other_members_of_a_group_that_was_changed_are_written_to() -> None:
    """What waits for the old ones goes to these."""
    slow, new = Slow("a"), Flaky(memory_store("b"))
    stores: dict[str, IBlobStore] = {"http://a:3001": slow, "http://b:3001": new}
    before, after = cluster_of(one={"a": slow}).topology, cluster_of(one={"b": new}).topology
    cluster = Cluster(before, lambda wanted: stores[wanted.url], Health(lambda: 0.5), Clock(), lambda servers: None, clock())
    copies = Copies(cluster, Clock())
    sending = send(copies, "first", "x", "y")
    cluster.change(after)
    sending += send(copies, "z")
    slow.gate.callback(None)
    assert [success_of(one).copies for one in sending] == [1] * 4
    assert success_of(new.enumerate()) == ["z"]
    assert success_of(slow.enumerate()) == ["first", "x", "y"]


def test_the_memory_of_a_small_blob_is_free_when_the_slowest_member_has_ended() -> None:
    """And not when it is acknowledged: until then, its bytes are on their way."""
    timer, freed = Clock(), list[None]()
    slow = Slow("b")
    copies = Copies(cluster_of(one={"a": well("a"), "b": slow}), timer)
    sending = send(copies, "first", "x", "y", freed=lambda: freed.append(None))
    timer.advance(LONGEST_WAIT)
    timer.advance(STRAGGLE)
    assert [success_of(one).copies for one in sending] == [1] * 3
    assert freed == []
    slow.gate.callback(None)
    assert freed == [None] * 3
    assert timer.getDelayedCalls() == []


def test_a_client_that_leaves_takes_its_small_blob_out_of_the_queue() -> None:
    """Nobody waits for it; the others go on."""
    freed = list[None]()
    slow = Slow("a")
    copies = Copies(cluster_of(one={"a": slow}), Clock())
    sending = send(copies, "first", "x", "y", "z", freed=lambda: freed.append(None))
    sending[1].cancel()
    assert isinstance(failure_of(sending[1]), CancelledError)
    assert freed == [None]
    slow.gate.callback(None)
    assert [success_of(one).copies for one in (sending[0], *sending[2:])] == [1] * 3
    assert success_of(slow.enumerate()) == ["first", "y", "z"]
