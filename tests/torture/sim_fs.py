"""A file system that remembers what was asked of it, and what of that a disk may hold after a crash (torture D9).

What is on the disk: bytes up to the last fsync of their file, and names up to the last fsync of their directory. Of later
bytes any 4 KiB, or none, or zeros; of later names any. The database is taken for what SQLite promises: commits, whole and in
order.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random
from typing import Any, cast

from attrs import define, frozen

from sos.store.files import Fs

_BLOCK = 4096


@frozen
class Written:
    """Bytes at the end of a file."""

    file: int
    payload: bytes


@frozen
class Synced:
    """A file whose bytes are durable, or a directory whose names are."""

    what: int | str


@frozen
class Named:
    """A name that was given to a file, to a directory (-1), or to nothing any more (None)."""

    path: str
    file: int | None

    @property
    def directory(self) -> str:
        """Where the name is kept."""
        return self.path.rpartition("/")[0] or "."


@frozen
class Committed:
    """The database as it is after a commit."""

    database: bytes


Event = Written | Synced | Named | Committed | Any


@define
class Crash:
    """What was asked of a disk until a moment, and how a disk could have dealt with it."""

    events: list[Event]
    chance: Random

    def leave(self, directory: Path) -> None:
        """Make a directory of what is left, below one that has the rest of the store."""
        database = [event.database for event in self.events if isinstance(event, Committed)][-1]
        (directory / "sos.db").write_bytes(database)
        names: dict[str, int] = {}
        for place, event in enumerate(self.events):
            if isinstance(event, Named) and (self._is_durable(event.directory, place) or self._is_lucky()):
                if event.file is None:
                    names.pop(event.path, None)
                elif event.directory in (".", "blobs", "staging") or event.directory in names:
                    names[event.path] = event.file
        for path, file in names.items():
            if file < 0:
                (directory / path).mkdir(exist_ok=True)
            elif (directory / path).parent.is_dir():
                (directory / path).write_bytes(self._bytes_of(file))

    def _is_durable(self, what: int | str, place: int) -> bool:
        return any(isinstance(later, Synced) and later.what == what for later in self.events[place:])

    def _is_lucky(self) -> bool:
        return self.chance.random() < 0.5

    def _bytes_of(self, file: int) -> bytes:
        payload = b""
        for place, event in enumerate(self.events):
            if isinstance(event, Written) and event.file == file:
                payload += event.payload if self._is_durable(file, place) else self._torn(event.payload)
        return payload

    def _torn(self, payload: bytes) -> bytes:
        fate = self.chance.randrange(4)
        if fate == 0:
            return b""
        if fate == 1:
            return bytes(len(payload))
        blocks = [payload[start : start + _BLOCK] for start in range(0, len(payload), _BLOCK)]
        return b"".join([block if fate == 2 or self._is_lucky() else bytes(len(block)) for block in blocks])


class SimFs(Fs):
    """Real files, so that the store works; every change is written down as well."""

    def __init__(self, root: Path, descriptor: int, events: list[Event]) -> None:
        super().__init__(root, descriptor)
        self.events = events
        self._files: dict[str, int] = {}
        self._open: dict[int, int] = {}

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        """Open a database whose commits are kept."""
        connection = super().connect(name, read_only=read_only)
        return connection if read_only else cast(sqlite3.Connection, _Keeping(connection, self.events))

    def make_directory(self, name: str) -> None:
        """Give a directory its name."""
        super().make_directory(name)
        self.events.append(Named(name, -1))

    def create(self, name: str) -> int:
        """Give a new file its name."""
        descriptor = super().create(name)
        self._files[name] = self._open[descriptor] = len(self.events)
        self.events.append(Named(name, self._files[name]))
        return descriptor

    def write(self, descriptor: int, payload: bytes) -> None:
        """Write."""
        super().write(descriptor, payload)
        self.events.append(Written(self._open[descriptor], bytes(payload)))

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes durable; those of a directory are its names, and come by another way."""
        super().sync(descriptor)
        if descriptor in self._open:
            self.events.append(Synced(self._open[descriptor]))

    def close(self, descriptor: int) -> None:
        """Close."""
        super().close(descriptor)
        self._open.pop(descriptor, None)

    def sync_directory(self, name: str) -> None:
        """Make a directory's names durable."""
        super().sync_directory(name)
        self.events.append(Synced(name))

    def rename(self, old: str, new: str) -> None:
        """Give a file a new name, and take the old one."""
        super().rename(old, new)
        self._files[new] = self._files.pop(old)
        self.events += [Named(new, self._files[new]), Named(old, None)]

    def unlink(self, name: str) -> None:
        """Take a name."""
        super().unlink(name)
        self._files.pop(name, None)
        self.events.append(Named(name, None))


class _Keeping:
    def __init__(self, connection: sqlite3.Connection, events: list[Event]) -> None:
        self._connection = connection
        self._events = events

    def execute(self, statement: str, *arguments: Any) -> Any:
        """Execute, and keep what a commit made."""
        result = self._connection.execute(statement, *arguments)
        if statement == "COMMIT":
            self._events.append(Committed(self._connection.serialize()))
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
