"""The merge pass over sorted listings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.reconcile import Missing, Reconciliation
from sos.words.blob import BlobID

NAMES = st.sets(st.text("abc", min_size=1, max_size=3).map(BlobID), max_size=12)


def reconcile(holdings: list[set[BlobID]], page: int) -> list[Missing[int]]:
    """Run a whole pass over what each member holds, read a page at a time."""
    listings = [sorted(names) for names in holdings]
    reconciliation = Reconciliation(range(len(holdings)))
    found: list[Missing[int]] = []
    while wanting := reconciliation.wanting:
        for member in wanting:
            behind = reconciliation.read_to(member)
            reconciliation.feed(member, [name for name in listings[member] if name > behind][:page])
        found += reconciliation.missing()
    return found


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers(1, 5))
def test_after_the_copies_all_listings_are_equal(holdings: list[set[BlobID]], page: int) -> None:
    """Whatever the members hold, and however it is paged, what is missing is found, once, and in order."""
    found = reconcile(holdings, page)
    for missing in found:
        assert all(missing.blob_id in holdings[holder] for holder in missing.holders)
        assert not any(missing.blob_id in holdings[member] for member in missing.lacking)
        for member in missing.lacking:
            holdings[member].add(missing.blob_id)
    assert all(names == holdings[0] for names in holdings)
    assert [missing.blob_id for missing in found] == sorted({missing.blob_id for missing in found})


@given(NAMES, st.integers(2, 4), st.integers(1, 5))
def test_equal_members_lack_nothing(names: set[BlobID], members: int, page: int) -> None:
    """No copy is made between members that agree."""
    assert reconcile([set(names) for _ in range(members)], page) == []


def test_a_dropped_member_neither_holds_nor_lacks() -> None:
    """A member that goes out of reach in mid-pass is left out of what is found from then on."""
    a, b, c = BlobID("a"), BlobID("b"), BlobID("c")
    reconciliation = Reconciliation(["one", "two", "three"])
    reconciliation.feed("one", [a, c])
    reconciliation.feed("two", [b])
    assert reconciliation.wanting == ["three"]
    assert list(reconciliation.missing()) == []
    reconciliation.drop("three")
    assert list(reconciliation.missing()) == [Missing(a, ("one",), ("two",)), Missing(b, ("two",), ("one",))]
    assert reconciliation.wanting == ["two"]


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers(1, 5))
def test_every_name_comes_once_with_all_its_holders(holdings: list[set[BlobID]], page: int) -> None:
    """The same pass, for whoever wants the whole list."""
    reconciliation = Reconciliation(range(len(holdings)))
    found: dict[BlobID, tuple[int, ...]] = {}
    while wanting := reconciliation.wanting:
        for member in wanting:
            behind = reconciliation.read_to(member)
            reconciliation.feed(member, [name for name in sorted(holdings[member]) if name > behind][:page])
        found.update((listed.blob_id, listed.holders) for listed in reconciliation.merged())
    assert list(found) == sorted(set().union(*holdings))
    assert all(holders == tuple(m for m, names in enumerate(holdings) if name in names) for name, holders in found.items())
