"""Where an object is, from what each member says."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from sos.decisions.topology import Group, Server
from sos.decisions.whereabouts import Knowledge, Verdict, Whereabouts, shown, time_of
from sos.words.blob import OLD_CONTRACT, BlobID, Entry, Kind, Metadata, Version

OBJECT = BlobID("abc")
HELD = Entry(
    id=OBJECT,
    version=Version(1_700_000_000_000 << 16 | 3),
    size=5,
    sha256=bytes(32),
    metadata=Metadata.of([(b"X-Orig-Filename", "f\xfcnf".encode()), (b"X-Raw", b"\xff\t")]),
)
OTHER = evolve(HELD, sha256=bytes(31) + b"x")
OLD = Entry(id=OBJECT, version=OLD_CONTRACT)


def where(*groups: str) -> Whereabouts:
    """Make groups of members: ``+`` has it, ``x`` has other bytes, ``o`` is old and has it, ``-`` has not, ``?`` is gone."""
    entries = {"+": HELD, "x": OTHER, "o": OLD}
    found = []
    for number, letters in enumerate(groups):
        members = tuple(
            Knowledge(
                Server(f"http://{number}{place}.example"), entries.get(letter), "it is down" if letter == "?" else None
            )
            for place, letter in enumerate(letters)
        )
        found.append((Group(f"g{number}", tuple(known.server for known in members)), members))
    return Whereabouts(OBJECT, tuple(found))


@pytest.mark.parametrize(
    ("groups", "verdict", "sentence"),
    [
        (["++"], Verdict.WHOLE, "2 of 2 copies in group g0."),
        (["+o"], Verdict.WHOLE, "2 of 2 copies in group g0."),
        (["--", "++"], Verdict.WHOLE, "2 of 2 copies in group g1."),
        (["+-"], Verdict.INCOMPLETE, "1 of 2 copies in group g0."),
        (["+?"], Verdict.INCOMPLETE, "1 of 2 copies in group g0; 1 member out of reach."),
        (["++", "??"], Verdict.INCOMPLETE, "2 of 2 copies in group g0; 2 members out of reach."),
        (["-?"], Verdict.INCOMPLETE, "0 of 2 copies in group g0; 1 member out of reach."),
        (["+x"], Verdict.INCOMPLETE, "2 of 2 copies in group g0; members hold different bytes under this ID."),
        (["--", "--"], Verdict.ABSENT, "No member has abc."),
    ],
)
def test_whether_it_is_there(groups: list[str], verdict: Verdict, sentence: str) -> None:
    """Absent is said only when every member said no."""
    found = where(*groups)
    assert (found.verdict, found.sentence) == (verdict, sentence)


def test_people_read_what_each_member_knows() -> None:
    """Groups that have nothing to do with it are left out."""
    lines = list(where("+?", "--").lines)
    assert lines[0] == "abc: 1 of 2 copies in group g0; 1 member out of reach."
    assert lines[2] == "http://00.example: present"
    assert "  size      5" in lines
    assert "  version   2023-11-14T22:13:20Z" in lines
    assert "  kind      blob" in lines
    assert f"  sha256    {'00' * 32}" in lines
    assert "  x-orig-filename: fünf" in lines
    assert "http://01.example: unknown (it is down)" in lines
    assert not any("http://10" in line for line in lines)


def test_scripts_read_the_same() -> None:
    """All members, whatever they know."""
    shape = json.loads(json.dumps(where("+?", "--").shape))
    assert (shape["group"], shape["copies"], shape["members_of_group"]) == ("g0", 1, 2)
    assert [member["state"] for member in shape["members"]] == ["present", "unknown", "absent", "absent"]
    assert shape["members"][0]["metadata"] == {"x-orig-filename": "fünf", "x-raw": "\\xff"}


def test_an_old_member_says_little() -> None:
    """What nobody knows is a dash."""
    lines = list(where("o").lines)
    assert "  size      -" in lines and "  version   -" in lines and "  sha256    -" in lines


def test_an_object_that_is_cut_in_several_ways_is_the_same_object() -> None:
    """Manifests differ in their bytes; objects of different sizes are different all the same."""
    server = Server("http://0.example")
    cuts = [evolve(HELD, kind=Kind.MANIFEST), evolve(OTHER, kind=Kind.MANIFEST), HELD]
    for entries, differs in ((cuts, False), ([*cuts, OTHER], True), ([*cuts, evolve(cuts[0], size=6)], True)):
        known = tuple(Knowledge(server, entry) for entry in entries)
        assert Whereabouts(OBJECT, ((Group("g", (server,)), known),)).differs is differs


def test_a_version_is_a_time_for_people() -> None:
    """One of the old contract has none; one beyond the calendar is still a version."""
    assert time_of(OLD_CONTRACT) is None
    assert time_of(HELD.version) == "2023-11-14T22:13:20Z"
    assert time_of(Version(2**63 - 1)) is not None


def test_metadata_cannot_steer_a_terminal() -> None:
    """It is what clients sent."""
    assert shown(b"a\x1b[2J\xe2\x80\xaeb\xff") == "a\\x1b[2J\\u202eb\\xff"
