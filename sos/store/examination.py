"""Examination: the bytes of a blob are read and hashed, because somebody says that they are wrong."""

from __future__ import annotations

import hashlib
import sqlite3

from twisted.internet.defer import DeferredLock

from sos.store.failures import Latch
from sos.store.files import Fs
from sos.store.holdings import BytesSuspected, Holdings
from sos.store.quarantine import Suspicion
from sos.store.reader import Reader
from sos.store.rows import Row
from sos.store.tree import Tree
from sos.words.blob import BlobID
from sos.words.errors import BlobDamaged, BlobNotFound
from sos.words.interfaces import InThread

_PIECE = 1024 * 1024
"""Bytes read and hashed at a time: long enough that the disk is asked for a run of blocks."""


class Examination:
    """Finds out whether bytes are those of their entry. One blob at a time: arriving bytes need the same threads."""

    def __init__(self, holdings: Holdings, reader: Reader, fs: Fs, tree: Tree, latch: Latch, in_thread: InThread) -> None:
        """Look at what `holdings` gives, and read its files in a thread."""
        self._holdings = holdings
        self._reader = reader
        self._fs = fs
        self._tree = tree
        self._latch = latch
        self._in_thread = in_thread
        self._turn = DeferredLock()

    async def of(self, blob_id: BlobID) -> Suspicion | None:
        """Say what is wrong with a blob; nothing is wrong with one that is not there, or known to be damaged.

        Raises `Unavailable` where the disk does not let it be read.
        """
        await self._turn.acquire()
        try:
            return await self._found(blob_id)
        except (OSError, sqlite3.Error) as error:
            raise self._latch.judge(error) from error
        finally:
            self._turn.release()

    async def _found(self, blob_id: BlobID) -> Suspicion | None:
        try:
            self._holdings.forget(blob_id)
            self._holdings.stat(blob_id)  # hashes bytes in the database, and misses a file that is gone or cut
            row = self._reader.row(blob_id)
        except (BlobNotFound, BlobDamaged):
            return None
        except BytesSuspected as error:
            return error.suspicion
        if row is None or row.file is None:
            return None
        return await self._hashed(row, row.file)

    async def _hashed(self, row: Row, serial: int) -> Suspicion | None:
        try:
            descriptor = self._tree.open(row.entry.id, serial)
        except FileNotFoundError:  # replaced between the two looks: then other bytes were written just now
            return None
        if await self._in_thread(self._sha256_of, descriptor) == row.entry.sha256:
            return None
        return Suspicion(row.entry.id, serial, "The bytes of the file do not have their SHA-256.")

    def _sha256_of(self, descriptor: int) -> bytes:
        """Hash an open file, and close it. Blocks: in a thread."""
        try:
            digest = hashlib.sha256()
            while piece := self._fs.read(descriptor, _PIECE):
                digest.update(piece)
            return digest.digest()
        finally:
            self._fs.close(descriptor)
