"""Members that have missed rounds, are new, or have lost their disk: they are filled before anybody believes them."""

from __future__ import annotations

import pytest

from sos.store.memory import MemoryStore
from sos.words.versions import HybridClock
from tests.cluster.town import Api, Member, Town
from tests.support import success_of
from tests.usecases.cluster_of import cluster_of, memory_store

PAYLOADS = [b"%d" % number * 1000 for number in range(10)]


def fetched(town: Town, payload: bytes, api: Api) -> int:
    """Fetch through one of the apis, and give the status."""
    return town.answer_to(town.fetch(payload, api=api)).status


def replicated(town: Town, api: Api | None = None) -> None:
    """Run a round."""
    running = (api or town.api).replicate()
    town.seconds_until(lambda: running.called)
    success_of(running)


def lose_disk(town: Town, name: str) -> None:
    """Put an empty server in the place of a member, under its URL."""
    start_on(town, name, MemoryStore(f"fresh-{name}", HybridClock(town.wall)))


def copy_of(town: Town, name: str) -> MemoryStore:
    """Copy the store of a member as it is now."""
    store = town.members[name].store
    copied = MemoryStore(store.uuid, HybridClock(town.wall))
    for blob_id in success_of(store.enumerate()):
        opened = success_of(store.fetch(blob_id))
        success_of(copied.receive(opened.entry, opened.body))
    success_of(copied.note_round(store.round, store.group or "one"))
    return copied


def start_on(town: Town, name: str, store: MemoryStore) -> None:
    """Put a server with another store in the place of a member, under its URL."""
    line = town.members[name].line
    fresh = Member(name, store, town.network, town.clock, town.wall)
    line.server = fresh.front
    fresh.line = line
    line.heal()
    town.members[name] = fresh


def stored_while_a_is_away(town: Town) -> None:
    """After a round, have an object stored at the two others; then a is back, and no round has been since."""
    replicated(town)
    town.members["a"].line.refuse()
    assert town.stored(b"known") == 2
    town.members["a"].line.heal()
    town.pass_time(40)


def test_rounds_that_another_api_runs_change_nothing(town: Town) -> None:
    """It hears of them from one member first: the others are read from all the same, and a 404 is still true."""
    for payload in PAYLOADS:
        town.stored(payload)
    other = town.add_api(town.api.cluster.topology)
    for _ in range(3):
        replicated(town)
        assert fetched(town, PAYLOADS[0], other) == 200
        assert fetched(town, b"unknown", other) == 404
        assert len(other.cluster.readers_for("abc")) == 3  # type: ignore[arg-type]
    town.members["a"].line.refuse()
    assert fetched(town, PAYLOADS[0], other) == 200
    assert fetched(town, b"unknown", other) == 404


def test_whoever_hears_half_of_a_round_says_what_is_true_at_once(town: Town) -> None:
    """Its number is written into one member after the other; those that have it by now are asked again, before a 503."""
    group = town.api.cluster.topology.groups[0].name
    replicated(town)
    town.stored(PAYLOADS[0])
    town.pass_time(40)
    stores = [member.store for member in town.members.values()]
    number = stores[0].round + 1
    success_of(stores[0].note_round(number, group))
    assert town.fetched(PAYLOADS[0]) == 200  # which asks all members for their rounds
    assert len(town.api.cluster.readers_for("abc")) == 1  # type: ignore[arg-type]
    assert town.fetched(b"unknown") == 503
    for store in stores[1:]:
        success_of(store.note_round(number, group))
    assert town.fetched(b"unknown") == 404


@pytest.mark.parametrize("is_told", [True, False])
def test_a_member_that_lost_its_disk_denies_nothing_until_it_is_filled(town: Town, is_told: bool) -> None:
    """One of the two that held an object is away, the other is empty now, and the third never had it: 503, not 404.

    Even where the api learns only by that very answer that the disk was lost.
    """
    stored_while_a_is_away(town)
    assert town.fetched(b"known") == 200
    lose_disk(town, "b")
    if is_told:
        town.pass_time(2)
        assert town.fetched(b"unknown") == 404
    town.members["c"].line.refuse()
    assert town.fetched(b"known") == 503
    town.members["c"].line.heal()
    town.pass_time(40)
    assert town.fetched(b"known") == 200
    replicated(town)
    town.pass_time(2)
    assert town.holders(b"known") == "abc"
    assert len(town.api.cluster.readers_for("abc")) == 3  # type: ignore[arg-type]
    for line in town.lines("ac"):
        line.refuse()
    assert town.fetched(b"known") == 200


def test_an_old_copy_is_not_believed_however_soon_it_is_put_back(town: Town) -> None:
    """Torture F19: the api has just heard all members; since then somebody else has run a round."""
    town.stored(b"early")
    replicated(town)
    backup = copy_of(town, "a")
    assert town.answer_to(town.delete(b"early")).status == 204
    town.stored(b"late")
    replicated(town, town.add_api(town.api.cluster.topology))
    start_on(town, "a", backup)  # which is asked first
    for _ in range(6):
        assert town.fetched(b"early") == 404
        assert town.fetched(b"late") == 200
    assert success_of(backup.enumerate()) != []
    replicated(town)
    assert (town.holders(b"early"), town.holders(b"late")) == ("", "abc")


def test_a_member_that_missed_rounds_is_read_from_after_the_next(town: Town) -> None:
    """Whoever runs that round: the probe asks it whether it has caught up."""
    other = town.add_api(town.api.cluster.topology)
    town.members["a"].line.refuse()
    for payload in PAYLOADS:
        assert town.answer_to(town.upload(payload)).json["copies"] == 2
    replicated(town)
    town.members["a"].line.heal()
    town.pass_time(40)
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    assert [server.host for server in town.api.cluster.readers_for("abc")] == ["b", "c"]  # type: ignore[arg-type]
    replicated(town, other)
    town.pass_time(2)
    assert [server.host for server in town.api.cluster.readers_for("abc")] == ["a", "b", "c"]  # type: ignore[arg-type]
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}


def test_a_store_of_this_very_process_is_looked_at_instead() -> None:
    """Nothing is sent to it and so nothing is heard of it: it is behind until a round has reached it, and no longer."""
    stores = {name: memory_store(name) for name in "ab"}
    cluster = cluster_of(one=stores)
    success_of(stores["a"].note_round(3, "one"))
    success_of(cluster.greeted())
    assert [server.host for server in cluster.readers_for("abc")] == ["a"]  # type: ignore[arg-type]
    success_of(stores["b"].note_round(3, "one", is_partial=True))
    assert [server.host for server in cluster.readers_for("abc")] == ["a", "b"]  # type: ignore[arg-type]
    members = cluster.topology.servers
    assert [server.host for server in members if cluster.denies_truly(server)] == ["a"]
    success_of(stores["b"].note_round(4, "one"))
    assert [server.host for server in members if cluster.denies_truly(server)] == ["a", "b"]


def test_a_round_that_does_not_meet_all_lets_nobody_deny_who_lost_its_disk(town: Town) -> None:
    """What it had taken together with a member that is away now may be there alone: 503, until a round has met that one too.

    A round without it brings what the others have all the same, and that is read from there.
    """
    stored_while_a_is_away(town)
    assert town.stored(b"seen by all") == 3
    lose_disk(town, "c")
    town.members["b"].line.refuse()
    town.pass_time(2)
    for _ in range(2):
        replicated(town)
        town.pass_time(2)
        assert town.fetched(b"known") == 503
        assert town.fetched(b"unknown") == 503
        assert town.holders(b"seen by all") == "abc"
    town.members["a"].line.refuse()
    assert town.fetched(b"seen by all") == 200
    for line in town.lines("ab"):
        line.heal()
    town.pass_time(40)
    replicated(town)
    town.pass_time(2)
    assert (town.holders(b"known"), town.fetched(b"known")) == ("abc", 200)
    town.members["b"].line.refuse()
    assert town.fetched(b"unknown") == 404


def test_who_lost_nothing_denies_although_a_member_is_away(town: Town) -> None:
    """Rounds go on without that one, and those who complete each of them have missed nothing."""
    replicated(town)
    town.members["b"].line.refuse()
    for _ in range(2):
        town.pass_time(2)
        replicated(town)
        assert town.fetched(b"unknown") == 404
