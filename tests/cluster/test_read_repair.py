"""What downloads find missing or wrong, over the wire: it is repaired without a round, and never spreads."""

from __future__ import annotations

import hashlib

import pytest
from attrs import evolve
from zope.interface import implementer

from sos.http.bodies import BytesBody, collect
from sos.service import REPAIR_EVERY
from sos.store.memory import MemoryStore
from sos.words.blob import BlobID, Span, Version
from sos.words.interfaces import ILocalReplica, OpenBlob
from tests.cluster.conftest import Builder
from tests.cluster.town import STEP, Town
from tests.support import success_of

SOON = 2 * REPAIR_EVERY
SMALL, LARGE, LONG = b"hello", bytes(range(256)) * 1000, bytes(range(256)) * 20_000
"""What is kept in a database, what goes out in several pieces, and what is verified only at its end."""


def missing_at(town: Town, names: str, payload: bytes) -> None:
    """Store an object that some members miss."""
    for line in town.lines(names):
        line.refuse()
    town.stored(payload)
    for line in town.lines(names):
        line.heal()
    town.pass_time(40)


@pytest.mark.parametrize("payload", [SMALL, LARGE])
def test_a_member_that_lacks_what_is_downloaded_has_it_soon(town: Town, payload: bytes) -> None:
    """One download that asks it first is enough."""
    town.api.begin_read_repair()
    missing_at(town, "a", payload)
    assert town.holders(payload) == "bc"
    assert town.fetched(payload) == 200
    assert town.seconds_until(lambda: town.holders(payload) == "abc") <= SOON
    assert len(town.entries(payload)) == 1


def test_what_was_deleted_is_not_brought_back(town: Town) -> None:
    """Two members missed the delete: their copies are not given, and soon they have its tombstone as well."""
    town.stored(SMALL)
    town.api.begin_read_repair()
    (entry,) = town.entries(SMALL)
    success_of(town.members["a"].store.remove(entry.id, Version(entry.version + 1)))
    assert town.fetched(SMALL) == 404
    assert town.seconds_until(lambda: town.holders(SMALL) == "") <= SOON
    assert town.fetched(SMALL) == 404


def test_many_readers_of_one_object_cause_one_repair(town: Town) -> None:
    """And two apis at once leave one entry."""
    missing_at(town, "a", LARGE)
    other = town.add_api(town.api.cluster.topology)
    for api in (town.api, other):
        api.begin_read_repair()
    passed = town.members["a"].line.to_member.passed
    for _ in range(10):
        for api in (town.api, other):
            assert town.answer_to(town.fetch(LARGE, api=api)).body == LARGE
    town.pass_time(SOON)
    assert town.holders(LARGE) == "abc"
    assert len(town.entries(LARGE)) == 1
    assert town.members["a"].line.to_member.passed - passed < 2.2 * len(LARGE)


@pytest.mark.parametrize("fault", ["refuse", "go_silent", "drop"])
def test_a_source_that_goes_away_holds_up_no_download(town: Town, fault: str) -> None:
    """The repair waits for it; readers do not, and the town stops in the middle of it."""
    missing_at(town, "a", LARGE)
    assert town.fetched(LARGE) == 200
    getattr(town.members["b"].line, fault)()
    town.api.begin_read_repair()
    town.pass_time(STEP)
    before = town.clock.seconds()
    assert town.fetched(LARGE) == 200
    assert town.clock.seconds() - before <= 5


# Wrong bytes


@implementer(ILocalReplica)
class Rotting(MemoryStore):
    """A store whose disk gives other bytes than it was given, from some moment on."""

    is_rotten = False

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await super().fetch(blob_id, span)
        if not self.is_rotten:
            return opened
        payload = await collect(opened.body, 2**30)
        return evolve(opened, body=BytesBody(payload[:-1] + b"?"))

    async def suspect(self, blob_id: BlobID) -> None:
        opened = await self.fetch(blob_id)
        if hashlib.sha256(await collect(opened.body, 2**30)).digest() != opened.entry.sha256:
            self.damage(blob_id)


@pytest.fixture
def rotting(build: Builder) -> Town:
    """Give a town whose members' disks can go bad."""
    return build(store_for=lambda name, clock: Rotting(f"store-{name}", clock))


def rot(town: Town, names: str, is_rotten: bool = True) -> None:
    """Let disks go bad, or put good ones in their place."""
    for name in names:
        store = town.members[name].store
        assert isinstance(store, Rotting)
        store.is_rotten = is_rotten


def damaged(town: Town) -> str:
    """Give the names of the members that know of damage."""
    return "".join(name for name, member in town.members.items() if member.store.status().damaged)


@pytest.mark.parametrize("payload", [SMALL, LARGE, LONG])
def test_a_source_that_is_damaged_never_spreads(rotting: Town, payload: bytes) -> None:
    """Torture F25: the target gets the bytes from another member, the damage is found, and a round heals it."""
    missing_at(rotting, "c", payload)
    rot(rotting, "a")
    outcome = success_of(rotting.api.replicate())
    assert (outcome.copied, outcome.failed) == (1, 0)
    assert damaged(rotting) == "a"
    assert rotting.holders(payload) == "bc"
    rot(rotting, "a", is_rotten=False)
    assert success_of(rotting.api.replicate()).copied == 1
    assert rotting.holders(payload) == "abc"
    assert {rotting.fetched(payload)} == {200}


def test_where_all_sources_are_damaged_nothing_is_copied(rotting: Town) -> None:
    """Torture F24 and F25: 503 and never wrong bytes, nor a 404; and nothing is deleted."""
    missing_at(rotting, "c", LARGE)
    rot(rotting, "ab")
    outcome = success_of(rotting.api.replicate())
    assert (outcome.copied, outcome.failed) == (0, 1)
    assert damaged(rotting) == "ab"
    assert rotting.holders(LARGE) == ""
    assert rotting.fetched(LARGE) == 503
    assert [rotting.members[name].store.status().blobs for name in "abc"] == [0, 0, 0]


def test_a_small_damaged_copy_is_found_by_its_reader_and_healed(rotting: Town) -> None:
    """Torture B9: the client gets the right bytes from another member, and a moment later the copy is good again."""
    rotting.stored(LARGE)
    rotting.api.begin_read_repair()
    rot(rotting, "a")
    assert rotting.fetched(LARGE) == 200
    assert damaged(rotting) == "a"
    rot(rotting, "a", is_rotten=False)
    assert rotting.seconds_until(lambda: damaged(rotting) == "") <= SOON
    assert rotting.holders(LARGE) == "abc"


def test_a_long_damaged_copy_is_found_by_its_reader_and_healed(rotting: Town) -> None:
    """The connection is cut before its last bytes; the member has looked by the time the client asks again."""
    rotting.stored(LONG)
    rotting.api.begin_read_repair()
    rot(rotting, "a")
    answer = rotting.answer_to(rotting.fetch(LONG))
    assert not answer.is_whole
    assert damaged(rotting) == "a"
    assert rotting.fetched(LONG) == 200
    rot(rotting, "a", is_rotten=False)
    assert rotting.seconds_until(lambda: damaged(rotting) == "") <= SOON
    assert rotting.fetched(LONG) == 200
