"""What goes into a batch, and with whom."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.batch import (
    LARGEST,
    MOST,
    ROOM,
    batches_of,
    check_batch,
    check_names,
    cut,
    fault_of,
    is_small,
    weight,
)
from sos.decisions.repair import Bury, Copy, Renew, Repair
from sos.words.blob import BlobID, Entry, Parcel, State, Version
from sos.words.errors import BadInput, DigestMismatch
from tests.decisions.test_sync_wire import METADATA

HELLO = Entry(id=BlobID("abc"), version=Version(5), size=5, sha256=hashlib.sha256(b"hello").digest())
MEMBERS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True).map(tuple)
SIZES = st.sampled_from([0, 5, 4096, LARGEST, LARGEST + 1, 10**9])


@st.composite
def copies(draw: st.DrawFn) -> list[Repair[str]]:
    """Make repairs of different blobs."""
    found: list[Repair[str]] = []
    for number in range(draw(st.integers(0, 40))):
        entry = evolve(HELLO, id=BlobID(f"n{number}"), size=draw(SIZES), metadata=draw(METADATA))
        targets, sources = draw(MEMBERS), draw(MEMBERS)
        found.append(Copy(entry, targets, sources) if draw(st.booleans()) else Renew(entry, targets))
    return found


@given(copies())
def test_each_repair_is_in_one_batch_or_left(repairs: list[Repair[str]]) -> None:
    """A batch has two and more small blobs, all of them from the same sources to the same targets, and fits."""
    batches, others = batches_of(repairs)
    together = [copy for batch in batches for copy in batch]
    assert sorted([*together, *others], key=lambda repair: repairs.index(repair)) == repairs
    assert all(len(batch) > 1 for batch in batches)
    for batch in batches:
        assert len({(copy.sources, copy.targets) for copy in batch}) == 1
        assert all(is_small(copy.entry) for copy in batch)
        check_batch([Parcel(copy.entry, b"") for copy in batch])


@given(st.lists(st.integers(0, ROOM), max_size=400))
def test_a_list_is_cut_into_few_pieces_that_fit(weights: list[int]) -> None:
    """In its order; and no piece could have had the next item, too."""
    batches = list(cut(weights, lambda weight: weight))
    assert [weight for batch in batches for weight in batch] == weights
    assert all(batch and len(batch) <= MOST and sum(batch) <= ROOM for batch in batches)
    for batch, following in pairwise(batches):
        assert len(batch) == MOST or sum(batch) + following[0] > ROOM


def test_what_two_small_blobs_need_is_no_batch_of_one() -> None:
    """One alone goes as it always did, with as many requests."""
    alone: list[Repair[str]] = [
        Copy(HELLO, ("t",), ("s",)),
        Copy(evolve(HELLO, id=BlobID("abd")), ("u",), ("s",)),
        Bury(HELLO, ("t",)),
    ]
    assert batches_of(alone) == ([], [alone[2], *alone[:2]])


@pytest.mark.parametrize(
    "change",
    [{"size": LARGEST + 1}, {"size": None}, {"sha256": None}, {"state": State.DELETED}, {"is_damaged": True}],
    ids=lambda change: next(iter(change)),
)
def test_these_do_not_go_in_a_batch(change: dict[str, Any]) -> None:
    """Large ones, those of which nobody said what bytes they have, and those without bytes."""
    entry = evolve(HELLO, **change)
    assert not is_small(entry)
    assert isinstance(fault_of(Parcel(entry, b"hello")), BadInput)


def test_an_entry_says_how_many_bytes_there_are() -> None:
    """The frame of a batch hangs on it."""
    assert fault_of(Parcel(HELLO, b"hello")) is None
    assert isinstance(fault_of(Parcel(HELLO, b"hell")), DigestMismatch)
    assert isinstance(fault_of(Parcel(HELLO, b"hello!")), DigestMismatch)


def test_a_batch_has_limits() -> None:
    """By number and by bytes; and each ID comes once."""
    names = [BlobID(f"n{number}") for number in range(MOST + 1)]
    check_names(names[:MOST])
    for wrong in (names, ["a", "a"]):
        with pytest.raises(BadInput):
            check_names(wrong)
    full = [Parcel(evolve(HELLO, id=name, size=LARGEST), b"") for name in names[: ROOM // LARGEST]]
    with pytest.raises(BadInput):
        check_batch(full)
    check_batch(full[1:])
    assert weight(full[0].entry) > LARGEST
