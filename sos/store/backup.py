"""A backup: a consistent copy of a store, made beside the process that serves it.

The order of the steps is what makes it right:

1. The files that rows name now get their names in the backup. Whatever happens to them in the store, they are kept here.
2. The database is copied: the state of one moment, through a connection that only reads. It holds a read transaction while
   the pages go over in steps. In a WAL that blocks no writer; without the transaction, each commit of the serving process
   would make SQLite begin again, and a busy store would never be done.
3. The files that the copy names and that are not there yet are brought. One can have vanished from the store, for its blob
   was deleted or replaced after the second step: then the copy is too old, and the next moment is taken. Only files that
   came and went between the first step and this one can cause that, so it comes to an end.
4. All is made durable, and the copy of the database takes the place of the earlier one, in one rename. Until then the
   earlier backup is whole: no file that it names was touched.
5. Files that the new copy does not name are removed.

A file that a row still names and that is not in the store is no race but damage. It is told, the backup goes on, and so does
what is kept of the blob here: of a damaged blob no file is ever removed.

Rejected: to ask the serving process to hold still (it would have to know of backups, and a backup that dies would leave it
so), and to copy ``sos.db`` and its WAL as files (two files of one moment cannot be had).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from sos.store import schema
from sos.store.backup_place import BackupPlace, place_for, read_small
from sos.store.file_copies import FileCopies, Know, UnsoundFile
from sos.store.files import Fs
from sos.store.marker import DATABASE, DATABASE_FILES, MARKER, open_directory, uuid_of_store
from sos.store.named_files import NamedFile, NamedFiles
from sos.words.errors import StoreRefused, Unavailable

MOMENTS = 20
"""States of the store that are tried: each is missed only by a blob that came and went while the one before was copied."""

_PAGES = 1024
"""Pages of the database copied at a time, 4 MiB: as often is the progress shown."""

_NEW = f"{DATABASE}.new"


class Watcher(Protocol):
    """Is told how far the work is, in bytes."""

    def begin(self, what: str, total: int | None) -> None:
        """A part of the work begins."""

    def advance(self, amount: int) -> None:
        """So many more bytes are done."""


_AS_IF_AWAY = "UPDATE meta SET value = MAX(0, value - 1) WHERE name = 'round'"
"""A copy has missed the last round of its store: once it is a member again its peers are ahead of it, and it is not read
from until a round has told it what was deleted since. Else nobody could tell within the same round that it is one."""


@frozen
class BackedUp:
    """What a backup came to."""

    uuid: str
    blobs: int
    size: int
    linked: int
    copied: int
    removed: int
    complaints: Sequence[str] = field(default=())
    """A sentence for each blob whose bytes are not as they should be."""


def back_up(store: Path, place: Path, watcher: Watcher) -> BackedUp:
    """Back a store up into a directory. Blocks, for as long as it takes. Raises `StoreRefused`, `Unavailable`, `OSError`."""
    uuid = uuid_of_store(store)
    with contextlib.ExitStack() as opened:
        descriptor = open_directory(store)
        opened.callback(os.close, descriptor)
        source = Fs(store, descriptor)
        target = opened.enter_context(place_for(place, uuid))
        try:
            database = source.connect(DATABASE, read_only=True)
            opened.callback(database.close)
            return Backup(source, target, database, uuid, watcher).run()
        except sqlite3.Error as error:
            raise Unavailable(f"The database of the store {store} cannot be copied now: {error}.") from error


class Backup:
    """Makes one backup."""

    def __init__(
        self,
        source: Fs,
        place: BackupPlace,
        database: sqlite3.Connection,
        uuid: str,
        watcher: Watcher,
        moments: int = MOMENTS,
    ) -> None:
        """Copy the store in `source`, whose database is open for reading, into a place that is ours."""
        self._source = source
        self._place = place
        self._target = place.fs
        self._database = database
        self._uuid = uuid
        self._watcher = watcher
        self._moments = moments
        self._living = NamedFiles(database)

    def run(self) -> BackedUp:
        """Do all steps."""
        if schema.user_version(self._database) != schema.USER_VERSION:
            raise StoreRefused("The database of the store has another layout than this program knows.")
        with self._earlier() as is_settled:
            files = FileCopies(self._source, self._target, is_settled)
            self._bring(files, self._living, "files")
            complaints = self._take_moment(files)
            files.settle()
        self._publish()
        with contextlib.closing(self._target.connect_at_rest(DATABASE)) as copy:
            files.remove_others(NamedFiles(copy).wants_kept)
            blobs, size = _counts(copy)
        counts = files.counts
        return BackedUp(self._uuid, blobs, size, counts["linked"], counts["copied"], counts["removed"], complaints)

    @contextlib.contextmanager
    def _earlier(self) -> Iterator[Know]:
        """Give what knows the files of the earlier backup here, which are durable."""
        if not self._place.is_finished:
            yield lambda blob_id, serial: False
            return
        with contextlib.closing(self._target.connect_at_rest(DATABASE)) as earlier:
            yield NamedFiles(earlier).names

    def _take_moment(self, files: FileCopies) -> Sequence[str]:
        """Copy the database until all files that the copy names are there, and give what is wrong with some of them."""
        for _ in range(self._moments):
            self._copy_database()
            with contextlib.closing(self._target.connect_at_rest(_NEW)) as copy:
                missing = self._bring(files, NamedFiles(copy), "files")
            complaints = [f"Blob {file.blob_id} is damaged in the store: {why}." for file, why in missing if why]
            if len(complaints) == len(missing):
                return complaints
        raise Unavailable("The store changes faster than it can be copied; try again when it is less busy.")

    def _bring(self, files: FileCopies, named: NamedFiles, what: str) -> list[tuple[NamedFile, str]]:
        """Bring all files, and give those that cannot be had; where nothing is said of one, its blob has changed."""
        self._watcher.begin(what, named.size())
        missing = []
        for file in named:
            why = self._brought(files, file)
            if why is not None:
                missing.append((file, why))
            self._watcher.advance(file.size)
        return missing

    def _brought(self, files: FileCopies, file: NamedFile) -> str | None:
        """Bring a file; say what is wrong with it, an empty text where its row does not name it any more."""
        for _ in range(2):
            try:
                files.bring(file)
            except UnsoundFile as error:
                return None if file.is_damaged else str(error)
            except FileNotFoundError:
                if file.is_damaged:
                    return None
                if not self._living.names(file.blob_id, file.serial):
                    return ""
            else:
                return None
        return "its file is missing"

    def _copy_database(self) -> None:
        """Copy the database as it is at one moment, durably, under a name of its own."""
        for leftover in (_NEW, f"{_NEW}-journal"):
            self._target.unlink(leftover)
        self._target.close(self._target.create(_NEW))
        (page_size,) = self._database.execute("PRAGMA page_size").fetchone()
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        self._watcher.begin("database", pages * page_size)
        left = pages

        def told(status: int, remaining: int, total: int) -> None:
            nonlocal left
            self._watcher.advance(max(0, left - remaining) * page_size)
            left = remaining

        copy = self._target.connect(_NEW)
        try:
            copy.execute("PRAGMA journal_mode = MEMORY")
            copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole, below
            with schema.one_moment(self._database):
                schema.user_version(self._database)  # only a read begins the moment
                self._database.backup(copy, pages=_PAGES, progress=told)
            copy.execute(_AS_IF_AWAY)
        finally:
            copy.close()
        written = self._target.open(_NEW)
        try:
            self._target.sync(written)
        finally:
            self._target.close(written)

    def _publish(self) -> None:
        """Let the copy be the backup's database; then, if there was none before, let the directory be a store."""
        for name in DATABASE_FILES:
            if name != DATABASE:
                self._target.unlink(name)  # a WAL that somebody left there is not this database's
        self._target.rename(_NEW, DATABASE)
        self._target.sync_directory(".")
        self._place.finish(read_small(self._source, MARKER))


def _counts(copy: sqlite3.Connection) -> tuple[int, int]:
    counts: Iterable[tuple[bytes, int]] = copy.execute("SELECT name, value FROM counts").fetchall()
    known = {str(name, "ascii"): value for name, value in counts}
    return known["live"], known["size"]
