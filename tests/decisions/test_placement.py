"""The order of the groups for an ID."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.placement import order
from sos.decisions.topology import Group
from sos.words.blob import BlobID

IDS = st.from_regex(r"[0-9a-f]{40}", fullmatch=True).map(BlobID)
GROUPS = st.dictionaries(st.text(min_size=1, max_size=70), st.integers(1, 9), min_size=1, max_size=6).map(
    lambda weights: tuple(Group(name, (), weight) for name, weight in weights.items())
)


def homes(groups: list[Group], count: int = 20_000) -> dict[str, int]:
    """Count how many of some IDs have each group as their home."""
    counts = dict.fromkeys((group.name for group in groups), 0)
    for number in range(count):
        counts[order(BlobID(f"{number:040x}"), groups)[0].name] += 1
    return counts


@given(IDS, GROUPS)
def test_the_order_is_a_permutation_that_depends_on_nothing_but_names_and_weights(
    blob_id: BlobID, groups: tuple[Group, ...]
) -> None:
    """Two apis with the same groups, listed in any order, place an ID alike."""
    placed = order(blob_id, groups)
    assert sorted(group.name for group in placed) == sorted(group.name for group in groups)
    assert list(order(blob_id, groups[::-1])) == list(placed)


@given(IDS, GROUPS)
def test_a_group_that_goes_leaves_the_order_of_the_others(blob_id: BlobID, groups: tuple[Group, ...]) -> None:
    """Nothing moves but what was placed on the group that went."""
    placed = order(blob_id, groups)
    for gone in groups:
        left = [group for group in groups if group != gone]
        assert list(order(blob_id, left)) == [group for group in placed if group != gone]


def test_ids_spread_over_the_groups_by_weight() -> None:
    """A group of weight 2 is home to twice as many as one of weight 1; 20,000 draws stay within 5 % of that."""
    counts = homes([Group("1", ()), Group("2", (), 2), Group("3", ())])
    assert abs(counts["1"] - 5_000) < 250
    assert abs(counts["2"] - 10_000) < 500
    assert abs(counts["3"] - 5_000) < 250
