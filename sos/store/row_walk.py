"""Walking the rows of the index by their numbers, a few at a time, and checking what the database itself holds of them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from sos.decisions.buckets import bucket_of
from sos.store.quarantine import Suspicion
from sos.store.rows import COLUMNS, Row, row_of
from sos.words.blob import blob_id
from sos.words.errors import BlobDamaged, InvalidBlobID

ROWS_A_STEP = 64
"""Rows read at a time. The thread that reads them and the reactor's take the interpreter from each other meanwhile, so
whoever is served then waits: with blobs of 4 KiB at the usual rate eight times a second, where steps of 16 rows made it
thirty times, which was about one answer in a hundred. With 64 KiB of bytes in each they are 4 MiB."""

BYTES_A_ROW = 512
"""What reading a row is taken for, beside its bytes: more than it has, for it is work, too."""

_ROWS = f"""
    SELECT e.id, e.bucket, {", ".join("e." + column for column in COLUMNS)}, e.number, s.payload
    FROM entries AS e LEFT JOIN small AS s ON s.number = e.number WHERE e.number > ? ORDER BY e.number LIMIT {ROWS_A_STEP}
"""
_LOOSE = """
    SELECT s.number FROM small AS s WHERE s.number > ? AND s.number <= ?
    AND NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.number = s.number) LIMIT 64
"""
_EXTENT = """
    SELECT (SELECT coalesce(max(number), 0) FROM entries),
    (SELECT total(value) FROM counts WHERE name = 'size'),
    (SELECT total(value) FROM counts WHERE name IN ('live', 'deleted', 'damaged'))
"""
_LAST_NUMBER = (1 << 63) - 1

RawRow = tuple[Any, ...]
"""A row as the database gives it, with its bytes if it has them there."""


@define
class RowsSeen:
    """What some rows are like. `last` is the number of the last one, None where there are no more."""

    last: int | None
    count: int = 0
    size: int = 0
    distrusted: list[int] = field(factory=list)
    """Numbers of rows whose checksum is wrong."""
    misplaced: list[int] = field(factory=list)
    """Numbers of rows that stand in another bucket than that of their ID."""
    loose: list[int] = field(factory=list)
    """Numbers under which there are bytes and no row."""
    suspicions: list[Suspicion] = field(factory=list)
    files: list[Row] = field(factory=list)
    """Sound rows whose bytes are in files: these are to be read next."""

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with them, as far as the database goes."""
        return not (self.distrusted or self.misplaced or self.loose or self.suspicions)

    def look_at(self, values: RawRow) -> None:
        """Check a row, and the bytes that the database has of it: a piece of work for the reactor's thread."""
        raw_id, bucket, *fields, number, payload = values
        try:
            row = row_of(blob_id(raw_id), number, tuple(fields), payload)
        except (BlobDamaged, InvalidBlobID, TypeError):  # the ID, too, may be anything
            self.distrusted.append(number)
            return
        if bucket != bucket_of(row.entry.id):
            self.misplaced.append(number)
        if row.entry.is_live and not row.entry.is_damaged:
            self._look_at_bytes(row)

    def _look_at_bytes(self, row: Row) -> None:
        if row.file is not None:
            self.files.append(row)
            return
        payload = row.payload if isinstance(row.payload, bytes) else None
        self.size += len(payload or b"")
        if payload is None or hashlib.sha256(payload).digest() != row.entry.sha256:
            why = "The bytes in the database do not have their SHA-256."
            self.suspicions.append(Suspicion(row.entry.id, None, why))


@frozen
class Extent:
    """The number of the last row, and about how many bytes all rows have with all their bytes."""

    last: int = 0
    size: int = 0


class RowWalk:
    """Reads rows. Blocks: in a thread, one call at a time. Raises what `sqlite3` raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through a connection of its own."""
        self._connection = connection

    def read(self, after: int) -> tuple[Sequence[RawRow], RowsSeen]:
        """Read the rows behind a number, which are still to be looked at. No read stays open until the next."""
        rows = self._connection.execute(_ROWS, (after,)).fetchall()
        last = rows[-1][-2] if rows else None
        loose = self._connection.execute(_LOOSE, (after, _LAST_NUMBER if last is None else last)).fetchall()
        return rows, RowsSeen(last, len(rows), BYTES_A_ROW * len(rows), loose=[number for (number,) in loose])

    def extent(self) -> Extent:
        """Say how much there is to walk, by what is noted of it."""
        last, size, rows = self._connection.execute(_EXTENT).fetchone()
        return Extent(last, max(0, int(size + BYTES_A_ROW * rows)))
