"""Batches: small blobs that go from one member to another many at a time, with one request for all of them.

What a batch may have is bounded twice, by the number of blobs and by the bytes that it takes on its way: so it fits into
memory at both ends, and holds up a member for a few milliseconds only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from sos.decisions.repair import Copy, Repair
from sos.words.blob import Entry, Parcel
from sos.words.errors import BadInput, DigestMismatch, SOSError

Member = TypeVar("Member", bound=Hashable)
T = TypeVar("T")

LARGEST = 64 * 1024
"""Bytes that a blob in a batch has at most: larger ones are worth a request of their own."""

MOST = 128
"""Blobs in a batch: each costs a member some 50 microseconds, and whoever asks it for something else waits for that."""

ROOM = 1024 * 1024
"""Bytes that a batch takes at most, with what is said of each blob."""

_ENVELOPE = 512
"""Bytes of JSON that an entry without metadata takes at most: its ID has 128, its SHA-256 64, each number 19."""

_ESCAPED = 6
"""Bytes of JSON that a byte of metadata takes at most."""


def weight(entry: Entry) -> int:
    """Say how many bytes a blob takes in a batch, at most."""
    bare = _ENVELOPE + (entry.size or 0)
    pairs = entry.metadata.pairs
    return bare + sum([len(name) + _ESCAPED * (len(value) + 1) for name, value in pairs]) if pairs else bare


def is_small(entry: Entry) -> bool:
    """Whether a blob can go in a batch: it is live, sound and small, and says which bytes it has."""
    is_sound = entry.is_live and not entry.is_damaged and entry.sha256 is not None
    return is_sound and entry.size is not None and entry.size <= LARGEST


def fault_of(parcel: Parcel) -> SOSError | None:
    """Say why a parcel cannot go in a batch, None where it can."""
    if not is_small(parcel.entry):
        return BadInput(f"Only a sound blob of {LARGEST} bytes at most, with its size and SHA-256, goes in a batch.")
    if len(parcel.payload) != parcel.entry.size:
        return DigestMismatch(f"The body has {len(parcel.payload)} bytes; {parcel.entry.size} were declared.")
    return None


def check_batch(parcels: Sequence[Parcel]) -> None:
    """Raise `BadInput` for more than a batch may have, and for an ID that comes twice."""
    check_names([parcel.entry.id for parcel in parcels])
    if sum([weight(parcel.entry) for parcel in parcels]) > ROOM:
        raise BadInput(f"A batch takes {ROOM} bytes at most.")


def check_names(names: Sequence[str]) -> None:
    """Raise `BadInput` for more names than a batch may have, and for one that comes twice."""
    if len(names) > MOST:
        raise BadInput(f"A batch has {MOST} blobs at most.")
    if len(set(names)) < len(names):
        raise BadInput("An ID comes twice in a batch.")


def cut(items: Iterable[T], weight_of: Callable[[T], int], most: int = MOST) -> Iterator[list[T]]:
    """Cut a list, in its order, into what fits into one batch each, `most` of them at a time."""
    batch: list[T] = []
    room = ROOM
    for item in items:
        weighs = weight_of(item)
        if batch and (len(batch) == most or weighs > room):
            yield batch
            batch, room = [], ROOM
        batch.append(item)
        room -= weighs
    if batch:
        yield batch


def batches_of(repairs: Iterable[Repair[Member]]) -> tuple[list[list[Copy[Member]]], list[Repair[Member]]]:
    """Put copies of small blobs between the same members into batches of two and more; give these, and the other repairs."""
    alike: dict[tuple[object, object], list[Copy[Member]]] = {}
    others: list[Repair[Member]] = []
    for repair in repairs:
        if isinstance(repair, Copy) and is_small(repair.entry):
            alike.setdefault((repair.sources, repair.targets), []).append(repair)
        else:
            others.append(repair)
    batches: list[list[Copy[Member]]] = []
    for copies in alike.values():
        for batch in cut(copies, lambda copy: weight(copy.entry)):
            if len(batch) > 1:
                batches.append(batch)
            else:
                others += batch
    return batches, others
