"""What the digests of members say of their groups."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from sos.decisions.agreement import Agreement, GroupAgreement, Statement
from sos.decisions.topology import Group, Server
from sos.words.blob import Version
from sos.words.interfaces import StoreSummary

A, B = Server("http://a:3001"), Server("http://b:3001")
ONE = Group("one", (A, B))
SAID = StoreSummary("uuid-a", bytes(16), 3, 2, 0, 0, Version(7), 4, "one")


def agreement(**changes: Any) -> GroupAgreement:
    """Compare two members, the second of which says something else."""
    said: dict[str, Any] = {"store": "uuid-b", **changes}
    other = evolve(SAID, **said)
    return GroupAgreement(ONE, (Statement(A, SAID), Statement(B, other)))


def test_equal_roots_are_equal_members() -> None:
    """Whatever their clocks and rounds."""
    found = agreement(clock=Version(9), round=3, group=None, strays=1)
    assert found.is_equal
    assert Agreement((found,)).is_equal
    assert list(found.lines) == [
        "group one: equal",
        f"  {A}: {'00' * 16}, 3 live, 2 deleted, 0 damaged, 0 strays, round 4",
        f"  {B}: {'00' * 16}, 3 live, 2 deleted, 0 damaged, 1 strays, round 3",
    ]
    assert Agreement((found,)).shape["groups"][0]["members"][1]["round"] == 3


def test_what_stands_in_the_way_is_named() -> None:
    """Other entries, another group, damage, and one store under two names."""
    for changes, complaint in (
        ({"root": bytes(15) + b"\1"}, "the members hold different entries"),
        ({"group": "two"}, f"{B} is a store of group two"),
        ({"damaged": 1}, f"{B} has 1 damaged"),
        ({"store": "uuid-a"}, f"{A} and {B} are one store"),
    ):
        found = agreement(**changes)
        assert not found.is_equal
        assert list(found.complaints) == [complaint]


def test_who_cannot_be_asked_may_be_different() -> None:
    """So the group is not called equal."""
    found = GroupAgreement(ONE, (Statement(A, SAID), Statement(B, why_unknown="it refused the connection")))
    assert not Agreement((agreement(), found)).is_equal
    assert "http://b:3001 cannot be compared: it refused the connection" in next(found.lines)
    assert found.shape["members"][1] == {
        "url": "http://b:3001",
        "reason": "it refused the connection",
        **dict.fromkeys(("store", "group", "root", "live", "deleted", "damaged", "strays", "round")),
    }
