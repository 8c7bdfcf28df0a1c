"""The place of a backup: a directory that is locked for one process, and says of which store it is the backup.

``backup.json`` comes first and ``store.json`` last, so that a directory with the first name alone is a backup that never
came to its end, and no store. With both it is a store at rest: a blob server can be started on it, or on a copy of it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from sos.store.files import Fs
from sos.store.marker import BACKUP, MARKER, lock, make_directory, names_in, open_directory, some_of, uuid_of_store
from sos.words.errors import StoreRefused

_FORMAT = 1
_MOST = 4096
"""Bytes of a small file that are read; ours have under a hundred."""

_UNFINISHED = ".new"


@frozen
class BackupPlace:
    """A directory that holds the backup of a store, or will."""

    path: Path
    fs: Fs
    is_finished: bool
    """Whether an earlier backup has come to its end here."""

    def finish(self, marker: bytes) -> None:
        """Make the directory a store, once everything else in it is durable."""
        if not self.is_finished:
            _write(self.fs, MARKER, marker)


@contextlib.contextmanager
def place_for(path: Path, uuid: str) -> Iterator[BackupPlace]:
    """Have a directory for the backup of a store; a missing or empty one becomes such a place. Raises `StoreRefused`."""
    with _told(path):
        if not path.exists():
            make_directory(path)
    with _locked(path) as (fs, names):
        if names <= {BACKUP + _UNFINISHED}:
            with _told(path):
                _write(fs, BACKUP, json.dumps({"format": _FORMAT, "uuid": uuid}).encode("ascii") + b"\n")
        elif _uuid_in(path, fs, names) != uuid:
            raise StoreRefused(f"{path} holds the backup of another store; name another directory.")
        yield BackupPlace(path, fs, MARKER in names)


@contextlib.contextmanager
def finished_place(path: Path) -> Iterator[BackupPlace]:
    """Have a directory that holds a finished backup. Raises `StoreRefused`."""
    with _locked(path) as (fs, names):
        uuid = _uuid_in(path, fs, names)
        if MARKER not in names:
            raise StoreRefused(f"{path} is a backup that was never finished: run sos backup again.")
        if uuid_of_store(path) != uuid:
            raise StoreRefused(f"{path / MARKER} belongs to another store than the backup there.")
        yield BackupPlace(path, fs, is_finished=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[tuple[Fs, set[str]]]:
    with _told(path):
        descriptor = open_directory(path)
    try:
        lock(path, descriptor)
        yield Fs(path, descriptor), names_in(descriptor)
    finally:
        os.close(descriptor)


def _uuid_in(path: Path, fs: Fs, names: set[str]) -> object:
    """Say of which store a directory is the backup. Raises `StoreRefused`."""
    if BACKUP not in names:
        if MARKER in names:
            raise StoreRefused(
                f"{path} is a store, and no place for backups (any more, if it was one: a server was started on it)."
            )
        raise StoreRefused(
            f"{path} is no backup: it has {some_of(names) or 'nothing'}. Name a backup or an empty directory."
        )
    try:
        shape = json.loads(read_small(fs, BACKUP))
        found = shape.get("format") if isinstance(shape, dict) else None
    except (ValueError, RecursionError):
        raise StoreRefused(f"{path / BACKUP} cannot be read; back up into an empty directory.") from None
    if found != _FORMAT:
        raise StoreRefused(f"{path} has a backup of format {found!r}, and this program knows {_FORMAT}.")
    return shape.get("uuid")


def read_small(fs: Fs, name: str) -> bytes:
    """Read a marker."""
    descriptor = fs.open(name)
    try:
        return fs.read(descriptor, _MOST)
    finally:
        fs.close(descriptor)


def _write(fs: Fs, name: str, payload: bytes) -> None:
    """Write a marker, durably, whole or not at all."""
    new = name + _UNFINISHED
    fs.unlink(new)
    descriptor = fs.create(new)
    try:
        fs.write(descriptor, payload)
        fs.sync(descriptor)
    finally:
        fs.close(descriptor)
    fs.rename(new, name)
    fs.sync_directory(".")


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system says of a directory into a sentence."""
    try:
        yield
    except OSError as error:
        raise StoreRefused(f"The directory {path} cannot be used: {error.strerror} ({error.filename or path}).") from error
