"""The check of a backup: whether it holds the bytes of all that its database names. It reads every one of them."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from sos.store import schema
from sos.store.backup import Watcher
from sos.store.backup_place import finished_place
from sos.store.files import Fs
from sos.store.marker import DATABASE, uuid_of_store
from sos.store.named_files import NamedFiles
from sos.store.rows import Row
from sos.store.tree import Tree
from sos.words.errors import StoreRefused

_PIECE = 1024 * 1024


@frozen
class Checked:
    """What a check found: sound blobs and their bytes, those that were damaged already when they were backed up, faults."""

    blobs: int
    size: int
    damaged_before: int
    faults: Sequence[str]


def check_backup(path: Path, watcher: Watcher) -> Checked:
    """Hash all that a backup holds. Blocks, for as long as it takes. Raises `StoreRefused`, `OSError`."""
    with finished_place(path) as place:
        try:
            with contextlib.closing(place.fs.connect_at_rest(DATABASE)) as database:
                return _Check(place.fs, database, watcher).of(path)
        except sqlite3.Error as error:
            raise StoreRefused(f"The database of the backup {path} is damaged: {error}.") from error


class _Check:
    def __init__(self, fs: Fs, database: sqlite3.Connection, watcher: Watcher) -> None:
        self._fs = fs
        self._tree = Tree(fs)
        self._database = database
        self._watcher = watcher

    def of(self, path: Path) -> Checked:
        """Check the database, then all blobs. Raises `StoreRefused` for a database that cannot be used."""
        if schema.user_version(self._database) != schema.USER_VERSION or schema.uuid_of(self._database) != uuid_of_store(
            path
        ):
            raise StoreRefused(f"The database of the backup {path} is not the one of its store.")
        found = [str(line, "utf-8", "replace") for (line,) in self._database.execute("PRAGMA quick_check(10)").fetchall()]
        faults = [f"The database is damaged: {line}." for line in found if line != "ok"]
        (total,) = self._database.execute("SELECT value FROM counts WHERE name = 'size'").fetchone()
        self._watcher.begin("verify", total)
        blobs = size = damaged_before = 0
        for blob_id, row in NamedFiles(self._database).rows():
            fault = "its row is damaged" if row is None else self._fault_of(row)
            if fault is not None:
                faults.append(f"Blob {blob_id} is damaged: {fault}.")
            elif row is not None and row.entry.is_damaged:
                damaged_before += 1
            elif row is not None and row.entry.is_live:
                blobs += 1
                size += row.entry.size or 0
        return Checked(blobs, size, damaged_before, faults)

    def _fault_of(self, row: Row) -> str | None:
        """Say what is wrong with the bytes of a row; nothing is, where it promises none."""
        entry = row.entry
        if not entry.is_live or entry.is_damaged:
            return None
        if row.file is not None:
            return self._fault_of_file(row, row.file)
        payload = row.payload or b""
        self._watcher.advance(len(payload))
        if row.payload is None or hashlib.sha256(payload).digest() != entry.sha256:
            return "its bytes do not have their SHA-256"
        return None

    def _fault_of_file(self, row: Row, serial: int) -> str | None:
        try:
            descriptor = self._tree.open(row.entry.id, serial)
        except OSError as error:
            return f"its file cannot be opened: {error.strerror}"
        digest = hashlib.sha256()
        try:
            while piece := self._fs.read(descriptor, _PIECE):
                digest.update(piece)
                self._watcher.advance(len(piece))
        except OSError as error:
            return f"its file cannot be read: {error.strerror}"
        finally:
            self._fs.close(descriptor)
        return None if digest.digest() == row.entry.sha256 else "the bytes of its file do not have their SHA-256"
