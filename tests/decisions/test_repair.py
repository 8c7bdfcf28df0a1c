"""What makes the members of a group equal."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.buckets import entry_digest
from sos.decisions.merge import Decision, merge
from sos.decisions.repair import AllDamaged, Bury, Copy, OtherBytes, Renew, by_id, repairs
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version

ABC = BlobID("abc")
MEMBERS = ("a", "b", "c")
LIVE = Entry(id=ABC, version=Version(5), size=5, sha256=b"h" * 32)
NEWER = evolve(LIVE, version=Version(6), metadata=Metadata.of([(b"X-Colour", b"red")]))
OTHER = evolve(LIVE, version=Version(7), sha256=b"o" * 32)
GONE = Entry.tombstone(ABC, Version(6))


def test_equal_members_need_nothing() -> None:
    """Whether they hold it, or have buried it."""
    assert repairs(MEMBERS, dict.fromkeys(MEMBERS, LIVE)) == ()
    assert repairs(MEMBERS, dict.fromkeys(MEMBERS, GONE)) == ()


def test_a_member_without_it_gets_it_from_those_that_have_it() -> None:
    """From any of them."""
    assert repairs(MEMBERS, {"a": LIVE, "c": LIVE}) == [Copy(LIVE, ("b",), ("a", "c"))]


def test_where_only_version_or_metadata_differ_no_bytes_move() -> None:
    """The older one is renewed."""
    assert repairs(MEMBERS, {"a": LIVE, "b": NEWER, "c": LIVE}) == [Renew(NEWER, ("a", "c"))]
    assert repairs(MEMBERS, {"a": LIVE, "b": NEWER}) == [Renew(NEWER, ("a",)), Copy(NEWER, ("c",), ("a", "b"))]


def test_a_newer_tombstone_buries_every_copy() -> None:
    """Also at members that never had it: they must not take an old copy later."""
    assert repairs(MEMBERS, {"a": LIVE, "b": GONE}) == (Bury(GONE, ("a", "c")),)


def test_a_newer_copy_lives_over_a_tombstone() -> None:
    """It was uploaded again after the delete."""
    again = evolve(LIVE, version=Version(7))
    assert repairs(MEMBERS, {"a": again, "b": GONE, "c": LIVE}) == [Renew(again, ("c",)), Copy(again, ("b",), ("a", "c"))]


def test_other_bytes_are_reported_and_nobody_is_chosen() -> None:
    """Not even for a member that holds nothing."""
    assert repairs(MEMBERS, {"a": LIVE, "b": OTHER}) == (OtherBytes(ABC, ("a", "b")),)


def test_one_object_that_was_cut_in_two_ways_is_no_conflict() -> None:
    """The newer cut wins."""
    manifest = evolve(OTHER, kind=Kind.MANIFEST)
    assert repairs(MEMBERS, {"a": LIVE, "b": manifest, "c": manifest}) == [Copy(manifest, ("a",), ("b", "c"))]


def test_a_damaged_copy_is_healed_from_a_good_one_and_never_a_source() -> None:
    """With no good one left it is reported, and nothing is thrown away."""
    damaged = evolve(LIVE, is_damaged=True)
    assert repairs(MEMBERS, {"a": damaged, "b": LIVE, "c": LIVE}) == [Copy(LIVE, ("a",), ("b", "c"))]
    assert repairs(("a", "b"), {"a": damaged, "b": damaged}) == [AllDamaged(ABC, ("a", "b"))]
    assert repairs(("a", "b"), {"a": damaged}) == [AllDamaged(ABC, ("a",))]


def test_listings_are_put_side_by_side_in_order() -> None:
    """Each ID once, with all who hold it."""
    first, last = evolve(LIVE, id=BlobID("aaa")), evolve(LIVE, id=BlobID("zzz"))
    found = list(by_id({"a": [first, LIVE], "b": [LIVE, last]}))
    assert found == [("aaa", {"a": first}), ("abc", {"a": LIVE, "b": LIVE}), ("zzz", {"b": last})]


ENTRIES = st.one_of(
    st.builds(Entry.tombstone, st.just(ABC), st.integers(1, 5).map(Version)),
    st.builds(
        Entry,
        id=st.just(ABC),
        version=st.integers(1, 5).map(Version),
        size=st.just(5),
        sha256=st.just(b"h" * 32),
        metadata=st.sampled_from([Metadata(), NEWER.metadata]),
        is_damaged=st.booleans(),
    ),
)


@given(st.dictionaries(st.sampled_from(MEMBERS), ENTRIES, min_size=1))
def test_after_the_repairs_all_members_are_equal(held: dict[str, Entry]) -> None:
    """Applied by the merge rule, as members do it; and a second look finds nothing more to do."""
    found = repairs(MEMBERS, held)
    for repair in found:
        if isinstance(repair, AllDamaged):
            assert not any(entry.is_live and not entry.is_damaged for entry in held.values())
            continue
        assert not isinstance(repair, OtherBytes)
        for target in repair.targets:
            decision = merge(held.get(target), repair.entry)
            assert decision in (Decision.TAKE, Decision.HEAL)
            held[target] = evolve(repair.entry, is_damaged=False)
    if not any(isinstance(repair, AllDamaged) for repair in found):
        assert set(held) == set(MEMBERS)
        assert len({entry_digest(entry) for entry in held.values()}) == 1
        assert repairs(MEMBERS, held) == ()
