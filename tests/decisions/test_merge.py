"""The merge rule: members that saw the same entries hold the same entry, whatever came first and how often."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.buckets import entry_digest
from sos.decisions.merge import Decision, held_after, merge, rank
from sos.words.blob import NO_METADATA, BlobID, Entry, Kind, Metadata, Version

ONE, TWO = b"1" * 32, b"2" * 32
LIVE = Entry(id=BlobID("abc"), version=Version(5), size=1, sha256=ONE)
TOMBSTONE = Entry.tombstone(BlobID("abc"), Version(5))

metadatas = st.sampled_from(
    [NO_METADATA, Metadata(((b"x-a", b"1"),)), Metadata(((b"x-a", b"2"),)), Metadata(((b"x-a1", b""),))]
)
versions = st.integers(0, 4).map(Version)
expiries = st.sampled_from([None, 0, 100, 200])


def entries_of(sha256s: st.SearchStrategy[bytes]) -> st.SearchStrategy[Entry]:
    """Make live entries and tombstones of one ID."""
    live = st.builds(
        Entry,
        id=st.just(BlobID("abc")),
        version=versions,
        size=st.just(1),
        sha256=sha256s,
        metadata=metadatas,
        expires=expiries,
    )
    return live | st.builds(Entry.tombstone, st.just(BlobID("abc")), versions)


agreeing = entries_of(st.just(ONE))
"""Entries that cannot conflict, for all live ones have the same bytes."""


def outcome_of(arrivals: Iterable[Entry], current: Entry | None = None) -> Entry | None:
    """Give what a store holds after entries came, one by one."""
    for incoming in arrivals:
        current = held_after(merge(current, incoming), current, incoming)
    return current


@given(st.lists(agreeing, min_size=1, max_size=4))
def test_order_does_not_matter(arrivals: list[Entry]) -> None:
    """Commutative and associative: every order of arrival ends in the same entry, the one of the highest rank."""
    outcomes = {outcome_of(order) for order in permutations(arrivals)}
    assert outcomes == {max(arrivals, key=rank)}


@given(st.lists(agreeing, min_size=1, max_size=6), st.data())
def test_repeats_do_not_matter(arrivals: list[Entry], data: st.DataObject) -> None:
    """Idempotent: what was seen once may come again at any time."""
    repeats = data.draw(st.lists(st.sampled_from(arrivals), max_size=6))
    assert outcome_of([*arrivals, *repeats]) == outcome_of(arrivals)


@given(st.lists(agreeing, max_size=4), st.lists(agreeing, max_size=4))
def test_members_that_tell_each_other_agree(here: list[Entry], there: list[Entry]) -> None:
    """Two members that exchange what they hold then hold the same."""
    one, other = outcome_of(here), outcome_of(there)
    assert outcome_of([other] if other else [], one) == outcome_of([one] if one else [], other)


@given(entries_of(st.sampled_from([ONE, TWO])), entries_of(st.sampled_from([ONE, TWO])))
def test_what_is_held_never_falls(current: Entry, incoming: Entry) -> None:
    """Only a higher rank is taken; equal ranks are the same entry; a refusal is one of the two reasons."""
    decision = merge(current, incoming)
    if decision is Decision.TAKE:
        assert rank(incoming) > rank(current)
    elif decision is Decision.SAME:
        assert rank(incoming) == rank(current)
    elif decision is Decision.OLDER:
        assert rank(incoming) < rank(current)
    else:
        assert decision is Decision.CONFLICT
        assert current.is_live and incoming.is_live and current.sha256 != incoming.sha256


@given(agreeing, agreeing)
def test_different_entries_have_different_ranks(one: Entry, other: Entry) -> None:
    """No tie is left to the order of arrival; and what has one rank has one digest, or members would never be equal."""
    assert (rank(one) == rank(other)) is (one == other) is (entry_digest(one) == entry_digest(other))


@given(agreeing, agreeing)
def test_an_expiry_turns_only_what_expired_into_a_tombstone(held: Entry, other: Entry) -> None:
    """Its tombstone has the version that expired: it beats that one wherever it is, and nothing that is newer."""
    expiry = Entry.tombstone(held.id, held.version)
    ended = outcome_of([held, expiry, other])
    assert ended == outcome_of([other, expiry, held]) == outcome_of([expiry, other])
    assert ended == (other if other.version > held.version else expiry)


@given(agreeing, agreeing)
def test_good_bytes_heal_and_nothing_newer_is_lost(held: Entry, incoming: Entry) -> None:
    """Healing brings back the bytes, and ends in the entry that two sound ones would have ended in."""
    damaged = evolve(held, is_damaged=held.is_live)
    outcome = outcome_of([incoming], damaged)
    assert outcome is not None
    sound = outcome_of([incoming], held)
    assert evolve(outcome, is_damaged=False) == sound
    assert outcome.is_damaged is (damaged.is_damaged and not incoming.is_live and incoming.version < held.version)


@given(st.lists(st.tuples(agreeing, st.booleans()), min_size=1, max_size=5))
def test_a_stray_mark_does_not_change_what_is_held(arrivals: list[tuple[Entry, bool]]) -> None:
    """It says where an entry belongs, not what it is worth; one that was never unmarked is still a stray."""
    marked = [evolve(entry, is_stray=is_stray) for entry, is_stray in arrivals]
    outcome = outcome_of(marked)
    assert outcome is not None
    assert evolve(outcome, is_stray=False) == outcome_of(entry for entry, _ in arrivals)
    if all(entry.is_stray for entry in marked):
        assert outcome.is_stray
    if not marked[0].is_stray:
        assert not outcome.is_stray


def test_a_refusal_leaves_the_very_entry_that_is_held() -> None:
    """So whoever keeps it can see that nothing is to be written."""
    for decision in (Decision.OLDER, Decision.CONFLICT, Decision.SAME):
        assert held_after(decision, LIVE, evolve(LIVE, metadata=Metadata(((b"x-a", b"1"),)))) is LIVE


def test_the_same_without_a_mark_takes_the_mark_away() -> None:
    """And an older one does not: what is newer still has to be carried home."""
    stray = evolve(LIVE, is_stray=True)
    assert outcome_of([LIVE], stray) == LIVE
    assert outcome_of([stray], LIVE) == LIVE
    assert outcome_of([evolve(LIVE, version=Version(4))], stray) is stray
    healed = held_after(Decision.HEAL, evolve(stray, is_damaged=True), evolve(LIVE, version=Version(4)))
    assert healed == stray


def test_what_is_new_is_taken() -> None:
    """Nothing held: the first to come is kept, a tombstone too."""
    assert merge(None, LIVE) is merge(None, TOMBSTONE) is Decision.TAKE


def test_a_tombstone_beats_a_live_entry_of_its_version() -> None:
    """That is how expiry deletes; and the live one does not come back."""
    assert merge(LIVE, TOMBSTONE) is Decision.TAKE
    assert merge(TOMBSTONE, LIVE) is Decision.OLDER


def test_a_newer_upload_beats_a_tombstone() -> None:
    """With whatever bytes."""
    assert merge(TOMBSTONE, evolve(LIVE, version=Version(6), sha256=TWO)) is Decision.TAKE


def test_a_late_copy_loses_to_a_tombstone() -> None:
    """What was deleted while a member was away stays deleted."""
    assert merge(evolve(TOMBSTONE, version=Version(7)), evolve(LIVE, version=Version(6))) is Decision.OLDER


@pytest.mark.parametrize("version", [5, 6])
def test_other_bytes_conflict(version: int) -> None:
    """Nobody but a client picks between bytes; an equal version is no excuse."""
    newer = max(evolve(LIVE, version=Version(version), sha256=TWO), evolve(LIVE, sha256=TWO), key=rank)
    current, incoming = sorted([LIVE, newer], key=rank)
    assert merge(current, incoming) is Decision.CONFLICT


@pytest.mark.parametrize(
    ("held", "came", "decision"),
    [
        (Kind.BLOB, Kind.MANIFEST, Decision.TAKE),
        (Kind.MANIFEST, Kind.BLOB, Decision.TAKE),
        (Kind.MANIFEST, Kind.MANIFEST, Decision.TAKE),
        (Kind.BLOB, Kind.BLOB, Decision.CONFLICT),
        (Kind.CHUNK, Kind.CHUNK, Decision.CONFLICT),
        (Kind.CHUNK, Kind.MANIFEST, Decision.CONFLICT),
        (Kind.MANIFEST, Kind.CHUNK, Decision.CONFLICT),
        (Kind.BLOB, Kind.CHUNK, Decision.CONFLICT),
    ],
)
def test_one_object_cut_in_two_ways_does_not_conflict(held: Kind, came: Kind, decision: Decision) -> None:
    """Plain blob and manifest, or two manifests, under one ID are the same object; nothing else is."""
    incoming = evolve(LIVE, version=Version(6), sha256=TWO, kind=came)
    assert merge(evolve(LIVE, kind=held), incoming) is decision


def test_the_bytes_of_a_damaged_entry_heal_it_whatever_their_version() -> None:
    """An older copy brings its bytes, and no version; one as new is taken whole."""
    damaged = evolve(LIVE, is_damaged=True)
    assert merge(damaged, evolve(LIVE, version=Version(4))) is Decision.HEAL
    assert merge(damaged, LIVE) is Decision.TAKE
    assert merge(damaged, evolve(LIVE, version=Version(6))) is Decision.TAKE


def test_other_bytes_do_not_heal() -> None:
    """Damage is no way in for bytes that were never acknowledged here."""
    damaged = evolve(LIVE, is_damaged=True)
    assert merge(damaged, evolve(LIVE, version=Version(6), sha256=TWO)) is Decision.CONFLICT
    assert merge(damaged, evolve(LIVE, version=Version(4), sha256=TWO)) is Decision.OLDER


def test_what_only_one_server_knows_has_no_rank() -> None:
    """Damage and stray marks differ between members that hold the same."""
    assert rank(evolve(LIVE, is_damaged=True, is_stray=True)) == rank(LIVE)
