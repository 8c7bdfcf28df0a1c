"""The JSON of ``/sync`` from a peer that lies: refused as bad input, whatever is wrong with it (torture B6, B15, B16)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sos.decisions.sync_wire import entries_of, round_of, summary_of, tombstones_of
from sos.words.errors import BadInput

ENTRY = {
    "id": "a",
    "version": 1,
    "state": "live",
    "kind": "blob",
    "size": 3,
    "sha256": "0" * 64,
    "metadata": {"x-a": "b"},
    "expires": 5,
}
SUMMARY = {
    "store": "u",
    "root": "0" * 32,
    "live": 1,
    "deleted": 0,
    "damaged": 0,
    "strays": 0,
    "clock": 1,
    "round": 1,
    "group": "g",
}
ROUND = {"round": 1, "group": "g"}

NASTY: tuple[Any, ...] = (
    [], {}, -1, 1.5, 2**64, 10**30, "\ud800", "\0", "x" * 10_000, "é", [[]], {"a": {}}, {"\ud800": "a"}, {"x-a": "\ud800"},
    {"x-a": "\u0100"}, {"x-a": 1}, {"x-\u0100": "b"},
)  # fmt: skip
"""Values that are right in no field, or in few."""

READERS: tuple[tuple[Callable[[bytes], Any], Callable[[Any, Any], Any], dict[str, Any]], ...] = (
    (entries_of, lambda name, value: [{**ENTRY, name: value}], ENTRY),
    (summary_of, lambda name, value: {**SUMMARY, name: value}, SUMMARY),
    (round_of, lambda name, value: {**ROUND, name: value}, ROUND),
)


@pytest.mark.parametrize(("read", "shape", "good"), READERS)
def test_a_field_of_any_kind_is_read_or_refused(
    read: Callable[[bytes], Any], shape: Callable[[Any, Any], Any], good: dict[str, Any]
) -> None:
    """Nothing else comes out: another exception would end a round, or be a traceback."""
    for name in good:
        read(json.dumps(shape(name, good[name])).encode("ascii"))
        refused = 0
        for value in NASTY:
            try:
                read(json.dumps(shape(name, value)).encode("ascii"))
            except BadInput:
                refused += 1
        assert refused >= len(NASTY) // 2, name


def test_a_tombstone_of_any_kind_is_refused() -> None:
    """An ID is one, and a version is a number of 63 bits."""
    for value in NASTY:
        for tombstone in (value, [value], [value, 1], ["a", value]):
            with pytest.raises(BadInput):
                tombstones_of(json.dumps([tombstone]).encode("ascii"))
