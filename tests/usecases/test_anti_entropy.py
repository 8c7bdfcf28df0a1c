"""Rounds over stores with digests: deletes, renewals, damage, strays, old copies, and members that were away."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from sos.decisions import placement
from sos.decisions.buckets import BUCKETS
from sos.store.memory import MemoryStore
from sos.usecases.anti_entropy import LONGEST_RUN
from sos.usecases.cluster import LATELY, Cluster
from sos.usecases.copying import Round
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BlobConflict, BlobNotFound, OtherGroup, ServerUnavailable
from sos.words.interfaces import OpenBlob, StoreSummary
from sos.words.versions import HybridClock
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_of, cluster_with, memory_store, put, server

ABC = BlobID("abc")
DOWN = ServerUnavailable("http://x:3001", "connection refused")


class Reaped(Flaky):
    """A store that removes what has expired between its listing and its copy."""

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        raise BlobNotFound(blob_id)


def run(cluster: Cluster) -> Round:
    """Run one round."""
    return success_of(Replication(cluster, SilentReporter()).round())


def trio() -> list[MemoryStore]:
    """Make three empty stores."""
    return [memory_store(name) for name in "abc"]


def group_of(stores: Sequence[object]) -> Cluster:
    """Make one group of stores."""
    return cluster_of(one={f"m{number}": store for number, store in enumerate(stores)})  # type: ignore[misc]


def roots(stores: Sequence[MemoryStore]) -> set[bytes]:
    """Give the different root digests of stores."""
    return {success_of(store.summary()).root for store in stores}


def test_an_idle_round_asks_each_member_for_its_summary_and_notes_the_round() -> None:
    """Two requests a member, whatever the number of blobs."""
    stores = trio()
    for number in range(50):
        for store in stores:
            put(store, b"hello", f"blob{number}")
    members = [Flaky(store) for store in stores]
    outcome = run(group_of(members))
    assert outcome.is_complete
    assert [member.calls for member in members] == [["summary", "note_round"]] * 3
    assert [store.round for store in stores] == [1, 1, 1]
    assert [store.group for store in stores] == ["one"] * 3


class Late(Flaky):
    """A store whose answers to one question take their time."""

    def __init__(self, store: MemoryStore, clock: Clock, verb: str) -> None:
        super().__init__(store)
        self._clock = clock
        self._verb = verb

    def _answer(self, verb: str, *arguments: Any, **named: Any) -> Any:
        if verb == self._verb:
            self._clock.advance(2 * LATELY)
        return super()._answer(verb, *arguments, **named)


def timed_group(clock: Clock, stores: Sequence[object]) -> Cluster:
    """Make one group of stores, by a clock of the test."""
    members = {f"m{number}": store for number, store in enumerate(stores)}
    return cluster_with(HybridClock(lambda: NOW), {"one": members}, clock)  # type: ignore[dict-item]


def timed_trio(clock: Clock) -> list[MemoryStore]:
    """Make three stores that are opened now, by a clock of the test."""
    return [MemoryStore(name, HybridClock(lambda: NOW), steady=clock.seconds) for name in "abc"]


def test_who_was_started_since_it_was_asked_has_not_completed_the_round() -> None:
    """It may have come back without what its peers took meanwhile; the next round will tell."""
    clock = Clock()
    stores = timed_trio(clock)
    clock.advance(60)

    class Returning(Flaky):
        async def summary(self) -> StoreSummary:
            clock.advance(0.005)
            stores[2] = timed_trio(clock)[2]
            return await stores[2].summary()

        async def note_round(
            self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None
        ) -> None:
            await stores[2].note_round(number, group, is_partial, incarnation)

    outcome = run(timed_group(clock, [*stores[:2], Returning(stores[2])]))
    assert outcome.is_complete
    assert [store.round for store in stores] == [1, 1, 0]
    run(timed_group(clock, stores))
    assert [store.round for store in stores] == [2, 2, 2]


def test_who_answers_late_has_completed_the_round() -> None:
    """It was there all the time."""
    clock = Clock()
    stores = timed_trio(clock)
    clock.advance(60)
    run(timed_group(clock, [*stores[:2], Late(stores[2], clock, "summary")]))
    assert [store.round for store in stores] == [1, 1, 1]


def test_who_was_started_while_a_round_went_on_has_not_completed_it() -> None:
    """What it said before may be true no more: it may have been put back from an old copy."""
    stores = trio()

    class Restarted(Flaky):
        async def note_round(
            self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None
        ) -> None:
            stores[2] = memory_store("c")
            await stores[2].note_round(number, group, is_partial, incarnation)

    outcome = run(group_of([*stores[:2], Restarted(stores[2])]))
    assert outcome.is_complete
    assert [store.round for store in stores] == [1, 1, 0]


def test_one_difference_is_found_without_listing_the_rest() -> None:
    """One part, one bucket, one copy."""
    stores = trio()
    for number in range(200):
        for store in stores:
            put(store, b"hello", f"blob{number}")
    put(stores[0], b"new", "abc")
    members = [Flaky(store) for store in stores]
    outcome = run(group_of(members))
    assert (outcome.copied, outcome.renewed, outcome.buried) == (2, 0, 0)
    assert members[1].calls == ["summary", "digests", "digests", "entries", "receive", "note_round"]
    assert len(roots(stores)) == 1


def test_an_empty_member_is_filled_with_few_questions() -> None:
    """Buckets that have few entries are listed together; with one question for each, there would be two for a blob."""
    full, empty = Flaky(memory_store("full")), Flaky(memory_store("empty"))
    for number in range(1200):
        put(full._store, b"hello", f"blob{number}")
    outcome = run(group_of([full, empty]))
    assert outcome.is_complete and outcome.copied == 1200
    for member in (full, empty):
        assert member.calls.count("entries") <= BUCKETS // LONGEST_RUN
    assert len(roots([full._store, empty._store])) == 1  # type: ignore[list-item]


def test_what_was_deleted_while_a_member_was_away_stays_deleted() -> None:
    """Torture F17: its old copy dies, and is never pushed back."""
    stores = trio()
    for store in stores:
        put(store, b"hello", "abc", version=5)
    for store in stores[:2]:
        success_of(store.remove(ABC, Version(7)))
    outcome = run(group_of(stores))
    assert (outcome.copied, outcome.buried) == (0, 1)
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in stores)
    assert len(roots(stores)) == 1


def test_what_was_uploaded_again_after_a_delete_lives() -> None:
    """On the member that only knows of the delete, too."""
    stores = trio()
    success_of(stores[0].remove(ABC, Version(5)))
    put(stores[1], b"hello", "abc", version=7)
    run(group_of(stores))
    assert all(success_of(store.stat(ABC)).version == 7 for store in stores)


def test_a_change_of_metadata_moves_no_bytes() -> None:
    """Torture I12."""
    stores = trio()
    for store in stores:
        put(store, b"hello", "abc", version=5)
    newer = Entry(id=ABC, version=Version(6), metadata=Metadata.of([(b"X-Colour", b"red")]))
    success_of(stores[2].receive(newer, bytes_body(b"hello")))
    outcome = run(group_of(stores))
    assert (outcome.copied, outcome.renewed) == (0, 2)
    assert all(success_of(store.stat(ABC)).metadata == newer.metadata for store in stores)


def test_a_damaged_copy_is_healed_from_another_member() -> None:
    """One round brings good bytes back, though both have the same version."""
    stores = trio()
    for store in stores:
        put(store, b"hello", "abc")
    stores[1].damage(ABC)
    assert run(group_of(stores)).copied == 1
    assert not success_of(stores[1].stat(ABC)).is_damaged
    assert run(group_of(stores)).copied == 0


def test_what_has_expired_is_copied_while_its_bytes_are_there() -> None:
    """Else the members would differ for as long as the others keep them, and each round would look for the reason."""
    stores = trio()
    expiring = Entry(id=ABC, version=Version(5), expires=int(NOW) - 1)
    for store in stores[:2]:
        success_of(store.receive(expiring, bytes_body(b"hello")))
    outcome = run(group_of(stores))
    assert (outcome.copied, outcome.failed) == (1, 0)
    assert len(roots(stores)) == 1
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in stores)
    members = [Flaky(store) for store in stores]
    assert run(group_of(members)).is_complete
    assert [member.calls for member in members] == [["summary", "note_round"]] * 3


def test_what_is_reaped_in_mid_round_is_no_loss() -> None:
    """It is gone at its only source when it is to be copied: the round is complete, and its member is read from."""
    stores = trio()
    success_of(stores[0].receive(Entry(id=ABC, version=Version(5), expires=int(NOW) - 1), bytes_body(b"hello")))
    outcome = run(group_of([Reaped(stores[0]), *stores[1:]]))
    assert (outcome.copied, outcome.failed) == (0, 0)
    assert outcome.is_complete
    assert [store.round for store in stores] == [1, 1, 1]


def test_other_bytes_under_one_id_are_reported_every_round_and_stay() -> None:
    """Torture F27: sos picks nobody's bytes."""
    stores = trio()
    put(stores[0], b"hello", "abc", version=5)
    put(stores[1], b"other", "abc", version=6)
    for _ in range(2):
        outcome = run(group_of(stores))
        assert outcome.reported == {ABC}
        assert outcome.copied == 0
    assert success_of(stores[0].stat(ABC)).version == 5
    assert success_of(stores[1].stat(ABC)).version == 6


def test_a_store_of_another_group_is_refused_and_reported() -> None:
    """Disks that were swapped must not be mirrored into each other."""
    stores = trio()
    success_of(stores[2].note_round(3, "other"))
    put(stores[0], b"hello", "abc")
    outcome = run(group_of(stores))
    assert list(outcome.unreachable) == [server("m2")]
    assert "other" in outcome.unreachable[server("m2")]
    assert success_of(stores[2].enumerate()) == []
    assert isinstance(failure_of(stores[2].note_round(4, "one")), OtherGroup)


def test_a_member_that_was_away_is_not_read_until_a_round_has_caught_it_up() -> None:
    """It gets writes, and its answers count for nothing before that."""
    stores = trio()
    members = [stores[0], stores[1], Flaky(stores[2], always=DOWN)]
    run(group_of(members))
    cluster = group_of(stores)
    for number, store in enumerate(stores):
        cluster.heard(server(f"m{number}"), None, store.round)
    assert server("m2") not in cluster.readers_for(ABC)
    run(cluster)
    for number, store in enumerate(stores):
        cluster.heard(server(f"m{number}"), None, store.round)
    assert server("m2") in cluster.readers_for(ABC)


def test_a_site_that_was_all_off_serves_at_once() -> None:
    """Nobody in reach is ahead of anybody."""
    cluster = group_of(trio())
    for number in range(3):
        cluster.heard(server(f"m{number}"), None, 17)
    assert len(cluster.readers_for(ABC)) == 3


def test_a_stray_is_carried_home_and_forgotten() -> None:
    """What another group took for the home group is brought there, live ones and tombstones."""
    homes, others = [memory_store("h1"), memory_store("h2")], [memory_store("o1")]
    probe = cluster_of(one={"x": homes[0]}, two={"y": others[0]})
    home = placement.order(ABC, probe.topology.groups)[0].name
    other = "two" if home == "one" else "one"
    groups = {home: {"h1": homes[0], "h2": homes[1]}, other: {"o1": others[0]}}
    stray = Entry(id=ABC, version=Version(5), is_stray=True)
    success_of(others[0].receive(stray, bytes_body(b"hello")))
    assert run(cluster_of(**groups)).copied == 2
    assert [success_of(store.stat(ABC)).version for store in homes] == [5, 5]
    assert not success_of(homes[0].stat(ABC)).is_stray
    assert success_of(others[0].summary()).strays == 0
    assert isinstance(failure_of(others[0].stat(ABC)), BlobNotFound)
    success_of(others[0].remove(ABC, Version(9), True))
    run(cluster_of(**groups))
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in homes)
    assert success_of(others[0].summary()).strays == 0


def test_a_stray_that_is_older_than_what_is_at_home_changes_nothing_there() -> None:
    """Torture F39: no ghost."""
    homes, others = [memory_store("h1")], [memory_store("o1")]
    probe = cluster_of(one={"x": homes[0]}, two={"y": others[0]})
    home = placement.order(ABC, probe.topology.groups)[0].name
    other = "two" if home == "one" else "one"
    put(homes[0], b"hello", "abc", version=8)
    success_of(others[0].remove(ABC, Version(5), True))
    run(cluster_of(**{home: {"h1": homes[0]}, other: {"o1": others[0]}}))
    assert success_of(homes[0].stat(ABC)).version == 8
    assert success_of(others[0].summary()).strays == 0


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove"]), st.integers(0, 2), st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 6)
    ),
    max_size=14,
)


@given(OPERATIONS)
def test_whatever_members_have_seen_two_rounds_make_them_equal(operations: list[tuple[str, int, str, int]]) -> None:
    """Torture I11: the same entries, and equal roots say just that; a third round finds nothing."""
    stores = trio()
    for verb, member, name, version in operations:
        entry = Entry(id=BlobID(name), version=Version(version))
        if verb == "put":
            _try(stores[member].receive(entry, bytes_body(b"hello")))
        else:
            _try(stores[member].remove(entry.id, entry.version))
    cluster = group_of(stores)
    run(cluster)
    run(cluster)
    assert len(roots(stores)) == 1
    held = [success_of(store.enumerate()) for store in stores]
    assert held[0] == held[1] == held[2]
    third = run(cluster)
    assert (third.copied, third.renewed, third.buried, third.failed) == (0, 0, 0, 0)


def _try(change: Awaitable[object]) -> None:
    """Make a change that may be refused as older."""
    with contextlib.suppress(BlobConflict):
        success_of(change)


def test_two_rounds_at_once_do_no_harm() -> None:
    """Torture F29: two replicators come to the same."""
    stores = trio()
    put(stores[0], b"hello", "abc")
    put(stores[1], b"hello", "abd")
    success_of(stores[2].remove(BlobID("abd"), Version(9)))
    cluster = group_of(stores)
    first, second = run(cluster), run(group_of(stores))
    assert first.is_complete
    assert second.copied == 0
    assert len(roots(stores)) == 1


def test_an_entry_that_changes_during_the_round_is_the_next_ones() -> None:
    """A late copy is refused by a newer tombstone, and nothing is called failed for good."""
    stores = trio()
    put(stores[0], b"hello", "abc", version=5)

    class Racing(Flaky):
        async def receive(self, entry: Entry, body: object) -> object:  # type: ignore[override]
            await stores[1].remove(ABC, Version(9))
            return await super().receive(evolve(entry), body)  # type: ignore[arg-type]

    run(group_of([stores[0], Racing(stores[1]), stores[2]]))
    assert isinstance(failure_of(stores[1].stat(ABC)), BlobNotFound)
    run(group_of(stores))
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in stores)
