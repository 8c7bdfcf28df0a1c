"""Listing: the index as replication and the reaper read it. In the reactor's thread, each read short and closed at once.

It has a connection of its own, so that it can see when another one has committed something: until then, the digests that
were read last are still right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from sos.decisions.buckets import BUCKETS, EMPTY, root_digest
from sos.store import schema
from sos.store.ages import Ages
from sos.store.books import SETTLED
from sos.store.rows import COLUMNS, row_of
from sos.words.blob import BlobID, Entry, Kind, State, Version
from sos.words.errors import BlobDamaged
from sos.words.interfaces import ILocalStore, StoreSummary

MOST_ENTRIES = 1000
"""Entries given at a time: each may have 8 KiB of metadata, and takes some microseconds."""

_COLUMNS = f"id, {', '.join(COLUMNS)}, number"
_ENTRIES = f"SELECT {_COLUMNS} FROM entries WHERE bucket = ? AND id > ? AND stray = 0 ORDER BY id LIMIT ?"
_ENTRIES_OF_SEVERAL = f"""
    SELECT {_COLUMNS} FROM entries WHERE number IN (
        SELECT number FROM entries AS one INDEXED BY buckets WHERE bucket >= ? AND bucket < ? AND id > ?
        AND NOT EXISTS (SELECT 1 FROM entries AS other INDEXED BY strays WHERE other.stray = 1 AND other.id = one.id)
        ORDER BY id LIMIT ?
    ) ORDER BY id
"""
"""SQLite would rather walk through all entries in the order of their IDs, which need not be sorted then. What is sorted here
comes from indexes alone: only the rows that are given are read, each of which may lie on a page that is not in memory."""
_STRAYS = f"SELECT {_COLUMNS} FROM entries WHERE stray = 1 AND id > ? ORDER BY id LIMIT ?"
_TOMBSTONES = f"SELECT {_COLUMNS} FROM entries WHERE {schema.TOMBSTONES} AND arrived < ? AND id > ? ORDER BY id LIMIT ?"
_OF_KIND = {
    kind: f"SELECT {_COLUMNS} FROM entries WHERE kind = {kind:d} AND state = {State.LIVE:d} AND id > ? ORDER BY id LIMIT ?"
    for kind in Kind
}
"""The kind stands in the text, for only so can SQLite see that a partial index will do."""
_SETTLED = f"SELECT value FROM meta WHERE name = '{SETTLED}'"
_EXPIRED = f"SELECT id, version FROM entries WHERE {schema.EXPIRING} AND expires <= ? ORDER BY expires LIMIT ?"


@frozen
class Overview:
    """What the whole index holds, at one moment."""

    buckets: Sequence[bytes]
    root: bytes
    counts: dict[str, int]

    def summary(self, store: ILocalStore, dropped: tuple[int, Version], ages: Ages) -> StoreSummary:
        """Say the same to replication, with how the store stands in the rounds, and what was last dropped."""
        return StoreSummary(
            store=store.uuid,
            root=self.root,
            live=self.counts["live"],
            deleted=self.counts["deleted"],
            damaged=self.counts["damaged"],
            strays=self.counts["strays"],
            clock=store.clock.last,
            round=store.round,
            group=store.group,
            dropped_round=dropped[0],
            dropped_version=dropped[1],
            time=ages.now,
            uptime=ages.uptime,
            incarnation=store.incarnation,
            is_partial=store.is_partial,
        )


class Listing:
    """The entries of the last commit, in the order in which replication compares them. Raises what `sqlite3` raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through a connection of its own."""
        schema.set_up_reading(connection)
        self._connection = connection
        self._rows = connection.cursor()  # each new one is remembered by the connection for a while
        self._seen: int | None = None
        self._settled: tuple[int] | None = None
        self._overview: Overview

    def overview(self) -> Overview:
        """Give the digests and the counts of one commit; read anew only if they were written since the last call.

        Not every commit writes them: the number of a round does not, and an idle round would read 4,096 digests each time.
        """
        with schema.one_moment(self._rows):
            (commit,) = self._rows.execute("PRAGMA data_version").fetchone()
            if commit != self._seen:
                settled = self._rows.execute(_SETTLED).fetchone()  # None as long as an earlier program wrote all there is
                if self._seen is None or settled != self._settled:
                    self._overview = self._read_overview()
                self._seen, self._settled = commit, settled
        return self._overview

    def _read_overview(self) -> Overview:
        buckets = [EMPTY] * BUCKETS
        for bucket, digest in self._rows.execute("SELECT bucket, digest FROM digests").fetchall():
            buckets[bucket] = digest
        counts = self._rows.execute("SELECT name, value FROM counts").fetchall()
        return Overview(buckets, root_digest(buckets), {str(name, "ascii"): value for name, value in counts})

    def entries(self, bucket: int, buckets: int, after: str, limit: int) -> Sequence[Entry]:
        """Give the next entries of a bucket, or of several."""
        if buckets == 1:
            return self._listed(_ENTRIES, bucket, after, limit)
        return self._listed(_ENTRIES_OF_SEVERAL, bucket, bucket + buckets, after, limit)

    def strays(self, after: str, limit: int) -> Sequence[Entry]:
        """Give the next strays."""
        return self._listed(_STRAYS, after, limit)

    def tombstones(self, before: float, after: str, limit: int) -> Sequence[Entry]:
        """Give the next tombstones that were taken before this time; strays are carried home instead."""
        return self._listed(_TOMBSTONES, before, after, limit)

    def of_kind(self, kind: Kind, after: str, limit: int) -> Sequence[Entry]:
        """Give the next live entries of a kind, whatever is wrong with them."""
        return self._listed(_OF_KIND[kind], after, limit)

    def expired(self, by: float, limit: int) -> Sequence[tuple[BlobID, Version]]:
        """Name live blobs that expired at this time or before, those that did so first."""
        found = self._connection.execute(_EXPIRED, (by, max(0, limit))).fetchall()
        return [(BlobID(str(name, "ascii")), Version(version)) for name, version in found]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _listed(self, query: str, *arguments: Any) -> Sequence[Entry]:
        found = self._connection.execute(query, arguments).fetchall()
        return [_entry_of(BlobID(str(values[0], "ascii")), values) for values in found]


def _entry_of(blob_id: BlobID, values: tuple[Any, ...]) -> Entry:
    """Read an entry; of one whose row cannot be trusted only its ID is known, and that it is damaged."""
    try:
        return row_of(blob_id, values[-1], values[1:-1]).entry
    except BlobDamaged:
        return Entry(id=blob_id, is_damaged=True)
