"""Reckoning: digests, counts and indexes made anew from the rows, and held against those that are kept.

Each comparison sees one commit, so writes that go on meanwhile are no difference. Two of them read all rows in one go, in a
thread and in SQLite's own code: some seconds for ten million rows, in which the WAL grows by what is written. They are the
only reads of the store that are not short, and come once a pass.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from attrs import frozen

from sos.decisions.buckets import BUCKETS, EMPTY, changed, takes_part
from sos.store import schema
from sos.store.rows import COLUMNS, row_of
from sos.words.blob import Entry, State, blob_id
from sos.words.errors import BlobDamaged, InvalidBlobID

Execute = Callable[..., list[tuple[Any, ...]]]
"""Runs a statement with its arguments, and gives the rows."""

_ROWS_A_STEP = 128
"""Rows after which a step ends: with a million entries a bucket has 250."""

_BEYOND = "SELECT bucket FROM entries WHERE bucket >= ? ORDER BY bucket LIMIT 1 OFFSET ?"
_ROWS = f"SELECT bucket, id, {', '.join(COLUMNS)} FROM entries WHERE bucket >= ? AND bucket < ?"
_DIGESTS = "SELECT bucket, digest FROM digests WHERE bucket >= ? AND bucket < ?"
_IS_LIVE = f"state = {State.LIVE:d} AND damaged = 0"
_COUNTS = f"""
    SELECT sum({_IS_LIVE}), sum(CASE WHEN {_IS_LIVE} THEN size ELSE 0 END),
    sum(state = {State.LIVE:d} AND damaged != 0), sum(state != {State.LIVE:d}), sum(stray), max(version) FROM entries
"""
NO_BUCKETS = f"SELECT bucket FROM digests WHERE bucket NOT BETWEEN 0 AND {BUCKETS - 1}"
"""Digests that are of no bucket."""

_NAMES = ("live", "size", "damaged", "deleted", "strays")


def made_digests(execute: Execute, first: int, stop: int) -> tuple[dict[int, bytes], int]:
    """Make the digests of some buckets from their rows, and give the number of these. What cannot be trusted has no part."""
    rows = execute(_ROWS, first, stop)
    entries: defaultdict[int, list[Entry]] = defaultdict(list)
    for bucket, raw_id, *values in rows:
        with contextlib.suppress(BlobDamaged, InvalidBlobID, TypeError):
            entry = row_of(blob_id(raw_id), 0, tuple(values)).entry
            if takes_part(entry):
                entries[bucket].append(entry)
    return {bucket: changed(EMPTY, *these) for bucket, these in entries.items()}, len(rows)


def kept_digests(execute: Execute, first: int, stop: int) -> dict[int, bytes]:
    """Give the digests that are kept for some buckets."""
    return dict(execute(_DIGESTS, first, stop))


def counts_of(execute: Execute) -> tuple[dict[str, int], int]:
    """Count all rows, and give the newest version among them."""
    ((*counts, newest),) = execute(_COUNTS)
    return {name: count or 0 for name, count in zip(_NAMES, counts, strict=True)}, newest or 0


def kept_counts(execute: Execute) -> tuple[dict[str, Any], Any]:
    """Give the counts that are kept, and the newest version that was ever noted."""
    kept = {str(name, "ascii", "replace"): value for name, value in execute("SELECT name, value FROM counts")}
    ((highest,),) = execute("SELECT value FROM meta WHERE name = 'highest'")
    return {name: kept.get(name) for name in _NAMES}, highest


def indexes_are_sound(execute: Execute) -> bool:
    """Whether SQLite finds nothing wrong with the entries and their indexes, but for what checksums show as well."""
    lines = [bytes(line) for (line,) in execute("PRAGMA integrity_check(entries)")]
    return all(line == b"ok" or line.startswith(b"NULL value in ") for line in lines)


@frozen
class BucketsSeen:
    """What some buckets are like: the one behind them, those whose digest is wrong, and the rows that were read."""

    next: int
    wrong: list[int]
    count: int


class Reckoning:
    """Compares. Blocks: in a thread, one call at a time. Raises what `sqlite3` raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through a connection of its own."""
        self._connection = connection

    def indexes_are_sound(self) -> bool:
        """Whether each row is where each index says, and nowhere else: who asks for an ID asks an index."""
        return indexes_are_sound(self._execute)

    def buckets(self, first: int) -> BucketsSeen:
        """Compare the digests of some buckets, from one on, with their rows."""
        with schema.one_moment(self._connection):
            beyond = self._execute(_BEYOND, first, _ROWS_A_STEP)
            stop = min(BUCKETS, max(first + 1, beyond[0][0])) if beyond else BUCKETS
            made, count = made_digests(self._execute, first, stop)
            kept = kept_digests(self._execute, first, stop)
        wrong = [bucket for bucket in range(first, stop) if made.get(bucket, EMPTY) != kept.get(bucket, EMPTY)]
        return BucketsSeen(stop, wrong, count)

    def counts_are_right(self) -> bool:
        """Whether the counts are those of the rows, and no row is newer than all that was noted."""
        with schema.one_moment(self._connection):
            counts, newest = counts_of(self._execute)
            kept, highest = kept_counts(self._execute)
            return counts == kept and type(highest) is int and newest <= highest and not self._execute(NO_BUCKETS)

    def _execute(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, arguments).fetchall()
