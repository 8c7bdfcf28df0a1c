"""The files that the rows of a database name, for whoever goes through all of them: a backup, and its check."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from attrs import frozen

from sos.store.rows import COLUMNS, Row, row_of
from sos.words.blob import BlobID
from sos.words.errors import BlobDamaged

_PAGE = 200
"""Rows read at a time: no read stays open long, and the bytes of so many small blobs are 13 MB at most."""

_PLAIN = ", ".join(f"e.{column}" for column in COLUMNS)
_FILED = f"""
    SELECT e.id, {_PLAIN}, e.number, NULL FROM entries AS e
    WHERE e.number > ? AND e.file IS NOT NULL ORDER BY e.number LIMIT ?
"""
_ALL = f"""
    SELECT e.id, {_PLAIN}, e.number, s.payload FROM entries AS e LEFT JOIN small AS s ON s.number = e.number
    WHERE e.number > ? ORDER BY e.number LIMIT ?
"""


@frozen
class NamedFile:
    """A file that a row names, and what its bytes have to be."""

    blob_id: BlobID
    serial: int
    size: int
    sha256: bytes
    is_damaged: bool
    """Whether the row says that these bytes are no good."""


class NamedFiles:
    """Reads the rows of one database by their numbers, some at a time. Raises what `sqlite3` raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through a connection."""
        self._connection = connection

    def __iter__(self) -> Iterator[NamedFile]:
        """Go through all files; a row that cannot be trusted names none."""
        for _, row in self._rows(_FILED):
            if row is not None and row.file is not None:
                yield _named(row, row.file)

    def rows(self) -> Iterator[tuple[BlobID, Row | None]]:
        """Go through all rows, with the bytes of small blobs; None stands for one that cannot be trusted."""
        return self._rows(_ALL)

    def size(self) -> int:
        """Give the bytes of all files."""
        (size,) = self._connection.execute("SELECT SUM(size) FROM entries WHERE file IS NOT NULL").fetchone()
        return int(size or 0)

    def names(self, blob_id: BlobID, serial: int) -> bool:
        """Whether a row names this file now."""
        query = "SELECT 1 FROM entries WHERE id = ? AND file = ?"
        return self._connection.execute(query, (blob_id, serial)).fetchone() is not None

    def wants_kept(self, blob_id: BlobID, serial: int) -> bool:
        """Whether a row names this file, or its blob is damaged: then any file of it may be the last good copy."""
        query = "SELECT 1 FROM entries WHERE id = ? AND (file = ? OR damaged = 1)"
        return self._connection.execute(query, (blob_id, serial)).fetchone() is not None

    def _rows(self, query: str) -> Iterator[tuple[BlobID, Row | None]]:
        after = -1
        while found := self._connection.execute(query, (after, _PAGE)).fetchall():
            for values in found:
                yield _row_in(values)
            after = found[-1][-2]


def _row_in(values: Sequence[object]) -> tuple[BlobID, Row | None]:
    blob_id = BlobID(str(values[0], "ascii", "replace"))  # type: ignore[call-overload]
    number, payload = values[-2:]
    try:
        return blob_id, row_of(blob_id, number, tuple(values[1:-2]), payload)  # type: ignore[arg-type]
    except (BlobDamaged, UnicodeError):
        return blob_id, None


def _named(row: Row, serial: int) -> NamedFile:
    entry = row.entry
    return NamedFile(entry.id, serial, entry.size or 0, entry.sha256 or b"", entry.is_damaged)
