"""What replication changes in the index: renewals, strays that were carried home, old tombstones, expiry, rounds.

Each function is a change for the thread that writes the index; each looks at the row again, for its caller read it earlier.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from sos.decisions.merge import Decision, held_after, merge
from sos.store.arrival import check_group, check_size, refuse_losers
from sos.store.index import Index, Outcome, Write
from sos.store.rows import Row
from sos.words.blob import BlobID, Entry, Kind, Version
from sos.words.errors import BlobDamaged, BlobNotFound
from sos.words.interfaces import Swept

_ROWS_A_CHANGE = 64
"""Rows that one change drops or expires: whoever waits for another change should not wait for all of them."""

Named = tuple[BlobID, Version]
"""An entry that is only meant while it has this version."""

Dropped = tuple[int, Version]
"""The round in which a store last dropped tombstones, and the newest version that it ever dropped."""

Standing = tuple[int, str | None, bool]
"""The last completed round of a store, its group, and whether it has met only a part of that since it missed a round."""

_PARTIAL = "partial"


def renew(index: Index, entry: Entry, arrived: int) -> Outcome:
    """Let the merge rule decide about an entry whose bytes are here already.

    Raises `BlobConflict`, and `BlobNotFound` where the bytes have to be sent, be it that those here are damaged.
    """
    row = index.row(entry.id)
    if row is None:
        raise BlobNotFound(entry.id)
    decision = merge(row.entry, entry)
    refuse_losers(decision, row.entry)
    if not index.has_bytes(row, entry.sha256):
        raise BlobNotFound(entry.id)
    check_size(entry, row.entry)
    held = held_after(decision, row.entry, evolve(entry, size=row.entry.size))
    index.renew(row, held, arrived)
    return Outcome(decision, held, was_known=True)


def forget(index: Index, named: Named) -> None:
    """Drop a stray, if it is still the one that is meant."""
    row = _meant(index, named)
    if row is not None and row.entry.is_stray:
        index.forget(row)


def drop_tombstones(index: Index, tombstones: Sequence[Named], before: float) -> int:
    """Drop those of these tombstones that are still held, and were taken before this time; give their number."""
    number = 0
    _, newest = dropped(index)
    for named in tombstones:
        row = _meant(index, named)
        if row is not None and not row.entry.is_live and not row.entry.is_stray and row.arrived < before:
            index.forget(row)
            number += 1
            newest = max(newest, row.entry.version)
    if number:
        index.note("dropped_version", newest)
        index.note("dropped_round", index.meta("round"))
    return number


def dropped(index: Index) -> Dropped:
    """Give the round in which tombstones were dropped last, and the newest version that ever was; 0 for never."""
    return index.meta("dropped_round") or 0, Version(index.meta("dropped_version") or 0)


def expire(index: Index, blobs: Sequence[Named], now: float, arrived: int) -> int:
    """Turn those of these blobs that have expired by `now` into tombstones of their version; give their number."""
    number = 0
    for named in blobs:
        row = _meant(index, named)
        if row is not None and row.entry.is_live and row.entry.is_expired(now):
            tombstone = evolve(Entry.tombstone(*named), is_stray=row.entry.is_stray)
            number += index.apply(Write(tombstone, arrived)).decision is Decision.TAKE
    return number


def sweep(index: Index, chunks: Sequence[Named], before: float, arrived: int, is_rehearsal: bool) -> Swept:
    """Turn those of these chunks that were taken before this time into tombstones of their version.

    The row is looked at here, in the transaction: an upload that wanted the chunk again has renewed it before, and then
    neither its version nor its age is the one that was seen; or it comes later, and then it wins over the tombstone.
    """
    number = size = 0
    for named in chunks:
        row = _meant(index, named)
        if row is not None and row.entry.is_live and row.entry.kind is Kind.CHUNK and row.arrived < before:
            if not is_rehearsal:
                index.apply(Write(Entry.tombstone(*named), arrived))
            number += 1
            size += row.entry.size or 0
    return Swept(number, size)


def note_round(index: Index, number: int, group: str, is_partial: bool) -> Standing:
    """Note a completed round of a group; give what is held then. Raises `OtherGroup`."""
    held, member_of, _ = standing(index)
    check_group(member_of, group)
    if member_of is None:
        index.note("group", group)
    if number > held:
        index.note("round", number)
        index.note(_PARTIAL, int(is_partial))
    return standing(index)


def adopt(index: Index, group: str) -> Standing:
    """Make the store a member of a group; give what is held then."""
    if standing(index)[1] != group:
        index.note("group", group)
        index.note("round", 0)
        index.note(_PARTIAL, 0)
    return standing(index)


def standing(index: Index) -> Standing:
    """Give what is held now."""
    group = index.meta("group")
    return index.meta("round"), None if group is None else str(group, "utf-8"), bool(index.meta(_PARTIAL))


def runs_of(named: Sequence[Named]) -> Sequence[Sequence[Named]]:
    """Cut a list into what one change may have."""
    return [named[start : start + _ROWS_A_CHANGE] for start in range(0, len(named), _ROWS_A_CHANGE)]


def _meant(index: Index, named: Named) -> Row | None:
    """Give a row if it has the version that its caller saw; one that cannot be trusted is left alone."""
    blob_id, version = named
    try:
        row = index.row(blob_id)
    except BlobDamaged:
        return None
    return row if row is not None and row.entry.version == version else None
