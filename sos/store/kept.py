"""The books as they are kept: in tables of their own, and what has changed since these were written in one row.

Nearly every blob changes another digest, and each would write a page of its own, as the counts and the highest version do:
eight pages for four blobs, a sixth of the processor time that a batch of them took (measured). So changes are noted in the
row `pending`, and written into the tables when they are many. Whoever reads the books adds them up in one moment.

A row that cannot be read is one without changes: then the books are not those of the rows, and the scrub puts them right.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import Factory, frozen

from sos.decisions.buckets import BUCKETS, DIGEST_BYTES, EMPTY, is_digest, xor

Execute = Callable[..., Iterable[tuple[Any, ...]]]
"""Runs a statement with its arguments, and gives the rows."""

HEALED = "healed"
"""The count of damaged entries that good bytes were brought to, ever. It is not one of what is held."""

NAMES = ("live", "size", "damaged", "deleted", "strays", HEALED)
"""All that is counted."""

MOST_MOVES = 200
"""Changes of digests that may be pending: then the row fits into a page, and a tenth of a page is written for each later."""

_MOVE = struct.Struct(f">H{DIGEST_BYTES}s")
"""A bucket, and by what its digest changes."""

_READ = f"SELECT settled, highest, {', '.join(NAMES)}, moves FROM pending WHERE one = 1"
_WRITE = f"INSERT OR REPLACE INTO pending VALUES (1, ?, ?{', ?' * len(NAMES)}, ?)"
_SETTLED = "SELECT settled FROM pending WHERE one = 1"
_COUNTS = "SELECT name, value FROM counts"
_HIGHEST = "SELECT value FROM meta WHERE name = 'highest'"
_DIGESTS = "SELECT bucket, digest FROM digests WHERE bucket >= ? AND bucket < ?"


@frozen
class Pending:
    """What has changed in the books since their tables were written.

    `settled` is the number of times that counts or digests were written, ever: whoever has read them knows by it whether
    they are the same. `highest` is the highest version of all that were stored since, 0 for none.
    """

    settled: int = 0
    highest: int = 0
    counts: Mapping[str, int] = Factory(dict)
    moves: bytes = b""

    @property
    def is_long(self) -> bool:
        """Whether it is time to write the tables."""
        return len(self.moves) > MOST_MOVES * _MOVE.size

    def changes(self) -> dict[int, bytes]:
        """Say by what the digests of buckets change."""
        changes: dict[int, bytes] = {}
        for bucket, change in _MOVE.iter_unpack(self.moves):
            if bucket < BUCKETS:
                changes[bucket] = xor(changes.get(bucket, EMPTY), change)
        return changes


def moves_of(changes: Iterable[tuple[int, bytes]]) -> bytes:
    """Write by what the digests of buckets change."""
    return b"".join([_MOVE.pack(bucket, change) for bucket, change in changes])


def pending_in(execute: Execute) -> Pending:
    """Read what is pending."""
    for settled, highest, *counts, moves in list(execute(_READ)):  # to its end: a read that stays open keeps the WAL
        numbers = [value if type(value) is int else 0 for value in (settled, highest, *counts)]
        is_whole = isinstance(moves, bytes) and len(moves) % _MOVE.size == 0
        changed = {name: number for name, number in zip(NAMES, numbers[2:], strict=True) if number}
        return Pending(numbers[0], numbers[1], changed, moves if is_whole else b"")
    return Pending()


def write(connection: sqlite3.Connection, pending: Pending) -> None:
    """Write what is pending."""
    counts = [pending.counts.get(name, 0) for name in NAMES]
    connection.execute(_WRITE, (pending.settled, pending.highest, *counts, pending.moves))


def settled_in(execute: Execute) -> list[tuple[Any, ...]]:
    """Read no more than how often counts or digests were written."""
    return list(execute(_SETTLED))


def counts_in(execute: Execute) -> dict[str, Any]:
    """Give the counts of all there is; of one that cannot be read, what is kept in its place."""
    kept = {str(name, "ascii", "replace"): value for name, value in execute(_COUNTS)}
    for name, value in pending_in(execute).counts.items():
        before = kept.get(name, 0)
        if type(before) is int:
            kept[name] = before + value
    return kept


def highest_in(execute: Execute) -> Any:
    """Give the highest version that was ever stored, or what is kept in its place."""
    ((highest,),) = execute(_HIGHEST)
    return max(highest, pending_in(execute).highest) if type(highest) is int else highest


def digests_in(execute: Execute, first: int = 0, stop: int = BUCKETS) -> dict[int, bytes]:
    """Give the digests of some buckets, as far as there are any."""
    digests: dict[int, bytes] = dict(execute(_DIGESTS, first, stop))
    for bucket, change in pending_in(execute).changes().items():
        before = digests.get(bucket, EMPTY)
        if first <= bucket < stop and is_digest(before):
            digests[bucket] = xor(before, change)
    return digests
