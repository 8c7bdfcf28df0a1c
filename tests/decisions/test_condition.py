"""What the members say of themselves, and what that means."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from sos.decisions.condition import Condition, GroupCondition, MemberCondition, Verdict
from sos.decisions.reports import report_of
from sos.decisions.scrub_wire import standing_shape
from sos.decisions.sizes import GIB, MIB, TIB
from sos.decisions.topology import Group, Server
from sos.words.errors import BadInput
from sos.words.interfaces import ScrubStanding

SHAPE = {
    "version": "1.0.0",
    "store": "uuid",
    "blobs": 3,
    "bytes": 1000,
    "free_bytes": 100 * GIB,
    "free_inodes": 10**6,
    "read_only": False,
}
WELL = report_of(SHAPE)


def up(name: str, **changes: Any) -> MemberCondition:
    """A member that answers, with a store of its own."""
    return MemberCondition(Server(f"http://{name}"), evolve(WELL, **{"store": name, **changes}))


def down(name: str) -> MemberCondition:
    """A member that does not."""
    return MemberCondition(Server(f"http://{name}"), why_down="it refused the connection")


def old(name: str) -> MemberCondition:
    """A member of the old contract, which answers and says nothing of itself."""
    return MemberCondition(Server(f"http://{name}"))


def group_of(*members: MemberCondition) -> GroupCondition:
    """A group of members."""
    return GroupCondition(Group("g", tuple(member.server for member in members)), members)


@pytest.mark.parametrize(
    ("verdict", "members"),
    [
        (Verdict.HEALTHY, [up("a")]),
        (Verdict.HEALTHY, [up("a"), up("b")]),
        (Verdict.HEALTHY, [up("a"), old("b")]),
        (Verdict.DEGRADED, [up("a"), up("b"), down("c")]),
        (Verdict.DEGRADED, [up("a"), up("b", is_read_only=True)]),
        (Verdict.DEGRADED, [up("a"), up("b", free_bytes=GIB - 1)]),
        (Verdict.DEGRADED, [up("a", free_bytes=GIB - 1)]),
        (Verdict.DEGRADED, [up("a"), up("b", is_partial=True)]),
        (Verdict.DEGRADED, [up("a"), up("b"), up("c", free_inodes=10)]),
        (Verdict.AT_RISK, [down("a")]),
        (Verdict.AT_RISK, [up("a"), down("b")]),
        (Verdict.AT_RISK, [up("a"), down("b"), down("c")]),
        (Verdict.AT_RISK, [up("a", is_read_only=True)]),
        (Verdict.AT_RISK, [up("a", is_read_only=True), up("b", free_bytes=0)]),
        (Verdict.AT_RISK, [up("a"), up("b", is_read_only=True), down("c")]),
        (Verdict.AT_RISK, [up("a"), up("b", store="a")]),
    ],
)
def test_how_bad_it_is(verdict: Verdict, members: list[MemberCondition]) -> None:
    """Degraded: somebody should look at a member. At risk: the next loss loses data, or uploads fail."""
    condition = Condition((group_of(up("well")), group_of(*members)))
    assert condition.verdict is verdict
    assert condition.sentence.startswith(verdict.word.capitalize() + ": ")
    assert condition.shape["state"] == verdict.word


def test_the_sentence_says_the_danger_first_and_names_members() -> None:
    """Then whoever reads half of it has read the worse half."""
    sentence = Condition((group_of(up("a"), up("c", is_read_only=True)), group_of(up("d"), down("b")))).sentence
    assert sentence == (
        "At risk: group g has 1 copy of each object in reach, of 2; "
        "http://c is read-only; http://b is down (it refused the connection)."
    )


def test_two_urls_of_one_store_are_one_copy() -> None:
    """A group that looks like two copies and is one says so."""
    assert (
        "http://b and http://a are one store, which is one copy"
        in Condition((group_of(up("a"), up("b", store="a")),)).sentence
    )


def test_a_member_that_has_met_only_some_of_its_group_is_named() -> None:
    """With what it means for whoever asks: misses are 503 meanwhile."""
    sentence = Condition((group_of(up("a"), up("b", is_partial=True)),)).sentence
    assert sentence == (
        "Degraded: http://b has not met all of its group since it was new or away: misses are 503 meanwhile."
    )


def test_when_all_is_well_it_counts() -> None:
    """That is the sentence that people want to read."""
    assert Condition((group_of(up("a"), up("b")),)).sentence == "Healthy: 2 members in 1 group, all well."


@pytest.mark.parametrize(
    ("free", "held", "is_nearly_full", "is_full"),
    [
        (2 * GIB, 0, False, False),
        (GIB - 1, 0, True, False),
        (63 * MIB, 0, True, True),
        (4 * TIB // 100, 96 * TIB // 100, True, False),
        (6 * TIB // 100, 94 * TIB // 100, False, False),
        (TIB // 200, TIB, True, True),
    ],
)
def test_room_is_little_by_number_or_by_share(free: int, held: int, is_nearly_full: bool, is_full: bool) -> None:
    """1 GiB or 5 %; full is what the usual reserve keeps."""
    report = evolve(WELL, free_bytes=free, size=held)
    assert (report.is_nearly_full, report.is_full, report.takes_writes) == (is_nearly_full, is_full, not is_full)


def test_a_status_is_read_with_what_is_not_known_left_alone() -> None:
    """A newer server says more, an older one less."""
    assert report_of({**SHAPE, "weather": {"age": 1}}) == WELL
    assert WELL.round_age is None
    assert report_of({**SHAPE, "replication_age": 12.5}).round_age == 12.5
    assert report_of({**SHAPE, "damaged": 3}).damaged == 3
    assert not WELL.is_partial and report_of({**SHAPE, "partial": True}).is_partial
    assert report_of({**SHAPE, "scrub": standing_shape(ScrubStanding(age=9.5))}).scrub_age == 9.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", None),
        ("version", "1\x1b[2J"),
        ("version", "x" * 101),
        ("store", 7),
        ("blobs", True),
        ("blobs", -1),
        ("bytes", 1.5),
        ("free_bytes", "1"),
        ("free_inodes", 10**400),
        ("read_only", 0),
        ("replication_age", -1),
        ("replication_age", float("inf")),
        ("replication_age", True),
        ("partial", 1),
    ],
)
def test_a_status_that_no_blob_server_gives_is_refused(name: str, value: object) -> None:
    """The sentence names the field."""
    with pytest.raises(BadInput, match=f"no {name} that"):
        report_of({**SHAPE, name: value})


def test_a_missing_field_is_refused_too() -> None:
    """Zero would look like an empty store."""
    for name in SHAPE:
        with pytest.raises(BadInput):
            report_of({key: value for key, value in SHAPE.items() if key != name})


def test_scripts_see_what_is_not_known_as_null() -> None:
    """Of a member that is down, and of one of the old contract."""
    gone, silent = Condition((group_of(down("a"), old("b")),)).shape["groups"][0]["members"]
    assert (gone["state"], gone["reason"], gone["blobs"]) == ("down", "it refused the connection", None)
    assert (silent["state"], silent["reason"], silent["read_only"]) == ("up", None, None)
    assert up("c").shape["read_only"] is False
