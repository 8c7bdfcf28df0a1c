"""A file system and a database that fail on demand, and stores opened on them."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any, cast

from sos.store.disk import DiskStore
from sos.store.failures import SyncFailed
from sos.store.files import Fs, Room
from sos.store.opening import open_disk_store
from sos.store.room import Reserve
from sos.words.blob import BlobID
from sos.words.interfaces import InThread
from tests.support import immediately

NOW = 1_700_000_000.0
ROOMY = Room(total_bytes=10**12, free_bytes=10**11, free_inodes=10**6)


def wall() -> float:
    """Stand still."""
    return NOW


def database_error(code: int, text: str) -> sqlite3.OperationalError:
    """Make an error as SQLite makes it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


class FaultyFs(Fs):
    """Real files, but the calls named in `failing` fail with that errno, and all that is done to the files in `bad`.

    `space` stands in for the disk's room.
    """

    def __init__(self, root: Path, descriptor: int) -> None:
        super().__init__(root, descriptor)
        self.failing: dict[str, int] = {}
        self.bad: set[str] = set()
        self.statements: dict[str, sqlite3.Error] = {}
        self.calls: list[tuple[str, ...]] = []
        self.space = ROOMY

    def _meet(self, call: str, *names: str) -> None:
        self.calls.append((call, *names))
        number = self.failing.get(call, None if self.bad.isdisjoint(names) else errno.EIO)
        if number is not None:
            kind = SyncFailed if call.startswith("sync") else OSError
            raise kind(number, os.strerror(number))

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        """Open a database whose statements fail on demand."""
        return cast(sqlite3.Connection, FaultyConnection(super().connect(name, read_only=read_only), self))

    def create(self, name: str) -> int:
        """Fail, or go on."""
        self._meet("create", name)
        return super().create(name)

    def write(self, descriptor: int, payload: bytes) -> None:
        """Fail after a part, as a full disk does, or go on."""
        if "write" in self.failing:
            super().write(descriptor, payload[: len(payload) // 2])
        self._meet("write")
        super().write(descriptor, payload)

    def open(self, name: str) -> int:
        """Fail, or go on."""
        self._meet("open", name)
        return super().open(name)

    def size(self, descriptor: int) -> int:
        """Fail, or go on."""
        self._meet("size")
        return super().size(descriptor)

    def sync(self, descriptor: int) -> None:
        """Fail, or go on."""
        self._meet("sync", Path(f"/proc/self/fd/{descriptor}").readlink().parent.name)
        super().sync(descriptor)

    def forget(self, descriptor: int) -> None:
        """Go on: it is a wish, and never fails."""
        self.calls.append(("forget",))
        super().forget(descriptor)

    def sync_directory(self, name: str) -> None:
        """Fail, or go on."""
        self._meet("sync_directory", name)
        super().sync_directory(name)

    def rename(self, old: str, new: str) -> None:
        """Fail, or go on."""
        self._meet("rename", old, new)
        super().rename(old, new)

    def unlink(self, name: str) -> None:
        """Fail, or go on."""
        self._meet("unlink", name)
        super().unlink(name)

    def room(self) -> Room:
        """Give what the test says."""
        self._meet("room")
        return self.space


class FaultyConnection:
    """A connection on which statements that begin with a given text fail; all that it executes is written down."""

    def __init__(self, connection: sqlite3.Connection, fs: FaultyFs) -> None:
        self._connection = connection
        self._fs = fs

    def execute(self, statement: str, *arguments: Any) -> Any:
        """Fail, or go on."""
        text = statement.strip()
        self._fs.calls.append(("execute", text))
        for beginning, error in self._fs.statements.items():
            if text.startswith(beginning):
                raise error
        return self._connection.execute(statement, *arguments)

    def cursor(self) -> FaultyConnection:
        """Stand for a cursor as well: what it executes fails, or goes on, in the same way."""
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Bench:
    """A store in a directory, with the file system that it was opened on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.fs: FaultyFs

    def open(self, *, in_thread: InThread = immediately, commit_in_thread: InThread = immediately, **more: Any) -> DiskStore:
        """Open the store, for the first time or again."""
        more.setdefault("reserve", Reserve(percent=0, least=1000))
        return open_disk_store(
            self.path,
            in_thread=in_thread,
            commit_in_thread=commit_in_thread,
            wall=lambda: self.now,
            make_fs=self._fs_for,
            **more,
        )

    def _fs_for(self, root: Path, descriptor: int) -> FaultyFs:
        self.fs = FaultyFs(root, descriptor)
        return self.fs

    def files(self, directory: str) -> list[Path]:
        """Give all files below one of the store's directories."""
        return sorted(path for path in (self.path / directory).rglob("*") if not path.is_dir())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database behind the store's back, or change it."""
        connection = sqlite3.connect(self.path / "sos.db", isolation_level=None)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def damage(self, blob_id: BlobID) -> None:
        """Change the bytes of a blob, but not their number, behind the store's back."""
        for file in (self.path / "blobs").rglob(f"{blob_id}.*"):
            file.write_bytes(bytes(file.stat().st_size))
        self.rows(
            "UPDATE small SET payload = zeroblob(length(payload))"
            f" WHERE number = (SELECT number FROM entries WHERE id = '{blob_id}')"
        )

    def break_fsync(self) -> None:
        """Let every fsync of files fail from now on."""
        self.fs.failing["sync"] = errno.EIO
