"""A store whose process has ended: its rows, their bytes and its digests, read behind the back of sos (I24, I25)."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import define, evolve, field

from sos.decisions.buckets import BUCKETS, EMPTY, bucket_of, changed, takes_part
from sos.store.rows import COLUMNS, Row, row_of
from sos.words.blob import BlobID, Entry
from sos.words.errors import BlobDamaged

_ROWS = f"""
    SELECT e.id, e.number, s.payload, {", ".join("e." + column for column in COLUMNS)}
    FROM entries AS e LEFT JOIN small AS s ON s.number = e.number
"""


@define
class AtRest:
    """What a store holds, and what is wrong with it."""

    entries: set[Entry] = field(factory=set)
    """Those that members of a group have in common; where a store keeps the bytes has no part in it."""
    wrong: list[str] = field(factory=list)


def read_at_rest(store: Path) -> AtRest:
    """Read all of a store that nobody has open."""
    found = AtRest()
    with _database(store) as database:
        rows, wrong = sound_rows(store, database)
        found.wrong = [f"I24: {fault}" for fault in wrong]
        if kept_digests(database) != digests_of(rows):
            found.wrong.append("I25: the digests are not those of the rows")
    found.wrong += _oddities(store, rows)
    found.entries = {evolve(row.entry, is_stray=False, is_damaged=False) for row in rows}
    return found


def sound_rows(store: Path, database: sqlite3.Connection) -> tuple[list[Row], list[str]]:
    """Give the rows that can be trusted, and a sentence for each that cannot, or whose bytes are not as it says."""
    database.text_factory = bytes
    rows, wrong = [], []
    for raw_id, number, payload, *values in database.execute(_ROWS):
        name = str(raw_id, "ascii")
        try:
            row = row_of(BlobID(name), number, tuple(values), payload)
        except BlobDamaged:
            wrong.append(f"{name}: the row is damaged")
            continue
        if fault := _fault_of(store, row):
            wrong.append(f"{name}: {fault}")
        rows.append(row)
    return rows, wrong


def kept_digests(database: sqlite3.Connection) -> list[bytes]:
    """Give the digests of all buckets as the database has them."""
    digests = [EMPTY] * BUCKETS
    for bucket, digest in database.execute("SELECT bucket, digest FROM digests"):
        digests[bucket] = digest
    return digests


def digests_of(rows: Iterable[Row]) -> list[bytes]:
    """Make the digests of all buckets anew."""
    digests = [EMPTY] * BUCKETS
    for row in rows:
        if takes_part(row.entry):
            bucket = bucket_of(row.entry.id)
            digests[bucket] = changed(digests[bucket], row.entry)
    return digests


def file_of(store: Path, name: str, serial: int) -> Path:
    """Give the file of a large blob."""
    digest = hashlib.sha256(name.encode("ascii")).hexdigest()
    return store / "blobs" / digest[:2] / digest[2:4] / f"{name}.{serial}"


@contextlib.contextmanager
def _database(store: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy: SQLite finds no way to a disk that is mounted elsewhere, and the original stays as it was."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(shutil.copy(store / "sos.db", directory))
        with contextlib.closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as database:
            yield database


def _fault_of(store: Path, row: Row) -> str:
    """Say what is wrong between a row and its bytes."""
    entry = row.entry
    if not entry.is_live:
        return "" if row.payload is None and row.file is None else "a tombstone has bytes"
    if (row.payload is None) == (row.file is None):
        return "a live row has no bytes, or has them twice"
    payload = row.payload
    if row.file is not None:
        try:
            payload = file_of(store, entry.id, row.file).read_bytes()
        except FileNotFoundError:
            return "its file is gone"
    assert payload is not None
    is_right = len(payload) == entry.size and hashlib.sha256(payload).digest() == entry.sha256
    return "" if is_right else f"it has {len(payload)} bytes that are not its own"


def _oddities(store: Path, rows: list[Row]) -> Iterator[str]:
    """Say what two rounds should have left nothing of."""
    yield from (f"I14: {row.entry.id[:12]} is still damaged" for row in rows if row.entry.is_damaged)
    yield from (f"I11: {row.entry.id[:12]} is still a stray" for row in rows if row.entry.is_stray)
    yield from (f"I18: {path.name} is left in staging" for path in (store / "staging").iterdir())
