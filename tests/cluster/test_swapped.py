"""Torture F21: stores that were swapped between members, and one store under two URLs."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sos.usecases.copying import Round
from tests.cluster.conftest import Builder
from tests.cluster.town import Town, server
from tests.support import success_of

PAYLOADS = [b"%d" % number * 1000 for number in range(12)]


def swap(town: Town, one: str, other: str) -> None:
    """Put the disks of two members into each other's servers."""
    lines = [town.members[name].line for name in (one, other)]
    lines[0].server, lines[1].server = lines[1].server, lines[0].server
    for line in lines:
        line.heal()


def replicated(town: Town) -> Round:
    """Run a round."""
    running: Deferred[Round] = town.api.replicate()
    town.seconds_until(lambda: running.called)
    return success_of(running)


def test_stores_that_were_swapped_between_groups_are_refused_and_named(build: Builder) -> None:
    """Nothing is mirrored into the other group; all is served; swapped back, all is well."""
    town = build(one="ab", two="cd")
    for payload in PAYLOADS:
        town.stored(payload)
    assert replicated(town).is_complete
    before = {payload: town.holders(payload) for payload in PAYLOADS}
    assert set(before.values()) == {"ab", "cd"}
    swap(town, "a", "c")
    for _ in range(2):
        outcome = replicated(town)
        assert set(outcome.unreachable) == {server("a"), server("c")}
        assert all("see --adopt" in why for why in outcome.unreachable.values())
        assert {payload: town.holders(payload) for payload in PAYLOADS} == before
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    swap(town, "a", "c")
    assert replicated(town).is_complete
    assert {payload: town.holders(payload) for payload in PAYLOADS} == before


def test_stores_that_were_swapped_within_a_group_change_nothing(town: Town) -> None:
    """Members of a group hold the same, whatever their names."""
    for payload in PAYLOADS:
        town.stored(payload)
    assert replicated(town).is_complete
    swap(town, "a", "b")
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    assert town.stored(b"more") == 3
    outcome = replicated(town)
    assert outcome.is_complete and outcome.copied == 0


def test_one_store_under_two_urls_is_one_copy_and_no_source_for_itself(town: Town) -> None:
    """An upload says so; a round fills the third member, and copies nothing from the store to itself."""
    town.members["b"].line.server = town.members["a"].line.server
    assert [town.upload(payload).answer.json["copies"] for payload in PAYLOADS] == [2] * len(PAYLOADS)
    town.members["c"].line.refuse()
    alone = town.answer_to(town.upload(b"more"))
    assert (alone.status, "copies" in alone.json) == (503, False)
    town.members["c"].line.heal()
    outcome = replicated(town)
    assert (outcome.copied, outcome.failed) == (1, 0)
    assert town.holders(b"more") == "ac"
