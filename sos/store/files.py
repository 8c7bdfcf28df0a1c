"""The file system as the store uses it: one small seam, so that a test can let it fail and a simulator can stand in.

All names are relative to the store's directory, which is held open: no path of the machine is walked again, and whoever
renames the directory under a running store does no harm.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
from pathlib import Path

from attrs import frozen

from sos.store.failures import SyncFailed

_UNLIMITED = 2**63 - 1
"""Free inodes of a file system that does not count them (it says that it has none at all)."""

_BUSY_SECONDS = 5.0
"""How long SQLite waits for a lock that some other program holds; the store itself never lets it wait."""


class Kind(enum.Enum):
    """What a name in a directory stands for."""

    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "other"
    """A symbolic link, a pipe, or the like."""


@frozen
class Room:
    """What a disk has, as an unprivileged user sees it."""

    total_bytes: int
    free_bytes: int
    free_inodes: int


class Fs:
    """The files below one directory. Every call blocks; each raises `OSError`."""

    def __init__(self, root: Path, descriptor: int) -> None:
        """Work below `root`, which is open as `descriptor` and stays the caller's to close."""
        self._root = root
        self._descriptor = descriptor

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        """Open a database that is there.

        In one thread at a time, whichever: the caller sees to that. Text comes as bytes, for a damaged row may hold any.
        """
        return self._connected(name, "mode=ro" if read_only else "mode=rw")

    def connect_at_rest(self, name: str) -> sqlite3.Connection:
        """Open a database that nobody writes, for reading: no lock and no other file are made for it."""
        return self._connected(name, "mode=ro&immutable=1")

    def _connected(self, name: str, how: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{(self._root / name).absolute().as_uri()}?{how}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_SECONDS,
        )
        connection.text_factory = bytes
        return connection

    def make_directory(self, name: str) -> None:
        """Make a directory unless it is there."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._descriptor)

    def kinds(self, directory: str) -> dict[str, Kind]:
        """Give the names in a directory, each with what it is; no link is followed."""
        descriptor = self._open_directory(directory)
        try:
            with os.scandir(descriptor) as found:
                return {item.name: _kind_of(item) for item in found}
        finally:
            os.close(descriptor)

    def names(self, directory: str) -> list[str]:
        """Give the names in a directory."""
        descriptor = self._open_directory(directory)
        try:
            return os.listdir(descriptor)  # noqa: PTH208  a path cannot be a descriptor
        finally:
            os.close(descriptor)

    def create(self, name: str) -> int:
        """Make a file that is not there yet, and open it for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self._descriptor)

    def write(self, descriptor: int, payload: bytes) -> None:
        """Write all of it: a disk that is nearly full takes a part first, and only then says so."""
        view = memoryview(payload)
        while view:
            view = view[os.write(descriptor, view) :]

    def open(self, name: str) -> int:
        """Open a file for reading, a symbolic link never; a pipe in its place does not make it wait."""
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._descriptor)

    def size(self, descriptor: int) -> int:
        """Give the length of an open file."""
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, size: int) -> bytes:
        """Read the next bytes of an open file, none at its end."""
        return os.read(descriptor, size)

    def forget(self, descriptor: int) -> None:
        """Let the system forget what it remembers of an open file: its next bytes come from the disk.

        What the disk does not have yet is not forgotten; the system begins to write it, and nobody waits for that.
        """
        with contextlib.suppress(OSError):  # it is a wish, which not every file can grant
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def sync(self, descriptor: int) -> None:
        """Make the bytes of an open file durable. Raises `SyncFailed`."""
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise SyncFailed(error.errno, error.strerror) from error

    def sync_directory(self, name: str) -> None:
        """Make the names in a directory durable. Raises `SyncFailed`."""
        descriptor = self._open_directory(name)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def link_from(self, other: Fs, name: str) -> None:
        """Give a file below another root the same name here, too: one file with two names, on one file system."""
        os.link(name, name, src_dir_fd=other._descriptor, dst_dir_fd=self._descriptor, follow_symlinks=False)

    def look_at(self, name: str) -> os.stat_result:
        """Say what there is under a name; a symbolic link is not followed."""
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    def set_modified(self, descriptor: int, nanoseconds: int) -> None:
        """Say when an open file was written."""
        os.utime(descriptor, ns=(nanoseconds, nanoseconds))

    def unlink(self, name: str) -> None:
        """Remove a file; one that is gone already is as good."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def room(self) -> Room:
        """Ask how much the disk has left."""
        disk = os.fstatvfs(self._descriptor)
        return Room(
            total_bytes=disk.f_blocks * disk.f_frsize,
            free_bytes=disk.f_bavail * disk.f_frsize,
            free_inodes=disk.f_favail if disk.f_files else _UNLIMITED,
        )

    def _open_directory(self, name: str) -> int:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)


def _kind_of(item: os.DirEntry[str]) -> Kind:
    if item.is_file(follow_symlinks=False):
        return Kind.FILE
    return Kind.DIRECTORY if item.is_dir(follow_symlinks=False) else Kind.OTHER
