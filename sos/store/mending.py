"""Mending: what the scrub puts right in the index. Each function is a change for the thread that writes the index.

Each looks again before it changes anything, for its caller read earlier and elsewhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from attrs import frozen

from sos.decisions.buckets import EMPTY, bucket_of
from sos.store.files import Fs
from sos.store.index import Index
from sos.store.quarantine import keep, keep_note
from sos.store.reckoning import NO_BUCKETS, counts_of, indexes_are_sound, kept_counts, kept_digests, made_digests
from sos.store.rows import COLUMNS, row_of, values_of
from sos.store.tree import QUARANTINE, Tree
from sos.words.blob import BlobID, Entry, blob_id
from sos.words.errors import BlobDamaged, InvalidBlobID

_ROW = f"SELECT id, bucket, {', '.join(COLUMNS)} FROM entries WHERE number = ?"
_UNKNOWN = f"UPDATE entries SET id = ?, bucket = ?, {', '.join(f'{column} = ?' for column in COLUMNS)} WHERE number = ?"


@frozen
class Mender:
    """Mends; what it takes away goes to quarantine."""

    fs: Fs
    tree: Tree

    def distrust(self, index: Index, number: int, serial: int, now: int) -> str | None:
        """Put a row that cannot be trusted into order, and say what it was, None where it is sound after all.

        All that is known is its ID: it becomes a damaged entry, which a round fills again from another member. What has not
        even an ID goes. The counts stay as they were beside that: what the row had added to them nobody knows.
        """
        found = index.execute(_ROW, number)
        if not found or _is_sound(found[0]):
            return None
        raw_id, bucket, *values = found[0]
        name = _id_of(raw_id)
        self._keep(index, number, name, values[COLUMNS.index("file")], serial)
        index.execute("DELETE FROM small WHERE number = ?", number)
        index.settle()
        if name is None or index.execute("SELECT 1 FROM entries WHERE id = ? AND number != ?", name, number):
            index.execute("DELETE FROM entries WHERE number = ?", number)
        else:
            unknown = values_of(Entry(id=name, is_damaged=True), now, None)
            index.execute(_UNKNOWN, name, bucket_of(name), *unknown, number)
            index.execute("UPDATE counts SET value = value + 1 WHERE name = 'damaged'")
            mend_bucket(index, bucket_of(name))
        if type(bucket) is int:
            mend_bucket(index, bucket)
        return "a name that cannot be read" if name is None else name

    def _keep(self, index: Index, number: int, name: BlobID | None, file: Any, serial: int) -> None:
        """Keep the bytes that the row seems to have had."""
        kept = f"{QUARANTINE}/{name or 'row'}.{serial}"
        payload = index.execute("SELECT payload FROM small WHERE number = ?", number)
        if payload and isinstance(payload[0][0], bytes):
            keep(self.fs, kept, payload[0][0])
        elif name is not None and type(file) is int:
            with contextlib.suppress(OSError):  # another file than that one will be found in the tree
                self.fs.rename(self.tree.name(name, file), kept)
        keep_note(self.fs, kept, "What was noted with the blob is damaged: only its ID is known.")

    def drop_loose(self, index: Index, number: int, serial: int) -> bool:
        """Take away bytes in the database that belong to no row."""
        if index.execute("SELECT 1 FROM entries WHERE number = ?", number):
            return False
        found = index.execute("SELECT payload FROM small WHERE number = ?", number)
        if not found:
            return False
        kept = f"{QUARANTINE}/row.{serial}"
        keep(self.fs, kept, found[0][0] if isinstance(found[0][0], bytes) else b"")
        keep_note(self.fs, kept, "These bytes were in the database, and no entry had them.")
        index.execute("DELETE FROM small WHERE number = ?", number)
        return True


def replace(index: Index, number: int) -> bool:
    """Put a row into the bucket of its ID."""
    found = index.execute(_ROW, number)
    if not found or not _is_sound(found[0]):
        return False
    raw_id, bucket, *_ = found[0]
    right = bucket_of(BlobID(str(raw_id, "ascii")))
    if bucket == right:
        return False
    index.settle()
    index.execute("UPDATE entries SET bucket = ? WHERE number = ?", right, number)
    for changed_bucket in (right, bucket):
        if type(changed_bucket) is int:
            mend_bucket(index, changed_bucket)
    return True


def mend_bucket(index: Index, bucket: int) -> bool:
    """Make the digest of a bucket that of its rows, and say whether it was another."""
    index.settle()
    made, _ = made_digests(index.execute, bucket, bucket + 1)
    digest = made.get(bucket, EMPTY)
    if digest == kept_digests(index.execute, bucket, bucket + 1).get(bucket, EMPTY):
        return False
    index.execute("INSERT OR REPLACE INTO digests VALUES (?, ?)", bucket, digest)
    return True


def mend_counts(index: Index) -> bool:
    """Make the counts those of the rows, and say whether they were others."""
    index.settle()
    counts, newest = counts_of(index.execute)
    kept, highest = kept_counts(index.execute)
    for name, value in counts.items():
        index.execute("INSERT OR REPLACE INTO counts VALUES (?, ?)", name, value)
    strange = index.execute(NO_BUCKETS)
    for (bucket,) in strange:
        index.execute("DELETE FROM digests WHERE bucket = ?", bucket)
    is_behind = type(highest) is not int or newest > highest
    if is_behind:
        index.note("highest", newest)
        index.see(newest)
    return bool(strange) or is_behind or counts != kept


def reindex(index: Index) -> None:
    """Make the indexes anew from the rows. Raises `sqlite3.DatabaseError` where even that leaves them wrong."""
    index.execute("REINDEX entries")
    if not indexes_are_sound(index.execute):
        error = sqlite3.DatabaseError("its indexes cannot be mended")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _is_sound(values: tuple[Any, ...]) -> bool:
    raw_id, _, *fields = values
    try:
        row_of(blob_id(raw_id), 0, tuple(fields))
    except (BlobDamaged, InvalidBlobID, TypeError):
        return False
    return True


def _id_of(raw_id: Any) -> BlobID | None:
    try:
        return blob_id(raw_id)
    except (InvalidBlobID, TypeError):
        return None
