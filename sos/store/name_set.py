"""A set of names in a temporary database: as large as the disk allows, and gone with its connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from twisted.internet.defer import DeferredLock
from zope.interface import implementer

from sos.words.blob import BlobID
from sos.words.interfaces import INameSet, InThread

_TEMPORARY = ""
"""SQLite's name for a database that is nobody else's: in memory while it is small, then in a file without a name."""


@implementer(INameSet)
class NameSet:
    """Names in one table. Nothing in it outlives a crash, so nothing of it is synced."""

    def __init__(self, in_thread: InThread) -> None:
        """Be empty; whatever blocks is run by `in_thread`."""
        self._in_thread = in_thread
        self._turn = DeferredLock()  # the connection is one thread's at a time
        self._connection = sqlite3.connect(_TEMPORARY, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("CREATE TABLE names (name TEXT PRIMARY KEY) WITHOUT ROWID")

    async def add(self, names: Sequence[BlobID]) -> None:
        """Put names in."""
        async with self._turn:
            await self._in_thread(self._insert, names)

    async def lacking(self, names: Sequence[BlobID]) -> Sequence[BlobID]:
        """Give those that are not in it."""
        async with self._turn:
            return await self._in_thread(self._absent, names)

    async def close(self) -> None:
        """Forget all, once what is under way has ended."""
        async with self._turn:
            self._connection.close()

    def _insert(self, names: Sequence[BlobID]) -> None:
        rows = [(name,) for name in sorted(names)]  # neighbours share pages
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR IGNORE INTO names VALUES (?)", rows)
        self._connection.execute("COMMIT")

    def _absent(self, names: Sequence[BlobID]) -> Sequence[BlobID]:
        look = self._connection.execute
        return [name for name in names if look("SELECT 1 FROM names WHERE name = ?", (name,)).fetchone() is None]
