"""Writing the index: the merge rule applied to rows, with books and removals in the same transaction."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from attrs import evolve, frozen

from sos.decisions.buckets import bucket_of
from sos.decisions.merge import Decision, held_after, merge
from sos.store import schema
from sos.store.books import Books
from sos.store.rows import COLUMNS, Row, row_of, values_of
from sos.store.tree import Tree
from sos.words.blob import BlobID, Entry
from sos.words.errors import SOSError

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""Bytes in the WAL after which it is copied into the database; what SQLite does by itself after 1,000 pages."""

_BYTES_A_WRITE = 5 * 4096
"""Pages that a write changes beside its bytes: of entries, two indexes, digests and counts, a guess on the large side."""

_SPARE = 4
"""The database gives pages back once one in so many is free; fewer will soon be filled again."""

_ROW = f"SELECT {', '.join(COLUMNS)}, number FROM entries WHERE id = ?"
_INSERT = f"""
    INSERT INTO entries (id, bucket, {", ".join(COLUMNS)}) VALUES (?, ?{", ?" * len(COLUMNS)})
    ON CONFLICT (id) DO NOTHING
"""
_UPDATE = f"UPDATE entries SET {', '.join(f'{column} = ?' for column in COLUMNS)} WHERE number = ?"


@frozen
class Write:
    """An entry whose bytes were counted and hashed, on its way into the index.

    The bytes are here when they are few, else in the published file with the serial `file`; a tombstone has neither.
    """

    entry: Entry
    arrived: int
    payload: bytes | None = None
    file: int | None = None


@frozen
class Outcome:
    """What a write did, the entry that is held after it, and whether anything was held before."""

    decision: Decision
    held: Entry
    was_known: bool


Change = Callable[["Index"], Any]
"""Something to do in a transaction. It may raise `SOSError` before it changed anything: then the others still happen."""


class Index:
    """The database, for the one thread that writes it. Every call blocks, and raises what `sqlite3` raises."""

    def __init__(self, connection: sqlite3.Connection, tree: Tree) -> None:
        """Write through a connection of its own; `tree` is asked whether a row's file is there."""
        schema.set_up_writing(connection)
        self._connection = connection
        self._rows = connection.cursor()  # to make one for each row would take as long as to find it
        self._tree = tree
        self._books = Books(connection)
        self.wal_bytes = 0
        """Bytes written since all of the WAL was in the database, a guess on the large side; other threads may read it."""
        self.commits = 0
        """Transactions made since the start; other threads may read it. It moves before anybody hears of the outcome."""
        self._is_pressed = False
        self._to_unlink: list[tuple[int, BlobID]] = []
        self._unlinked: list[tuple[int]] = []

    # Opening and closing

    def open(self) -> tuple[int, int]:
        """Make durable what the WAL holds, and count this opening; give its number and the highest version stored.

        After kill -9 rows may be there that were never synced; peers would count them as copies.
        """
        self.checkpoint("TRUNCATE")
        with self._transaction():
            self._connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'openings'")
        highest = self.meta("highest")
        self._books.open(highest)
        unlinks = self._connection.execute("SELECT serial, id FROM unlinks").fetchall()
        self._to_unlink = [(serial, BlobID(str(name, "ascii"))) for serial, name in unlinks]
        return self.meta("openings"), highest

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # Transactions

    def transact(self, changes: Sequence[Change]) -> list[Any]:
        """Make all changes in one durable transaction, and give their results, or the `SOSError` that a change raised."""
        self._books.begin()
        to_unlink = list(self._to_unlink)
        try:
            with self._transaction():
                results = [self._result_of(change) for change in changes]
                self._books.settle()
                if self._unlinked:
                    self._connection.executemany("DELETE FROM unlinks WHERE serial = ?", self._unlinked)
        except BaseException:
            self._to_unlink = to_unlink
            raise
        finally:
            self.commits += 1  # also where it failed: nobody knows then what is in the database
        self._books.committed()
        self._unlinked.clear()
        return results

    def _result_of(self, change: Change) -> Any:
        self.wal_bytes += _BYTES_A_WRITE
        try:
            return change(self)
        except SOSError as error:
            return error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite rolls back by itself after some errors
                self._connection.execute("ROLLBACK")
            raise

    # Changes

    def apply(self, write: Write) -> Outcome:
        """Let the merge rule decide what a write does, and do it. Raises `BlobDamaged` where the row cannot be trusted."""
        decision = merge(None, write.entry)
        held = held_after(decision, None, write.entry)
        if self._add(held, write):  # most are new: to look for the row before would be a search for each of them
            return Outcome(decision, held, was_known=False)
        row = self.row(write.entry.id)
        assert row is not None, "its ID was in the way of another row"
        return self._apply_to(row, write)

    def _apply_to(self, row: Row, write: Write) -> Outcome:
        current = row.entry
        decision = merge(current, write.entry)
        keeps_bytes = self._has_bytes_of(row, write)
        if decision is Decision.SAME and not keeps_bytes:  # the row is right, but its bytes are gone
            decision = Decision.HEAL
        held = held_after(decision, current, write.entry)
        if decision in (Decision.TAKE, Decision.HEAL):
            self._replace(row, held, write, keeps_bytes)  # healed is taken anew: whoever brought the bytes counts on them
        else:
            self._drop(held.id, write.file)
            self.renew(row, held, write.arrived)
        if current.is_damaged and held.is_live and not held.is_damaged:
            self._books.heal()
        return Outcome(decision, held, was_known=True)

    def apply_each(self, writes: Sequence[Write]) -> list[Outcome | SOSError]:
        """Apply writes one after the other, as if each were a change of its own; give what came of each."""
        return [self._result_of(partial(Index.apply, write=write)) for write in writes]

    def renew(self, row: Row, entry: Entry, arrived: int) -> None:
        """Put an entry in a row whose bytes stay, unless it is there already."""
        if entry is not row.entry:
            self._put(row, entry, arrived, row.file)

    def _add(self, entry: Entry, write: Write) -> bool:
        """Put an entry, with the bytes that came, in a row of its own; do nothing, and say so, where its ID has one."""
        bucket = bucket_of(entry.id)
        added = self._rows.execute(_INSERT, (entry.id, bucket, *values_of(entry, write.arrived, write.file)))
        if not added.rowcount:
            return False
        number = added.lastrowid
        assert number is not None
        self._books.come(bucket, entry)
        if write.payload is not None:
            self._put_small(number, write.payload)
        return True

    def _replace(self, row: Row, entry: Entry, write: Write, keeps_bytes: bool) -> None:
        """Put an entry in the place of the one held; its bytes are those that came, or stay."""
        if keeps_bytes:
            self._put(row, entry, write.arrived, row.file)
            self._drop(entry.id, write.file)
            return
        self._put(row, entry, write.arrived, write.file)
        self._drop(entry.id, row.file)
        if write.payload is not None:
            self._put_small(row.number, write.payload)
        else:
            self._drop_small(row)

    def _put(self, row: Row, entry: Entry, arrived: int, file: int | None) -> None:
        """Write an entry into its row."""
        bucket = bucket_of(entry.id)
        self._books.come(bucket, entry)
        self._books.go(bucket, row.entry)
        self._rows.execute(_UPDATE, (*values_of(entry, arrived, file), row.number))

    def _put_small(self, number: int, payload: bytes) -> None:
        self._rows.execute("INSERT OR REPLACE INTO small VALUES (?, ?)", (number, payload))
        self.wal_bytes += len(payload)

    def _has_bytes_of(self, row: Row, write: Write) -> bool:
        """Whether the bytes that came are there already, and not only said to be: they are about to be promised again."""
        held, came = row.entry, write.entry
        if not came.is_live:
            return not held.is_live
        if not held.is_live or held.is_damaged or held.sha256 != came.sha256:
            return False
        if write.file is not None:  # sound bytes in a file of their own: those held may have rotted unseen, so these stay
            return False
        return row.file is None and write.payload is not None and self.payload(row) == write.payload

    def has_bytes(self, row: Row, sha256: bytes | None) -> bool:
        """Whether the bytes with this digest are here and sound, as far as a look at their file can tell."""
        held = row.entry
        if not held.is_live or held.is_damaged or held.sha256 != sha256:
            return False
        if row.file is not None:
            return self._tree.holds(held.id, row.file, held.size or 0)
        payload = self.payload(row)
        return payload is not None and hashlib.sha256(payload).digest() == sha256

    def forget(self, row: Row) -> None:
        """Drop a row and its bytes, as if nothing had ever been held."""
        self._books.go(bucket_of(row.entry.id), row.entry)
        self._drop(row.entry.id, row.file)
        self._drop_small(row)
        self._connection.execute("DELETE FROM entries WHERE number = ?", (row.number,))

    def mark_damaged(self, row: Row, file: int | None) -> None:
        """Mark an entry whose bytes are damaged; `file` says where they are now, None where they are out of the way."""
        self._put(row, evolve(row.entry, is_damaged=True), row.arrived, file)
        if file is None:
            self._drop_small(row)

    def _drop_small(self, row: Row) -> None:
        """Delete the bytes that the database may hold for a row; their pages are overwritten, so they go through the WAL."""
        self._connection.execute("DELETE FROM small WHERE number = ?", (row.number,))
        self.wal_bytes += 0 if row.file is not None else row.entry.size or 0

    def drop_file(self, blob_id: BlobID, serial: int) -> None:
        """Note that a file, which no row names, is to be unlinked."""
        self._drop(blob_id, serial)

    def _drop(self, blob_id: BlobID, serial: int | None) -> None:
        if serial is not None:
            self._connection.execute("INSERT OR REPLACE INTO unlinks VALUES (?, ?)", (serial, blob_id))
            self._to_unlink.append((serial, blob_id))

    def note(self, name: str, value: int | str) -> None:
        """Change one of the things that are noted about the store as a whole."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def give_back_pages(self, most: int) -> None:
        """Make the database smaller by some free pages, if it has many: small blobs would fill them again."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        for _ in range(min(free, most) if free * _SPARE > pages else 0):
            self._connection.execute("PRAGMA incremental_vacuum(1)")  # the module takes one step of it, whatever the number

    # Mending, within a transaction

    def execute(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Do to the tables what no write does; the books are the caller's to put right, once they are settled."""
        self._books.touch()
        return self._connection.execute(statement, arguments).fetchall()

    def settle(self) -> None:
        """Write the books as the changes of this transaction have them, so that they can be compared with the rows."""
        self._books.settle()

    def see(self, version: int) -> None:
        """Note a version that is stored, so that the clock stays ahead of it."""
        self._books.see(version)

    # Reading, within a transaction

    def meta(self, name: str) -> Any:
        """Give one of the things that are noted about the store as a whole, None for what never was."""
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    def row(self, blob_id: BlobID) -> Row | None:
        """Give what is held under an ID. Raises `BlobDamaged`."""
        found = self._rows.execute(_ROW, (blob_id,)).fetchone()
        return None if found is None else row_of(blob_id, found[-1], found[:-1])

    def payload(self, row: Row) -> bytes | None:
        """Give the bytes that the database holds for a row."""
        found = self._rows.execute("SELECT payload FROM small WHERE number = ?", (row.number,)).fetchone()
        return None if found is None else bytes(found[0])

    # After a commit

    @property
    def is_untidy(self) -> bool:
        """Whether files wait to be unlinked, or the WAL to be copied into the database."""
        return bool(self._to_unlink) or self._is_checkpoint_due

    @property
    def _is_checkpoint_due(self) -> bool:
        return self.wal_bytes > CHECKPOINT_BYTES or self._is_pressed

    def checkpoint_soon(self) -> None:
        """Copy the WAL after this commit: the disk is short of room, and the next commit can use that of the WAL again."""
        self._is_pressed = True

    def unlink_dropped(self) -> None:
        """Unlink the files that no row names since the last commit. What an `OSError` leaves is tried at the next start."""
        pending, self._to_unlink = self._to_unlink, []
        for serial, blob_id in pending:
            self._tree.remove(blob_id, serial)
            self._unlinked.append((serial,))

    def checkpoint_if_due(self) -> None:
        """Copy the WAL into the database when it has grown; a reader in the way puts it off."""
        is_due, self._is_pressed = self._is_checkpoint_due, False
        if is_due and self.checkpoint("PASSIVE"):
            self.wal_bytes = 0

    def checkpoint(self, mode: str) -> bool:
        """Copy the WAL into the database, durably; say whether all of it is there now."""
        busy, in_wal, copied = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return not busy and in_wal == copied
