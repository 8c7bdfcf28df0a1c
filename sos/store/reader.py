"""Reading the index: in the reactor's thread, each read short and closed at once, or the WAL could not be cut."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from sos.store import schema
from sos.store.rows import COLUMNS, Row, row_of
from sos.words.blob import BlobID, Kind, State

MOST_NAMES = 10_000
"""Names given at a time: more would hold up the reactor's thread for longer than ten milliseconds."""

_PREFIX = re.compile("[a-z0-9]*")
_BEHIND = "{"
"""The character after z: all IDs that begin with a prefix lie below the prefix and this."""

_ROW = f"""
    SELECT {", ".join("e." + column for column in COLUMNS)}, e.number, s.payload
    FROM entries AS e LEFT JOIN small AS s ON s.number = e.number WHERE e.id = ?
"""
_NAMES = f"""
    SELECT id FROM entries AS listed WHERE id > ? AND id >= ? AND id < ? AND NOT EXISTS (
        SELECT 1 FROM entries INDEXED BY hideable WHERE id = listed.id AND {schema.HIDEABLE}
        AND NOT (state = {State.LIVE:d} AND damaged = 0 AND expires > ?)
    ) %s ORDER BY id LIMIT ?
"""
"""Only where a kind is asked for, the row of each name is looked at."""
_NAMES_OF_KIND = {kind: _NAMES % f"AND kind = {kind:d}" for kind in Kind}
"""The kind stands in the text, for only so can SQLite see that a partial index will do."""
_ALL_NAMES = _NAMES % ""


class Reader:
    """The index as it is after the last commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through a connection of its own; raises what `sqlite3` raises."""
        schema.set_up_reading(connection)
        self._connection = connection
        self._rows = connection.cursor()  # to make one for each row would be a sixth of reading it

    def row(self, blob_id: BlobID) -> Row | None:
        """Give what is held under an ID, with the bytes where they are in the database. Raises `BlobDamaged`."""
        found = self._rows.execute(_ROW, (blob_id,)).fetchone()
        return None if found is None else row_of(blob_id, found[-2], found[:-2], found[-1])

    def names(self, prefix: str, after: str, limit: int, kind: Kind | None, now: float) -> Sequence[BlobID]:
        """Give the next names of sound, live blobs that have not expired by `now`, in ascending order."""
        if _PREFIX.fullmatch(prefix) is None:
            return ()
        query = _ALL_NAMES if kind is None else _NAMES_OF_KIND[kind]
        bounds = (after, prefix, prefix + _BEHIND, now, max(0, min(limit, MOST_NAMES)))
        return [BlobID(str(name, "ascii")) for (name,) in self._connection.execute(query, bounds).fetchall()]

    def counts(self) -> dict[str, int]:
        """Give the numbers that are kept with the entries: ``live`` blobs, their ``size``, ``damaged``, ``deleted``."""
        return {
            str(name, "ascii"): value
            for name, value in self._connection.execute("SELECT name, value FROM counts").fetchall()
        }

    def free_bytes(self) -> int:
        """Give the bytes of the database's free pages."""
        return self._bytes_of("freelist_count")

    def all_bytes(self) -> int:
        """Give the bytes of all its pages."""
        return self._bytes_of("page_count")

    def _bytes_of(self, pages: str) -> int:
        (number,) = self._connection.execute(f"PRAGMA {pages}").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return int(number) * int(size)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
