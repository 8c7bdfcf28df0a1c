"""What every store promises of small blobs that go many at a time: each is treated as it would be alone."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sos.decisions.batch import LARGEST, MOST, ROOM
from sos.words.blob import BlobID, Entry, Kind, Parcel, State, Version
from sos.words.errors import BadInput, BlobConflict, DigestMismatch, SOSError, StoreFull, Unavailable
from sos.words.interfaces import Received
from sos.words.versions import FURTHEST_AHEAD
from tests.contracts.replica_sites import NOW, Site, memory_site, metadata_of
from tests.support import bytes_body, failure_of, success_of

ABC = BlobID("abc")


def parcel_of(payload: bytes, name: str = "abc", **fields: Any) -> Parcel:
    """Make a parcel."""
    said: dict[str, Any] = {"version": Version(5), "size": len(payload), "sha256": hashlib.sha256(payload).digest()}
    return Parcel(Entry(id=BlobID(name), **said | fields), payload)


def received(site: Site, *parcels: Parcel) -> Sequence[Received | SOSError]:
    """Have a batch received."""
    return success_of(site.store.receive_some(parcels))


def fetched(site: Site, *names: str) -> list[tuple[str, bytes]]:
    """Fetch a batch."""
    parcels = success_of(site.store.fetch_some([BlobID(name) for name in names]))
    return [(parcel.entry.id, parcel.payload) for parcel in parcels]


def outcome_of(receiving: Awaitable[Received]) -> Received | SOSError:
    """Give what comes of a blob that is received alone."""
    try:
        return success_of(receiving)
    except SOSError as error:
        return error


# Fetching


def test_blobs_come_with_their_entries_and_bytes(site: Site) -> None:
    """In the order that they were asked for; those that are empty too."""
    fields: dict[str, Any] = {"metadata": metadata_of("it"), "kind": Kind.CHUNK, "expires": int(NOW) + 9}
    sent = [parcel_of(b"hello"), parcel_of(b"", "empty"), parcel_of(bytes(LARGEST), "large", **fields)]
    for parcel in sent:
        site.received(parcel.entry, parcel.payload)
    names = [parcel.entry.id for parcel in reversed(sent)]
    assert success_of(site.store.fetch_some(names)) == sent[::-1]
    assert fetched(site) == []


def test_what_cannot_be_had_is_left_out(site: Site) -> None:
    """Unknown, deleted, damaged or large: nothing of it shows, and the others come."""
    for name in ("one", "gone", "bad", "two"):
        site.received(Entry(id=BlobID(name), version=Version(5)))
    site.received(Entry(id=BlobID("large"), version=Version(5)), bytes(LARGEST + 1))
    site.removed(BlobID("gone"), 6)
    site.harm(BlobID("bad"))
    if site.local.status().damaged == 0:
        assert fetched(site, "bad") == []
    assert site.local.status().damaged == 1
    assert fetched(site, "one", "never", "gone", "bad", "large", "two") == [("one", b"hello"), ("two", b"hello")]


def test_what_has_expired_is_still_given(site: Site) -> None:
    """A peer that lacks it copies it, so that both hold the same until both bury it."""
    site.received(Entry(id=ABC, version=Version(5), expires=int(NOW) + 1))
    site.moment.time += 2
    assert fetched(site, "abc") == [("abc", b"hello")]


def test_what_does_not_fit_is_left_out(site: Site) -> None:
    """An answer has its limit, whoever asks."""
    names = [f"n{number}" for number in range(ROOM // LARGEST + 1)]
    for name in names:
        site.received(Entry(id=BlobID(name), version=Version(5)), bytes(LARGEST))
    assert [name for name, _ in fetched(site, *names)] == names[: ROOM // LARGEST - 1]


def test_a_batch_of_names_has_a_limit(site: Site) -> None:
    """And each comes once."""
    names = [BlobID(f"n{number}") for number in range(MOST + 1)]
    assert list(success_of(site.store.fetch_some(names[:MOST]))) == []
    for wrong in (names, [ABC, ABC]):
        assert isinstance(failure_of(site.store.fetch_some(wrong)), BadInput)


# Receiving


def test_each_blob_is_held_as_if_it_had_come_alone(site: Site, tmp_path: Path) -> None:
    """With all of its fields: the digests of the whole store are the same."""
    fields: dict[str, Any] = {"metadata": metadata_of("it"), "kind": Kind.MANIFEST, "expires": int(NOW) + 9}
    sent = [parcel_of(b"hello"), parcel_of(b"", "empty"), parcel_of(bytes(LARGEST), "large", **fields)]
    alone = memory_site(tmp_path)
    for parcel, outcome in zip(sent, received(site, *sent), strict=True):
        alone.received(parcel.entry, parcel.payload)
        assert outcome == Received(parcel.entry, site.local.uuid)
        assert success_of(site.store.stat(parcel.entry.id)) == parcel.entry
        assert site.fetched(parcel.entry.id) == parcel.payload
    assert success_of(site.store.summary()).root == success_of(alone.store.summary()).root
    assert received(site) == []


def test_a_stray_is_marked_as_one(site: Site) -> None:
    """As it is alone."""
    received(site, parcel_of(b"hello", is_stray=True))
    assert success_of(site.store.summary()).strays == 1


def refused(site: Site) -> list[tuple[Parcel, type[SOSError]]]:
    """Give parcels that must be refused, and as what; some because of what is held then."""
    site.received(Entry(id=BlobID("older"), version=Version(7)))
    site.removed(BlobID("gone"), 7)
    site.received(Entry(id=BlobID("other"), version=Version(4)), b"other")
    ahead = Version((int(NOW * 1000) << 16) + 10**9 + FURTHEST_AHEAD)
    return [
        (parcel_of(b"hello", "older"), BlobConflict),
        (parcel_of(b"hello", "gone"), BlobConflict),
        (parcel_of(b"hello", "other"), BlobConflict),
        (parcel_of(b"hello", "digest", sha256=bytes(32)), DigestMismatch),
        (parcel_of(b"hello", "short", size=6), DigestMismatch),
        (parcel_of(b"hello", "long", size=4), DigestMismatch),
        (parcel_of(b"hello", "unsized", size=None), BadInput),
        (parcel_of(b"hello", "undeclared", sha256=None), BadInput),
        (parcel_of(b"hello", "dead", state=State.DELETED), BadInput),
        (parcel_of(bytes(LARGEST + 1), "large"), BadInput),
        (parcel_of(b"hello", "ahead", version=ahead), BadInput),
    ]


def test_one_that_is_refused_does_not_hold_up_the_others(site: Site) -> None:
    """Each has its own error, and nothing of it is kept; what is sound among them is taken."""
    wrong = refused(site)
    before = site.entries()
    good = [parcel_of(b"good", f"good{number}") for number in range(len(wrong) + 1)]
    mixed = [good[0], *(parcel for pair in zip((parcel for parcel, _ in wrong), good[1:], strict=True) for parcel in pair)]
    outcomes = received(site, *mixed)
    assert [type(outcome) for outcome in outcomes[1::2]] == [error for _, error in wrong]
    assert all(isinstance(outcome, Received) for outcome in outcomes[::2])
    held = {entry.id for entry in site.entries()}
    assert held == {entry.id for entry in before} | {parcel.entry.id for parcel in good}


def test_a_conflict_says_why_and_with_which_version(site: Site) -> None:
    """As it does alone: whoever asked moves past it."""
    older, gone, other = received(site, *(parcel for parcel, _ in refused(site)[:3]))
    said = [
        (error.blob_id, error.reason, error.version) for error in (older, gone, other) if isinstance(error, BlobConflict)
    ]
    assert said == [("older", "older", 7), ("gone", "older", 7), ("other", "other-bytes", 4)]


def test_good_bytes_heal_a_damaged_blob(site: Site) -> None:
    """Whatever their version; the answer says which one is held."""
    site.received(Entry(id=ABC, version=Version(7)))
    site.damage(ABC)
    (outcome,) = received(site, parcel_of(b"hello"))
    assert isinstance(outcome, Received) and outcome.entry.version == 7
    assert site.fetched(ABC) == b"hello"
    assert site.local.status().healed == 1


def test_the_same_again_is_the_same(site: Site) -> None:
    """A batch whose answer was lost is sent again."""
    parcels = [parcel_of(b"hello"), parcel_of(b"world", "abd")]
    assert received(site, *parcels) == received(site, *parcels)


def test_a_batch_moves_the_clock(site: Site) -> None:
    """What is asked for later is newer."""
    ahead = (int(NOW * 1000) << 16) + 10**9
    received(site, parcel_of(b"hello"), parcel_of(b"hello", "ahead", version=Version(ahead)))
    assert site.local.clock.tick() > ahead


def test_a_batch_has_limits(site: Site) -> None:
    """By number, by bytes, and each ID once: else it is refused as a whole, and nothing is taken."""
    for wrong in (
        [parcel_of(b"", f"n{number}") for number in range(MOST + 1)],
        [parcel_of(bytes(LARGEST), f"n{number}") for number in range(ROOM // LARGEST)],
        [parcel_of(b"hello"), parcel_of(b"hello", version=Version(6))],
    ):
        assert isinstance(failure_of(site.store.receive_some(wrong)), BadInput)
    assert site.entries() == []
    full = [parcel_of(b"", f"n{number}") for number in range(MOST)]
    assert all(isinstance(outcome, Received) for outcome in received(site, *full))


def test_what_finds_no_room_is_refused_by_itself(tmp_path: Path) -> None:
    """The smaller ones still find some."""
    site = memory_site(tmp_path)
    site.local._capacity = 10  # type: ignore[union-attr]
    outcomes = received(site, parcel_of(b"hello"), parcel_of(bytes(20), "large"), parcel_of(b"world", "abd"))
    assert [type(outcome) for outcome in outcomes] == [Received, StoreFull, Received]


def test_a_closed_store_gives_and_takes_nothing(site: Site) -> None:
    """It says that it is closed."""
    success_of(site.local.close())
    assert isinstance(failure_of(site.store.fetch_some([ABC])), Unavailable)
    assert all(isinstance(outcome, Unavailable) for outcome in received(site, parcel_of(b"hello")))


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 4), st.sampled_from([b"one", b"two"]), st.sampled_from(list(Kind))),
    max_size=8,
)


@given(st.lists(STEPS, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_leave_what_the_same_blobs_leave_one_by_one(tmp_path: Path, batches: Any) -> None:
    """Taken or refused, whatever is held already: the outcomes and the stores are the same."""
    together, alone = memory_site(tmp_path), memory_site(tmp_path)
    for batch in batches:
        parcels = {
            name: parcel_of(payload, name, version=Version(version), kind=kind) for name, version, payload, kind in batch
        }
        outcomes = received(together, *parcels.values())
        for parcel, outcome in zip(parcels.values(), outcomes, strict=True):
            assert repr(outcome) == repr(outcome_of(alone.store.receive(parcel.entry, bytes_body(parcel.payload))))
    assert together.held() == alone.held()
    left, right = (success_of(site.store.summary()) for site in (alone, together))
    assert left == evolve(right, incarnation=left.incarnation)
