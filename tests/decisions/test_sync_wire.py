"""The JSON of ``/sync``: what is written can be read, and nothing else can."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions import sync_wire
from sos.decisions.strict_json import compact
from sos.words.blob import BlobID, Entry, Kind, Metadata, State, Version
from sos.words.errors import BadInput
from sos.words.interfaces import StoreSummary

IDS = st.from_regex(r"[a-z0-9]{1,128}", fullmatch=True).map(BlobID)
NUMBERS = st.integers(0, 2**63 - 1)
VERSIONS = NUMBERS.map(Version)
DIGESTS = st.binary(min_size=16, max_size=16)
VALUES = st.binary(max_size=20).map(lambda raw: bytes(byte for byte in raw if byte >= 32 and byte != 127).strip())
METADATA = st.dictionaries(st.from_regex(rb"x-[a-z]{1,9}", fullmatch=True), VALUES, max_size=4).map(
    lambda pairs: Metadata.of(pairs.items())
)
ENTRIES = st.builds(
    Entry,
    id=IDS,
    version=VERSIONS,
    state=st.sampled_from(State),
    kind=st.sampled_from(Kind),
    size=st.none() | NUMBERS,
    sha256=st.none() | st.binary(min_size=32, max_size=32),
    metadata=METADATA,
    expires=st.none() | NUMBERS,
    is_damaged=st.booleans(),
    is_stray=st.booleans(),
)
UUIDS = st.from_regex(r"[0-9A-Za-z-]{1,64}", fullmatch=True)
SUMMARIES = st.builds(
    StoreSummary,
    store=UUIDS,
    root=DIGESTS,
    live=NUMBERS,
    deleted=NUMBERS,
    damaged=NUMBERS,
    strays=NUMBERS,
    clock=VERSIONS,
    round=NUMBERS,
    group=st.none() | st.text(max_size=20),
    dropped_round=NUMBERS,
    dropped_version=VERSIONS,
    time=st.none() | NUMBERS,
    uptime=st.none() | NUMBERS,
    incarnation=st.none() | UUIDS,
)
PLAIN: dict[str, Any] = {"id": "abc", "version": 1, "state": "live", "kind": "blob"}
SUMMARY: dict[str, Any] = {
    "store": "uuid",
    "root": "00" * 16,
    "clock": 1,
    "group": None,
    **dict.fromkeys(("live", "deleted", "damaged", "strays", "round"), 0),
}

NO_NUMBERS = [-1, 1.0, "1", True, None, [], 2**63, 10**30]
ARABIC = "\u0665"
NO_TEXTS: list[Any] = [1, None, [], {}]


@given(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.id))
def test_entries_come_back_as_they_were(entries: list[Entry]) -> None:
    """With every field, byte for byte."""
    ascending = sorted(entries, key=lambda entry: entry.id)
    assert sync_wire.entries_of(sync_wire.entries_json(ascending)) == ascending


@pytest.mark.parametrize("number", [0, 1, 16, 17, 100])
def test_a_long_list_is_written_in_pieces(number: int) -> None:
    """None of them has more than a few entries, and together they are what one would have been."""
    entries = [Entry(id=BlobID(f"n{at:03}")) for at in range(number)]
    pieces = list(sync_wire.entries_pieces(entries))
    assert max(piece.count(b"{") for piece in pieces) <= 16
    assert b"".join(pieces) == compact([json.loads(sync_wire.entry_text(entry)) for entry in entries])


@given(ENTRIES)
def test_an_entry_is_written_as_a_library_would_write_it(entry: Entry) -> None:
    """ASCII without a space, each field once, in the same order: nothing in it had to be escaped but metadata."""
    text = sync_wire.entry_text(entry)
    assert text.encode("ascii") == compact(json.loads(text))


@given(SUMMARIES)
def test_a_summary_comes_back_as_it_was(summary: StoreSummary) -> None:
    """Whatever the name of the group."""
    assert sync_wire.summary_of(sync_wire.summary_json(summary)) == summary


@given(st.lists(DIGESTS, min_size=64, max_size=64))
def test_digests_come_back_as_they_were(digests: list[bytes]) -> None:
    """All 64."""
    assert sync_wire.digests_of(sync_wire.digests_json(digests)) == digests


@given(st.lists(st.tuples(IDS, VERSIONS), max_size=5), NUMBERS, st.booleans(), st.none() | UUIDS)
def test_tombstones_rounds_and_counts_come_back_as_they_were(
    tombstones: list[tuple[BlobID, Version]], count: int, is_partial: bool, incarnation: str | None
) -> None:
    """The bodies of requests, and the number in the answer."""
    assert sync_wire.tombstones_of(sync_wire.tombstones_json(tombstones)) == tombstones
    noted = count, "Zürich 1", is_partial, incarnation
    assert sync_wire.round_of(sync_wire.round_json(*noted)) == noted
    assert sync_wire.count_of(sync_wire.count_json(count)) == count


def changed(shape: dict[str, Any], field: str, *values: Any) -> list[dict[str, Any]]:
    """Give a shape once for each value of a field."""
    return [{**shape, field: value} for value in values]


def without(shape: dict[str, Any], field: str) -> dict[str, Any]:
    """Give a shape without a field."""
    return {name: value for name, value in shape.items() if name != field}


BAD_ENTRIES = [
    *[without(PLAIN, field) for field in PLAIN],
    *changed(PLAIN, "id", *NO_TEXTS, "", "A", "../x", "a\n", "a" * 129, ARABIC, "\ud800"),
    *changed(PLAIN, "version", *NO_NUMBERS),
    *changed(PLAIN, "state", *NO_TEXTS, "", "gone", "LIVE", 0),
    *changed(PLAIN, "kind", *NO_TEXTS, "", "object"),
    *changed(PLAIN, "size", *NO_NUMBERS),
    *changed(PLAIN, "expires", *NO_NUMBERS),
    *changed(PLAIN, "sha256", 1, [], "", "00", "00" * 31 + "0G", "AB" * 32, "00" * 33, ARABIC * 64),
    *changed(PLAIN, "metadata", 1, [], "x", {"x-a": 1}, {"colour": "red"}, {"x-a": "\n"}, {"x-a": ARABIC}, {"x-\ud800": ""}),
    *changed(PLAIN, "metadata", {"x-a": "1", "X-A": "2"}, {"x-a": "a" * 9000}, {f"x-{n}": "" for n in range(65)}),
]


@pytest.mark.parametrize("shape", [*BAD_ENTRIES, None, 1, "a", []], ids=repr)
def test_an_entry_that_is_none_is_refused(shape: Any) -> None:
    """Torture B9: nothing that a peer sends is taken on trust."""
    with pytest.raises(BadInput):
        sync_wire.entries_of(json.dumps([shape]).encode())


def test_entries_have_to_ascend() -> None:
    """Otherwise a page could be read for ever."""
    for names in (("b", "a"), ("a", "a")):
        with pytest.raises(BadInput):
            sync_wire.entries_of(json.dumps([{**PLAIN, "id": name} for name in names]).encode())


BAD_SUMMARIES = [
    *[without(SUMMARY, field) for field in SUMMARY if field != "group"],
    *changed(SUMMARY, "store", *NO_TEXTS, "", "a b", "a" * 65),
    *changed(SUMMARY, "root", *NO_TEXTS, "", "00", "00" * 17, "0G" * 16),
    *changed(SUMMARY, "group", 1, [], False),
    *[
        shape
        for field in ("live", "deleted", "damaged", "strays", "round", "clock")
        for shape in changed(SUMMARY, field, *NO_NUMBERS)
    ],
]


@pytest.mark.parametrize("shape", [*BAD_SUMMARIES, None, 1, []], ids=repr)
def test_a_summary_that_is_none_is_refused(shape: Any) -> None:
    """Every field is looked at."""
    assert sync_wire.summary_of(json.dumps(SUMMARY).encode())
    with pytest.raises(BadInput):
        sync_wire.summary_of(json.dumps(shape).encode())


@pytest.mark.parametrize(
    "shape",
    [["00" * 16] * 63, ["00" * 16] * 65, [1] * 64, ["00" * 15] * 64, ["AA" * 16] * 64, [None] * 64, {}, "00" * 1024],
    ids=lambda shape: f"{shape!r:.20}",
)
def test_other_than_64_digests_are_refused(shape: Any) -> None:
    """Too few, too many, or other things."""
    with pytest.raises(BadInput):
        sync_wire.digests_of(json.dumps(shape).encode())


@pytest.mark.parametrize("count", NO_NUMBERS)
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    """A bool is no number, either."""
    with pytest.raises(BadInput):
        sync_wire.count_of(json.dumps({"count": count}).encode())


def test_more_tombstones_than_may_be_dropped_at_once_are_refused() -> None:
    """A thousand are taken."""
    row = ["abc", 1]
    assert len(sync_wire.tombstones_of(json.dumps([row] * sync_wire.MOST_NAMED).encode())) == sync_wire.MOST_NAMED
    with pytest.raises(BadInput):
        sync_wire.tombstones_of(json.dumps([row] * (sync_wire.MOST_NAMED + 1)).encode())


READERS: list[Callable[[bytes], object]] = [
    sync_wire.entries_of,
    sync_wire.digests_of,
    sync_wire.summary_of,
    sync_wire.round_of,
    sync_wire.tombstones_of,
    sync_wire.count_of,
]
HOSTILE = [
    b"", b"<html>", b"[" * 100_000, b'{"a":' * 100_000, b"[" + b"1" * 5000 + b"]", b"[NaN]", b"[Infinity]", b"\xff",
    b'[{"id":"a","id":"a"}]', b'{"count":1,"count":1}', b'"' + b"a" * 100_000, b"[1,]", b"null",
]  # fmt: skip


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("payload", HOSTILE, ids=lambda payload: f"{payload!r:.20}")
def test_hostile_json_is_refused_by_all(read: Callable[[bytes], object], payload: bytes) -> None:
    """Torture B6: too deep, too long a number, NaN, a key twice, no JSON at all."""
    with pytest.raises(BadInput):
        read(payload)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_read_or_refused(shape: Any) -> None:
    """With no other exception."""
    payload = json.dumps(shape).encode()
    for read in READERS:
        with contextlib.suppress(BadInput):
            read(payload)
