"""The marker of a store, ``store.json``, and the lock on its directory: what may be used as a store, and by whom.

A store is made in two steps. ``store.json.new`` is written into an empty directory; when all else is there and durable, it
is renamed to ``store.json``. So a directory with the first name only is a beginning in which nothing was ever promised,
and one with the second but without a database is a store that lost it.

A backup of a store has ``backup.json`` beside these, and gets ``store.json`` last of all. Whoever starts on a backup makes
it a store that goes its own way, and no more a place for backups: the first name goes then.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

from attrs import frozen

from sos.store.tree import DIRECTORIES
from sos.words.errors import StoreRefused

FORMAT = 1
"""The layout of a store's directory, in ``store.json``."""

MARKER = "store.json"
UNFINISHED = "store.json.new"
BACKUP = "backup.json"
DATABASE = "sos.db"
DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
"""The last one is there only while a database is made, before it has a WAL."""

_BEGUN = frozenset({UNFINISHED, *DATABASE_FILES, *DIRECTORIES})
_NOT_OURS = frozenset({"lost+found"})
"""Names that an empty file system has."""

_MOST_MARKER = 4096
"""Bytes of a marker that are read; ours has under a hundred."""


@frozen
class Claim:
    """A directory that is locked for this process: the lock lasts as long as `descriptor` is open."""

    path: Path
    descriptor: int
    uuid: str
    is_new: bool

    def finish(self) -> None:
        """Make a new store a store, once everything else in it is durable."""
        if self.is_new:
            os.fsync(self.descriptor)
            os.rename(UNFINISHED, MARKER, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.fsync(self.descriptor)


def claim(path: Path, *, must_exist: bool, make_uuid: Callable[[], str]) -> Claim:
    """Lock a directory and find out which store it is, or that it is to become one. Raises `StoreRefused`."""
    try:
        return _claimed(path, must_exist, make_uuid)
    except OSError as error:
        raise StoreRefused(f"The store {path} cannot be used: {error.strerror} ({error.filename or path}).") from error


def _claimed(path: Path, must_exist: bool, make_uuid: Callable[[], str]) -> Claim:
    if not path.exists():
        _refuse_new(path, must_exist, "does not exist")
        make_directory(path)
    descriptor = open_directory(path)
    try:
        lock(path, descriptor)
        names = names_in(descriptor)
        if MARKER in names:
            uuid = _uuid_in_marker(path, descriptor, names)
            _forget_backup(descriptor, names)
            return Claim(path, descriptor, uuid, is_new=False)
        _refuse_other_things(path, names)
        _refuse_new(path, must_exist, "is empty")
        return Claim(path, descriptor, _begun(descriptor, make_uuid()), is_new=True)
    except BaseException:
        os.close(descriptor)
        raise


def open_directory(path: Path) -> int:
    """Open a directory, to work below it."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def names_in(descriptor: int) -> set[str]:
    """Give the names in an open directory, but for those that an empty file system has."""
    return set(os.listdir(descriptor)) - _NOT_OURS


def make_directory(path: Path) -> None:
    """Make a directory and those above it; each name durable, or a power cut could take the whole store."""
    if not path.parent.exists():
        make_directory(path.parent)
    path.mkdir(mode=0o700)
    parent = open_directory(path.parent)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def lock(path: Path, descriptor: int) -> None:
    """Have a directory for this process alone, as long as the descriptor is open. Raises `StoreRefused`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreRefused(f"The store {path} is in use by another process; one process at a time can have it.") from None


def _refuse_new(path: Path, must_exist: bool, what: str) -> None:
    if must_exist:
        raise StoreRefused(
            f"The store {path} {what}: mount its disk, or start without --must-exist to make a new store there."
        )


def _refuse_other_things(path: Path, names: Collection[str]) -> None:
    if not names or (UNFINISHED in names and _BEGUN.issuperset(names)):
        return
    if BACKUP in names:
        raise StoreRefused(
            f"{path} is a backup that was never finished: run sos backup again, or restore one that was, or start with an"
            " empty directory and let replication fill it."
        )
    raise StoreRefused(
        f"{path} is no store, for it has no {MARKER}, and it is not empty:"
        f" it has {some_of(names)}. Name a store or an empty directory."
    )


def some_of(names: Collection[str]) -> str:
    """Name some of what a directory has."""
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")


def _forget_backup(descriptor: int, names: Collection[str]) -> None:
    """Let a backup be a store from now on: a later backup into it would mix two stores that went their own ways."""
    if BACKUP in names:
        os.unlink(BACKUP, dir_fd=descriptor)
        os.fsync(descriptor)


def uuid_of_store(path: Path) -> str:
    """Say which store a directory is, without locking it. Raises `StoreRefused`."""
    try:
        descriptor = open_directory(path)
        try:
            names = names_in(descriptor)
            if MARKER not in names:
                raise StoreRefused(f"{path} is no store, for it has no {MARKER}.")
            return _uuid_in_marker(path, descriptor, names)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreRefused(f"The store {path} cannot be used: {error.strerror} ({error.filename or path}).") from error


def _begun(descriptor: int, uuid: str) -> str:
    """Write the marker of a store to be, and remove the database of an earlier beginning."""
    for name in {UNFINISHED, *DATABASE_FILES}.intersection(os.listdir(descriptor)):
        os.unlink(name, dir_fd=descriptor)
    shape = json.dumps({"format": FORMAT, "uuid": uuid}).encode("ascii") + b"\n"
    for name, payload in ((UNFINISHED, shape), (DATABASE, b"")):  # SQLite gives its other files the mode of the database
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=descriptor)
        try:
            os.write(file, payload)
            os.fsync(file)
        finally:
            os.close(file)
    return uuid


def _uuid_in_marker(path: Path, descriptor: int, names: Collection[str]) -> str:
    file = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        shape = json.loads(os.read(file, _MOST_MARKER))
    except (ValueError, RecursionError):
        raise StoreRefused(f"{path / MARKER} cannot be read; restore it from a backup of this store.") from None
    finally:
        os.close(file)
    found = shape.get("format") if isinstance(shape, dict) else None
    if found != FORMAT:
        raise StoreRefused(
            f"The store {path} has format {found!r}, and this program knows {FORMAT}: start the one that made it."
        )
    uuid = shape.get("uuid")
    if not isinstance(uuid, str) or not uuid.isascii() or not uuid:
        raise StoreRefused(f"{path / MARKER} names no UUID; restore it from a backup of this store.")
    if DATABASE not in names:
        raise StoreRefused(
            f"The store {path} has lost its database, {DATABASE}: restore a backup, or start with an empty directory and let"
            " replication fill it."
        )
    return uuid
