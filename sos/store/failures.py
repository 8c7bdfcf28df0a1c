"""What a failing disk or database means: for the caller an error with a name, for the store perhaps the end of writing.

A failed fsync is final. The kernel marks the lost pages clean, so a second fsync says that all is well, and so does the
next commit of SQLite. Therefore the store remembers, and takes no write until somebody starts it again.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable

from twisted.logger import Logger

from sos.words.errors import SOSError, StoreFull, StoreReadOnly, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PRESSURE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
_DISK_GONE = frozenset({errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN})

_SQLITE_PRESSURE = frozenset(
    {sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
)
_SQLITE_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNEXPLAINED = sqlite3.SQLITE_IOERR_WRITE
"""Nothing but ENOSPC is a full disk to SQLite; a quota that is used up, or too little memory, looks like a failed disk."""

_PRIMARY = 0xFF
"""SQLite's extended codes have the primary one in their lowest byte."""

DiskError = OSError | sqlite3.Error


class SyncFailed(OSError):
    """An fsync of a file or a directory that failed, for whatever reason: what was written may be lost."""


class Latch:
    """Remembers that a store must not write any more, or, where its index is damaged, must not be believed either."""

    _log = Logger()

    def __init__(self, name: str, try_disk: Callable[[], None] = lambda: None) -> None:
        """Begin in good order; `name` says in the log which store it is.

        `try_disk` writes a little, and raises the `OSError` that the disk gives: SQLite does not say why it could not write.
        """
        self._name = name
        self._try_disk = try_disk
        self._read_only: str | None = None
        self._unusable: str | None = None

    @property
    def is_read_only(self) -> bool:
        """Whether writes are refused."""
        return self._read_only is not None

    def check_read(self) -> None:
        """Raise `Unavailable` where the index is damaged: what it does not know may be there all the same."""
        if self._unusable is not None:
            raise Unavailable(self._unusable)

    def check_write(self) -> None:
        """Raise `StoreReadOnly` where the disk failed."""
        if self._read_only is not None:
            raise StoreReadOnly(self._read_only)

    def judge(self, error: DiskError) -> SOSError:
        """Say what an error means to the caller; latch where nothing can be promised after it."""
        if isinstance(error, sqlite3.Error):
            return self._judge_database(error)
        if isinstance(error, SyncFailed):
            return self._close(
                f"The disk failed to keep what was written ({error.strerror}); restart the server on a sound disk."
            )
        if error.errno in _FULL:
            return StoreFull("The store's disk is full.")
        if error.errno in _DISK_GONE:
            return self._close(f"The store's disk fails ({error.strerror}); restart the server on a sound disk.")
        if error.errno in _PRESSURE:
            return Unavailable(f"The server is short of files or memory ({error.strerror}).")
        return Unavailable(f"The store's files cannot be used ({error.strerror}).")

    def _judge_database(self, error: sqlite3.Error) -> SOSError:
        """Judge by SQLite's code: a full disk is an answer, pressure passes, everything else latches."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_INTERNAL)
        primary = code & _PRIMARY
        if primary == sqlite3.SQLITE_FULL:
            return StoreFull("The store's disk is full.")
        if primary in _SQLITE_PRESSURE or code == sqlite3.SQLITE_IOERR_NOMEM:
            return Unavailable(f"The store's database cannot be used now ({error}).")
        if primary in _SQLITE_CORRUPT:
            self._unusable = (
                f"The store's database is damaged ({error}): restore a backup, or start with an empty directory and let"
                " replication fill it."
            )
            return self._close(self._unusable)
        if code == _UNEXPLAINED:
            try:
                self._try_disk()
            except (
                OSError
            ) as why:  # no promise is lost: what was not written is written again, and synced, by the next commit
                return self.judge(why)
        return self._close(f"The store's database cannot write ({error}); restart the server on a sound disk.")

    def _close(self, why: str) -> StoreReadOnly:
        if self._read_only is None:
            self._read_only = why
            self._log.critical("The store {name} takes no more writes: {why}", name=self._name, why=why)
        return StoreReadOnly(why)
