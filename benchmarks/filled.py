"""Stores with many blobs in them, made quickly: their rows are written as the store writes them, and synced once at the end.

Through the store's own calls a million blobs would take minutes: each has a stage, a Deferred and a share of a commit.
Here the same functions make the rows, the digests and the counts; tests see that the scrub finds nothing wrong with them,
and that a store which took the same blobs by its own calls is equal.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from sos.decisions.buckets import EMPTY, bucket_of, changed
from sos.store.marker import DATABASE, MARKER
from sos.store.opening import open_disk_store
from sos.store.recent import MOST_BYTES
from sos.store.rows import COLUMNS, values_of
from sos.words.blob import BlobID, Entry, Version

T = TypeVar("T")

SIZE = 4096
"""Bytes of a blob, unless a row asks for others."""

_NOT_KEPT = 2 * MOST_BYTES // SIZE
"""Blobs to be asked for in turn, so that none is still in the memory of a store when it is asked for again."""

_A_TIME = 1000
"""Rows written at a time, so that entries and their bytes alternate in the file as they do after many commits."""

_CACHE_KIBIBYTES = 1 << 20
"""Pages kept meanwhile: IDs come in no order, so that each row changes two pages of indexes anywhere."""

_FIRST_VERSION = 1 << 40
"""Any number: versions count up from here, so that two stores that were filled alike are equal."""

_ENTRY = f"INSERT INTO entries (number, id, bucket, {', '.join(COLUMNS)}) VALUES (?, ?, ?{', ?' * len(COLUMNS)})"


class HeldBack:
    """Runs calls when it is told to, so that those that wait for one commit can be many; an `InThread`."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Hold a call back."""
        result: Deferred[T] = Deferred()
        self._waiting.append(lambda: result.callback(call(*arguments)))
        return result

    def run(self) -> None:
        """Run what waits, and what comes to wait because of it."""
        while self._waiting:
            self._waiting.pop(0)()


async def at_once(call: Callable[..., T], *arguments: Any) -> T:
    """Run a call right here: an `InThread` for what need not wait."""
    return call(*arguments)


def payload_of(number: int, size: int = SIZE) -> bytes:
    """Give the bytes of a blob, unlike those of all others."""
    return hashlib.sha256(b"%d" % number).digest() * (size // 32)


def name_of(number: int, size: int = SIZE) -> BlobID:
    """Give the name of a blob: the digest of its bytes, so that an api finds it, and verifies it."""
    return BlobID(hashlib.sha1(payload_of(number, size)).hexdigest())


def numbers_in_turn(count: int) -> list[int]:
    """Pick some of so many blobs, the same each time: so many that a store that is asked for them in turn keeps none."""
    return random.Random(1).sample(range(count), _NOT_KEPT)


def fill(path: Path, count: int, size: int = SIZE) -> None:
    """Make a store with so many blobs of so many bytes."""
    _make_empty(path)
    digests: defaultdict[int, bytes] = defaultdict(lambda: EMPTY)
    with _fast_connection(path) as connection:
        for start in range(0, count, _A_TIME):
            payloads = [(number + 1, payload_of(number, size)) for number in range(start, min(start + _A_TIME, count))]
            connection.executemany(_ENTRY, _rows(payloads, digests))
            connection.executemany("INSERT INTO small VALUES (?, ?)", payloads)
        connection.executemany("INSERT INTO digests VALUES (?, ?)", digests.items())
        counts = [(count, "live"), (count * size, "size")]
        connection.executemany("UPDATE counts SET value = ? WHERE name = ?", counts)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'highest'", (_FIRST_VERSION + count,))
    _sync(path)


def copy(original: Path, path: Path) -> None:
    """Make another store of a filled one that nobody has open: it holds the same, and has a UUID of its own."""
    assert not (original / f"{DATABASE}-wal").exists(), "somebody has the store open"
    shutil.copytree(original, path)
    own = str(uuid.uuid4())
    marker = json.loads((path / MARKER).read_bytes())
    (path / MARKER).write_text(json.dumps({**marker, "uuid": own}))
    connection = sqlite3.connect(path / DATABASE)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'uuid'", (own,))
    connection.commit()
    connection.close()
    _sync(path)


def _make_empty(path: Path) -> None:
    """Have the store itself make its tables."""
    committing = HeldBack()
    store = open_disk_store(path, in_thread=at_once, commit_in_thread=committing, wall=time.time)

    async def close() -> None:
        await store.close()

    closing = Deferred.fromCoroutine(close())
    committing.run()
    assert closing.called, "it waits for a commit that nobody runs"


@contextmanager
def _fast_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Write a database in one transaction that neither a crash nor an error may interrupt; then it has a WAL again."""
    connection = sqlite3.connect(path / DATABASE, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIBIBYTES}"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("BEGIN")
    yield connection
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _rows(payloads: Iterable[tuple[int, bytes]], digests: defaultdict[int, bytes]) -> Iterator[tuple[Any, ...]]:
    """Give the rows of entries, and note them in the digests of their buckets."""
    arrived = int(time.time())
    for row, payload in payloads:
        entry = Entry(
            id=BlobID(hashlib.sha1(payload).hexdigest()),
            version=Version(_FIRST_VERSION + row),
            size=len(payload),
            sha256=hashlib.sha256(payload).digest(),
        )
        bucket = bucket_of(entry.id)
        digests[bucket] = changed(digests[bucket], entry)
        yield (row, entry.id, bucket, *values_of(entry, arrived, None))


def _sync(path: Path) -> None:
    """Have it on the disk now, and not while something is measured."""
    descriptor = os.open(path / DATABASE, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
