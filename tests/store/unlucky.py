"""A file system and a database of which one call fails, once or from then on: each call of a script has its turn."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from attrs import define, field, frozen

from sos.store.failures import SyncFailed
from sos.store.files import Fs
from tests.store.faults import database_error

FILE_CALLS = (
    "make_directory",
    "names",
    "create",
    "write",
    "open",
    "size",
    "read",
    "close",
    "sync",
    "sync_directory",
    "rename",
    "unlink",
    "room",
)
"""All that a store asks of its file system, beside its database."""

STATEMENT = "statement"
COMMITTED = "committed"
"""A COMMIT that is carried out and fails all the same: its fsync did, and the pages are in the WAL."""


@frozen
class Misfortune:
    """The `turn`-th call of one kind fails, and all later ones too where it is `for_good`; an SQLite code or an errno."""

    kind: str
    turn: int
    code: int
    for_good: bool

    @property
    def error(self) -> Exception:
        """Make the error that the call fails with."""
        if self.kind in (STATEMENT, COMMITTED):
            return database_error(self.code, "it is the turn of this statement")
        kind = SyncFailed if self.kind == "sync" else OSError
        return kind(self.code, os.strerror(self.code))


NONE = Misfortune("", 0, 0, False)


@define
class Luck:
    """Counts the calls of each kind, and lets the one fail whose turn it is."""

    misfortune: Misfortune = NONE
    seen: Counter[str] = field(factory=Counter)
    struck: int = 0

    def meet(self, kind: str) -> None:
        """Count a call. Raises the misfortune's error."""
        self.seen[kind] += 1
        fate = self.misfortune
        turn = self.seen[kind]
        if kind == fate.kind and (turn == fate.turn or (fate.for_good and turn > fate.turn)):
            self.struck += 1
            raise fate.error


class UnluckyFs(Fs):
    """Real files; a call fails when it is its turn."""

    def __init__(self, root: Path, descriptor: int, luck: Luck) -> None:
        super().__init__(root, descriptor)
        self.luck = luck

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        """Open a database of which a statement fails."""
        return cast(sqlite3.Connection, _UnluckyConnection(super().connect(name, read_only=read_only), self.luck))

    def write(self, descriptor: int, payload: bytes) -> None:
        """Fail after a part, as a full disk does, or go on."""
        try:
            self.luck.meet("write")
        except OSError:
            super().write(descriptor, payload[: len(payload) // 2])
            raise
        super().write(descriptor, payload)

    def close(self, descriptor: int) -> None:
        """Close the file, whatever is said of it."""
        super().close(descriptor)
        self.luck.meet("close")


def _unlucky(kind: str) -> Callable[..., Any]:
    really = getattr(Fs, kind)

    def call(self: UnluckyFs, *arguments: Any) -> Any:
        self.luck.meet(kind)
        return really(self, *arguments)

    return call


for _kind in set(FILE_CALLS) - {"write", "close"}:
    setattr(UnluckyFs, _kind, _unlucky(_kind))


class _UnluckyConnection:
    def __init__(self, connection: sqlite3.Connection, luck: Luck) -> None:
        self._connection = connection
        self._luck = luck

    def execute(self, statement: str, *arguments: Any) -> Any:
        """Fail, or go on."""
        return self._done(self._connection.execute, statement, *arguments)

    def executemany(self, statement: str, *arguments: Any) -> Any:
        """Fail, or go on."""
        return self._done(self._connection.executemany, statement, *arguments)

    def _done(self, call: Callable[..., Any], statement: str, *arguments: Any) -> Any:
        if statement != "ROLLBACK":  # what undoes is left alone: SQLite has undone it by itself where it cannot
            self._luck.meet(STATEMENT)
        result = call(statement, *arguments)
        if statement == "COMMIT":
            self._luck.meet(COMMITTED)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
