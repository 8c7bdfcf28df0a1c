"""What a killed process left: the store is opened as a start does it, closed, and then looked at behind its back.

Everything is read again: rows, bytes, digests, counts and files (torture I1, I3, I4, I24, I25, I26, D12).
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

from sos.decisions.buckets import unequal
from sos.store.books import counted
from sos.store.opening import open_disk_store
from sos.store.rows import Row
from sos.words.blob import Entry
from tests.support import immediately, success_of
from tests.torture.at_rest import digests_of, file_of, kept_digests, sound_rows
from tests.torture.ledger import TOMBSTONE, Held, Ledger

LABEL = b"x-label"
"""The metadata by which writes of the same bytes are told apart."""


@define
class Remains:
    """What a store holds, and what is wrong with it."""

    held: dict[str, Held] = field(factory=dict)
    wrong: list[str] = field(factory=list)
    orphans: int = 0


def recover(store: Path) -> None:
    """Open a store as a start does, and close it."""
    opened = open_disk_store(store, in_thread=immediately, commit_in_thread=immediately, wall=time.time, must_exist=True)
    success_of(opened.close())


def remains_of(store: Path, ledger: Ledger) -> Remains:
    """Recover a store whose process is dead, look at all of it, and hold it against what clients were told."""
    recover(store)
    found = Remains()
    with contextlib.closing(sqlite3.connect(f"{(store / 'sos.db').as_uri()}?mode=ro", uri=True)) as database:
        rows, found.wrong = sound_rows(store, database)
        found.held = {row.entry.id: _held(row.entry) for row in rows}
        found.wrong += _books_that_are_wrong(database, rows)
        ((highest,),) = database.execute("SELECT value FROM meta WHERE name = 'highest'")
    if highest < ledger.newest:
        found.wrong.append(f"the clock fell back to {highest}, and {ledger.newest} was heard of")
    found.wrong += [f"{path.name} is left in staging" for path in (store / "staging").iterdir()]
    found.wrong += [f"{path.name} is in quarantine" for path in (store / "quarantine").iterdir()]
    found.wrong += _files_that_are_wrong(store, rows, ledger, found)
    for name in sorted(ledger.names | set(found.held)):
        if not ledger.is_allowed(name, found.held.get(name)):
            found.wrong.append(
                f"{name}: promised {ledger.acknowledged.get(name)}, asked for {ledger.unanswered.get(name)},"
                f" found {found.held.get(name)}"
            )
    return found


def _held(entry: Entry) -> Held:
    return Held(entry.sha256, entry.metadata.value(LABEL) or b"") if entry.is_live else TOMBSTONE


def _books_that_are_wrong(database: sqlite3.Connection, rows: list[Row]) -> Iterator[str]:
    """Make digests and counts anew from the rows, and compare (I25, D12)."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(dict(counted(row.entry)))
    for bucket in unequal(kept_digests(database), digests_of(rows)):
        yield f"the digest of bucket {bucket} is not that of its rows"
    for name, value in database.execute("SELECT name, value FROM counts"):
        if counts[str(name, "ascii")] != value:
            yield f"{value} are counted as {str(name, 'ascii')}, and there are {counts[str(name, 'ascii')]}"
    if [line for (line,) in database.execute("PRAGMA integrity_check")] != [b"ok"]:
        yield "SQLite finds its database damaged"


def _files_that_are_wrong(store: Path, rows: list[Row], ledger: Ledger, found: Remains) -> Iterator[str]:
    """Count the files that no row names; under its own name even such a one has all of its bytes (I3)."""
    named = {file_of(store, row.entry.id, row.file) for row in rows if row.file is not None}
    for path in (store / "blobs").rglob("*.*"):
        if path not in named:
            found.orphans += 1
            if hashlib.sha256(path.read_bytes()).digest() != ledger.bytes_of.get(path.name.partition(".")[0]):
                yield f"{path.name} was given its name before its bytes were durable"
