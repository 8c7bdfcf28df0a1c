"""Copies in groups of memory stores, some of which fail."""

from __future__ import annotations

import hashlib

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer

from sos.decisions import placement
from sos.decisions.tally import CopyTally
from sos.http.bodies import BytesSource
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.group_write import STRAGGLE
from sos.words.blob import BlobID, Entry
from sos.words.errors import BlobConflict, NotEnoughCopies, ServerUnavailable, SOSError, StoreFull
from sos.words.interfaces import IBlobStore, Received
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, clock, cluster_of, memory_store, put, server

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


def well(name: str) -> IBlobStore:
    """Make a member that works."""
    return memory_store(name)


def failing(error: SOSError) -> IBlobStore:
    """Make a member that always fails."""
    return Flaky(memory_store(), always=error)


def store(cluster: Cluster, min_copies: int | None = None, timer: Clock | None = None) -> Deferred[CopyTally]:
    """Store the entry."""
    copies = Copies(cluster, timer or Clock(), min_copies)
    return Deferred.fromCoroutine(copies.store(HELLO, BytesSource([b"hello"])))


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
