"""Torture F11: members without room."""

from __future__ import annotations

from sos.store.memory import MemoryStore
from sos.words.interfaces import ILocalStore
from sos.words.versions import HybridClock
from tests.cluster.conftest import Builder

ROOM = 10_000


def small(names: str) -> object:
    """Make stores that are nearly full for some members, and roomy ones for the others."""

    def store_for(name: str, clock: HybridClock) -> ILocalStore:
        return MemoryStore(f"store-{name}", clock, ROOM if name in names else 100 * ROOM)

    return store_for


def test_one_full_member_costs_a_copy_and_all_full_ones_are_507(build: Builder) -> None:
    """What is there is served all the time, and a full member is well: it is asked for what it has."""
    town = build(store_for=small("a"))
    assert town.stored(b"x" * ROOM) == 3
    assert town.stored(b"more") == 2
    town = build(store_for=small("abc"))
    assert town.stored(b"x" * ROOM) == 3
    full = town.upload(b"more").answer
    assert full.status == 507
    assert "retry-after" in full.headers
    assert town.fetched(b"x" * ROOM) == 200
    assert town.fetched(b"more") == 404
    assert not any(town.api.cluster.is_resting(member.server) for member in town.members.values())


def test_two_full_ones_of_three_are_507(build: Builder) -> None:
    """The third took it, and one copy is no promise: it is for want of room that there are no two."""
    town = build(store_for=small("ab"))
    assert town.stored(b"x" * ROOM) == 3
    assert town.upload(b"more").answer.status == 507


def test_a_full_group_spills_over(build: Builder) -> None:
    """To the next one, and what it took is found; with all full it is 507."""
    town = build(store_for=small("abc"), one="abc", two="def")
    payloads = [b"%d" % number * ROOM for number in range(8)]
    assert {town.stored(payload) for payload in payloads} == {3}
    assert {town.fetched(payload) for payload in payloads} == {200}
    assert "".join(sorted({town.holders(payload) for payload in payloads})) == "abcdef"
    town = build(store_for=small("abcdef"), one="abc", two="def")
    statuses = [town.upload(b"%d" % number * (ROOM // 2)).answer.status for number in range(8)]
    assert statuses == [200] * 4 + [507] * 4
