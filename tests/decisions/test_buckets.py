"""Digests of what a store holds."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.buckets import (
    BUCKETS,
    BUCKETS_A_PART,
    EMPTY,
    bucket_of,
    changed,
    entry_digest,
    part_digests,
    root_digest,
    runs_of,
    unequal,
)
from sos.words.blob import BlobID, Entry, Kind, Metadata, State, Version

HELLO = Entry(
    id=BlobID("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
    version=Version(7),
    size=5,
    sha256=bytes(range(32)),
    metadata=Metadata.of([(b"X-Orig-Filename", b"hello.txt"), (b"X-Mime-Type", b"text/plain")]),
    expires=1_700_000_000,
)
ENTRIES = st.builds(
    Entry,
    id=st.from_regex(r"[a-z0-9]{1,40}", fullmatch=True).map(BlobID),
    version=st.integers(0, 2**63 - 1).map(Version),
    size=st.integers(0, 2**40),
    sha256=st.binary(min_size=32, max_size=32),
)


def test_the_test_vector_of_the_documentation() -> None:
    """Whoever writes another program can check it against this."""
    assert bucket_of(HELLO.id) == 1166
    assert entry_digest(HELLO).hex() == "dd6d1f1494afc0c835a7dedfb9ba5de9"


@pytest.mark.parametrize(
    "change",
    [
        {"id": BlobID("abc")},
        {"version": Version(8)},
        {"state": State.DELETED},
        {"kind": Kind.MANIFEST},
        {"size": 6},
        {"size": None},
        {"sha256": None},
        {"metadata": Metadata.of([(b"X-Orig-Filename", b"hello.txt")])},
        {"metadata": Metadata.of([(b"X-Orig-Filename", b"hello.tx"), (b"X-Mime-Type", b"ttext/plain")])},
        {"expires": None},
    ],
)
def test_every_field_that_members_must_agree_on_is_in_the_digest(change: dict[str, Any]) -> None:
    """Torture I25."""
    assert entry_digest(evolve(HELLO, **change)) != entry_digest(HELLO)


OTHERS = ENTRIES.map(lambda entry: evolve(entry, kind=Kind.CHUNK, metadata=HELLO.metadata, expires=1))
AGREED_ON = [field.name for field in fields(Entry) if field.name not in ("is_damaged", "is_stray")]


@given(st.sampled_from(AGREED_ON), ENTRIES, OTHERS)
def test_whatever_the_entry_each_of_its_fields_is_in_the_digest(name: str, entry: Entry, other: Entry) -> None:
    """Torture I25: a field that is added to entries, too, unless it is one that a server alone knows."""
    change: dict[str, Any] = {name: State.DELETED if name == "state" else getattr(other, name)}
    differs = change[name] != getattr(entry, name)
    assert (entry_digest(evolve(entry, **change)) != entry_digest(entry)) is differs


@pytest.mark.parametrize("change", [{"is_damaged": True}, {"is_stray": True}])
def test_what_one_server_alone_knows_is_not_in_the_digest(change: dict[str, Any]) -> None:
    """A damaged copy is left out of the digests by the store, not by its fields."""
    assert entry_digest(evolve(HELLO, **change)) == entry_digest(HELLO)


@given(st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry.id), st.randoms())
def test_a_bucket_has_one_digest_whatever_the_order_of_its_changes(entries: list[Entry], chance: Any) -> None:
    """Entries that came and went leave no trace."""
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert changed(changed(EMPTY, *entries), *shuffled) == EMPTY
    one_by_one = EMPTY
    for entry in shuffled:
        one_by_one = changed(one_by_one, entry)
    assert one_by_one == changed(EMPTY, *entries)


@given(ENTRIES)
def test_one_difference_shows_at_the_root_and_leads_to_its_bucket(entry: Entry) -> None:
    """From the root over one part to one bucket."""
    one = [EMPTY] * BUCKETS
    other = list(one)
    place = bucket_of(entry.id)
    other[place] = changed(EMPTY, entry)
    assert root_digest(one) != root_digest(other)
    assert unequal(part_digests(one), part_digests(other)) == [place // 64]
    assert unequal(one, other) == [place]


def test_ids_spread_over_the_buckets() -> None:
    """Each of 4,096 buckets gets its share of 40,960 IDs: none is empty by more than chance."""
    counts = [0] * BUCKETS
    for number in range(40_960):
        counts[bucket_of(BlobID(f"{number:040x}"))] += 1
    assert max(counts) < 40
    assert sum(count == 0 for count in counts) < 5


@given(st.sets(st.integers(0, BUCKETS - 1), max_size=200), st.integers(-1, 100))
def test_runs_have_all_buckets_and_are_no_longer_than_they_may_be(buckets: set[int], most: int) -> None:
    """Each bucket is in one run; a run begins and ends with one that was given, so a single one stays alone."""
    runs = runs_of(buckets, most)
    longest = max(1, min(most, BUCKETS_A_PART))
    spans = [range(first, first + count) for first, count in runs.items()]
    assert all(len(span) <= longest and span[0] in buckets and span[-1] in buckets for span in spans)
    assert all(sum(bucket in span for span in spans) == 1 for bucket in buckets)
    assert sum(map(len, spans)) == len(set().union(*spans))


def test_runs_put_neighbours_together() -> None:
    """As many as may be; what is far apart stays apart."""
    assert runs_of([7, 3, 4, 5, 100], 4) == {3: 3, 7: 1, 100: 1}
    assert runs_of(range(BUCKETS), 64) == dict.fromkeys(range(0, BUCKETS, 64), 64)
    assert runs_of([], 64) == {}
