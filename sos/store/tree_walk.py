"""Walking the tree of files, a directory at a time: what no row names is removed, what is not ours is counted.

A file gets its serial before its row is committed, so a file without a row may be one that is being published right now.
Its serial is of this opening of the store then. One of an earlier opening that no row names now will never be named again,
for a row only ever gets a fresh serial. One of a later opening comes from a database that was put back from an older copy
of itself: it is not ours to judge, and counts as foreign.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator

from attrs import define

from sos.store.files import Fs, Kind
from sos.store.quarantine import keep_note
from sos.store.rows import COLUMNS, row_of
from sos.store.tree import BLOBS, QUARANTINE, directory_of, opening_of
from sos.words.blob import BlobID
from sos.words.errors import BlobDamaged

DIRECTORIES = 256 * 256
"""Directories of the second level, each with a number."""

_DIRECTORY = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"([a-z0-9]{1,128})\.([1-9][0-9]{0,18})", re.ASCII)
_NO_DIRECTORY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_ROW = f"SELECT {', '.join(COLUMNS)} FROM entries WHERE id = ?"
_UNLINKED = "SELECT 1 FROM unlinks WHERE serial = ?"


@define
class DirectorySeen:
    """What was done in one directory; `next` is the number of the next one, `count` the names that were looked at."""

    next: int
    count: int = 0
    removed: int = 0
    set_apart: int = 0
    """Files that no row names, of a blob of which a row was damaged: they may be its bytes, so they are kept."""
    foreign: int = 0


class TreeWalk:
    """Looks at the files. Blocks: in a thread, one call at a time. Raises `OSError`, and what `sqlite3` raises."""

    def __init__(self, fs: Fs, connection: sqlite3.Connection, opening: int) -> None:
        """Walk through `fs`, and ask for rows through a connection of its own; `opening` is that of this process."""
        self._fs = fs
        self._connection = connection
        self._opening = opening
        self._first = -1
        self._seconds: list[int] = []

    def step(self, at: int) -> DirectorySeen:
        """Look at the first directory with this number or a higher one, if there is one below the same parent."""
        first, second = divmod(at, 256)
        seen = DirectorySeen(next=(first + 1) * 256)
        if at == 0:
            seen.foreign += self._foreign_in(BLOBS)
        if first != self._first or second == 0:
            self._enter(first, second, seen)
        for number in self._seconds:
            if number >= second:
                seen.next = at - second + number + 1
                self._look_into(f"{BLOBS}/{first:02x}/{number:02x}", seen)
                break
        return seen

    def _enter(self, first: int, second: int, seen: DirectorySeen) -> None:
        """List the second level once."""
        parent = f"{BLOBS}/{first:02x}"
        kinds = self._kinds(parent)
        self._first, self._seconds = first, sorted(int(name, 16) for name, kind in kinds.items() if _leads_on(name, kind))
        if second == 0:
            seen.foreign += len(kinds) - len(self._seconds)

    def _foreign_in(self, directory: str) -> int:
        return sum(not _leads_on(name, kind) for name, kind in self._kinds(directory).items())

    def _kinds(self, directory: str) -> dict[str, Kind]:
        """List a directory; what is none has nothing in it, and was counted above."""
        try:
            return self._fs.kinds(directory)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY:
                raise
            return {}

    def _look_into(self, directory: str, seen: DirectorySeen) -> None:
        for name, kind in self._kinds(directory).items():
            seen.count += 1
            found = _FILE.fullmatch(name) if kind is Kind.FILE else None
            if found is None or directory_of(BlobID(found[1])) != directory or opening_of(int(found[2])) > self._opening:
                seen.foreign += 1
            elif opening_of(int(found[2])) < self._opening:
                self._judge(f"{directory}/{name}", BlobID(found[1]), int(found[2]), seen)

    def _judge(self, name: str, blob_id: BlobID, serial: int, seen: DirectorySeen) -> None:
        """Keep what a row names, or may have named before it was damaged; remove what none does."""
        for file, is_damaged in self._rows(blob_id):
            if file == serial:
                return
            if is_damaged:
                self._set_apart(name)
                seen.set_apart += 1
                return
        if self._connection.execute(_UNLINKED, (serial,)).fetchone() is None:  # else it goes by itself
            self._fs.unlink(name)
            seen.removed += 1

    def _rows(self, blob_id: BlobID) -> Iterator[tuple[int | None, bool]]:
        """Give the serial that the row of an ID names, if there is one, and whether it is damaged."""
        values = self._connection.execute(_ROW, (blob_id,)).fetchone()
        if values is not None:
            try:
                row = row_of(blob_id, 0, values)
                yield row.file, row.entry.is_damaged
            except BlobDamaged:  # it became so since the rows were walked
                yield None, True

    def _set_apart(self, name: str) -> None:
        kept = f"{QUARANTINE}/{name.rpartition('/')[2]}"
        self._fs.rename(name, kept)
        keep_note(self._fs, kept, "No entry names this file, and the entry of its blob is damaged.")


def _leads_on(name: str, kind: Kind) -> bool:
    return kind is Kind.DIRECTORY and _DIRECTORY.fullmatch(name) is not None
