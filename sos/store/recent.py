"""Small blobs that were read lately, kept in memory with the bytes that were verified then.

To read one out of the database is more than half of what a GET costs a store, and some are read over and over. All that is
kept goes with each commit, whatever that changed: so nothing is given out that a later write has replaced, removed or marked
as damaged, and nobody has to know what a change means for what is kept.
"""

from __future__ import annotations

from collections.abc import Callable

from sos.store.rows import Row
from sos.words.blob import BlobID

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of blobs kept by a store: 2,000 of 4 KiB."""


class Recent:
    """Keeps rows with their bytes until the next commit. It is the reactor thread's."""

    def __init__(self, commits: Callable[[], int], most: int = MOST_BYTES) -> None:
        """Keep `most` bytes. `commits` counts those that were made: of each before anybody hears that it is durable."""
        self._commits = commits
        self._most = most
        self._as_of = commits()
        self._size = 0
        self._rows: dict[BlobID, Row] = {}

    def of(self, blob_id: BlobID) -> Row | None:
        """Give a row as it is now, None where it has to be read."""
        if self._as_of != self._commits():
            self._begin_anew()
        return self._rows.get(blob_id)

    def keep(self, row: Row) -> None:
        """Keep a sound row that was read since the last call of `of`; what was kept first goes first.

        If there was a commit meanwhile, that call's count is older, and nobody gets to see the row.
        """
        if row.payload is None or row.entry.id in self._rows:
            return
        self._rows[row.entry.id] = row
        self._size += len(row.payload)
        while self._size > self._most:
            self.drop(next(iter(self._rows)))

    def drop(self, blob_id: BlobID) -> None:
        """Keep this one no longer."""
        gone = self._rows.pop(blob_id, None)
        if gone is not None and gone.payload is not None:
            self._size -= len(gone.payload)

    def _begin_anew(self) -> None:
        self._as_of = self._commits()
        self._rows.clear()
        self._size = 0
