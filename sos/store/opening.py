"""Opening a store: from a directory, new or left behind by a process that may have been killed, to one that serves.

In constant time: staging and the unlink table are worked off, the tree is not walked. What else lies in it without a row
is the scrub's to remove.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from sos.store import schema
from sos.store.ages import DEFAULT_EXPIRY_GRACE, DEFAULT_SWEEP_AGE, DEFAULT_TOMBSTONE_AGE, Ages
from sos.store.disk import DiskStore
from sos.store.failures import Latch
from sos.store.files import Fs
from sos.store.index import Index
from sos.store.listing import Listing
from sos.store.marker import DATABASE, Claim, claim
from sos.store.parts import Parts
from sos.store.reader import Reader
from sos.store.recent import Recent
from sos.store.replica import dropped, standing
from sos.store.room import Admission, Reserve
from sos.store.scrub import NOTE, ScrubParts
from sos.store.staging import Workshop
from sos.store.tree import DIRECTORIES, STAGING, Serials, Tree
from sos.store.warming import Warming, usable_memory
from sos.words.blob import Version
from sos.words.errors import StoreRefused
from sos.words.interfaces import InThread
from sos.words.versions import HybridClock

DEFAULT_RESERVE = Reserve()


@frozen
class _Threads:
    """What calls that block run in: see `open_disk_store`."""

    pool: InThread
    committing: InThread
    scrubbing: InThread
    reading: InThread


def _random_uuid() -> str:
    return str(uuid.uuid4())


def open_disk_store(
    path: Path,
    *,
    in_thread: InThread,
    commit_in_thread: InThread,
    wall: Callable[[], float],
    reserve: Reserve = DEFAULT_RESERVE,
    must_exist: bool = False,
    tombstone_age: float = DEFAULT_TOMBSTONE_AGE,
    expiry_grace: float = DEFAULT_EXPIRY_GRACE,
    sweep_age: float = DEFAULT_SWEEP_AGE,
    clock: IReactorTime | None = None,
    make_uuid: Callable[[], str] = _random_uuid,
    make_fs: Callable[[Path, int], Fs] = Fs,
    scrub_in_thread: InThread | None = None,
    read_in_thread: InThread | None = None,
    memory: int | None = None,
) -> DiskStore:
    """Open the store in a directory, or make one in a missing or empty one. Raises `StoreRefused`.

    It blocks, and is called before anything listens, in the thread that will read the index: the reactor's.

    `in_thread` runs calls in a pool of a few threads, `commit_in_thread` runs them in one thread that does nothing else.
    `scrub_in_thread` runs what the scrub reads, and `read_in_thread` reads of blobs, where the database is larger than half
    the bytes of `memory` (of this machine, unless told): others need not wait for either then. In the pool unless they are
    given. All must take calls until `close` has given its result. `wall` gives unix seconds, and `make_fs` is what tests
    replace.

    Tombstones may be dropped `tombstone_age` seconds after they were taken, and expired blobs turn into tombstones
    `expiry_grace` seconds later; chunks that no manifest names may go after `sweep_age` seconds. All by this store's own
    clock; where `clock` counts seconds, a wall clock that is set ahead meanwhile makes nothing old. By it whoever reads much
    waits, too, while others have their turn; without one he does not.
    """
    claimed = claim(path, must_exist=must_exist, make_uuid=make_uuid)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, claimed.descriptor)
        fs = make_fs(path, claimed.descriptor)
        ages = Ages(wall, tombstone_age, expiry_grace, sweep_age, None if clock is None else clock.seconds)
        threads = _Threads(in_thread, commit_in_thread, scrub_in_thread or in_thread, read_in_thread or in_thread)
        with _refusing(path):
            store = _opened(claimed, fs, reserve, threads, ages, clock, usable_memory() if memory is None else memory, undo)
        undo.pop_all()
    return store


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Say in one sentence what it means that the disk or the database fails here. Raises `StoreRefused`."""
    try:
        yield
    except OSError as error:
        raise StoreRefused(f"The store {path} cannot be used: {error.strerror} ({error.filename or path}).") from error
    except sqlite3.Error as error:
        raise StoreRefused(
            f"The database of the store {path} cannot be used ({error}): restore a backup, or start with an empty"
            " directory and let replication fill it."
        ) from error


def _opened(
    claimed: Claim,
    fs: Fs,
    reserve: Reserve,
    threads: _Threads,
    ages: Ages,
    clock: IReactorTime | None,
    memory: int,
    undo: contextlib.ExitStack,
) -> DiskStore:
    """Recover what was left behind, and put the store together; what it opens is closed by `undo` where that fails."""
    _lay_out(fs)
    tree = Tree(fs)
    latch = Latch(str(claimed.path), tree.try_disk)
    index = _recovered(_connected(fs, undo), tree, claimed)
    opening, highest = index.open()
    index.unlink_dropped()
    reader, listing, scrubbing = _readers(fs, undo)
    warming = Warming(lambda: fs.connect(DATABASE, read_only=True), threads.reading, reader.all_bytes, memory)
    claimed.finish()
    admission = Admission(fs, reserve, reader.free_bytes, lambda: index.wal_bytes)
    return DiskStore(
        Parts(
            claim=claimed,
            workshop=Workshop(fs, tree, admission, Serials(opening), latch, threads.pool),
            index=index,
            reader=reader,
            recent=Recent(lambda: index.commits),
            listing=listing,
            warming=warming,
            commit_in_thread=threads.committing,
            clock=HybridClock(ages.wall, Version(highest)),
            ages=ages,
            standing=standing(index),
            dropped=dropped(index),
            scrub=ScrubParts(scrubbing, opening, threads.scrubbing, index.meta(NOTE)),
            release=lambda: _release(claimed, index, (reader, listing, scrubbing, warming), latch),
            waiting=clock,
        )
    )


def _readers(fs: Fs, undo: contextlib.ExitStack) -> tuple[Reader, Listing, sqlite3.Connection]:
    """Open the database for those who read it, each through a connection of its own; the last is the scrub's."""
    scrubbing = _connected(fs, undo, read_only=True)
    schema.set_up_reading(scrubbing)
    return Reader(_connected(fs, undo, read_only=True)), Listing(_connected(fs, undo, read_only=True)), scrubbing


def _connected(fs: Fs, undo: contextlib.ExitStack, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the database, once more; where the opening of the store fails, this is closed again."""
    connection = fs.connect(DATABASE, read_only=read_only)
    undo.callback(connection.close)
    return connection


def _lay_out(fs: Fs) -> None:
    """Make the directories where they are missing, and empty staging: nothing in it was promised to anybody."""
    for directory in DIRECTORIES:
        fs.make_directory(directory)
    fs.sync_directory(".")
    for name in fs.names(STAGING):
        with contextlib.suppress(IsADirectoryError):  # nothing of ours
            fs.unlink(f"{STAGING}/{name}")


def _recovered(connection: sqlite3.Connection, tree: Tree, claimed: Claim) -> Index:
    """Make the tables of a new store, or see that the database is this store's. Raises `StoreRefused`."""
    if claimed.is_new:
        schema.create(connection, claimed.uuid)
    found = schema.user_version(connection)
    if found != schema.USER_VERSION:
        raise StoreRefused(
            f"The database of the store {claimed.path} has layout {found}, and this program knows {schema.USER_VERSION}:"
            " start the one that made it."
        )
    if schema.uuid_of(connection) != claimed.uuid:
        raise StoreRefused(f"The database in {claimed.path} belongs to another store than its marker says.")
    schema.complete(connection)
    return Index(connection, tree)


def _release(
    claimed: Claim, index: Index, readers: Sequence[Reader | Listing | sqlite3.Connection | Warming], latch: Latch
) -> None:
    """Close the database, then give up the lock.

    The connection that is closed last copies the WAL into the database and removes it. After a failed fsync nobody may
    do that, for it would seem to succeed: then the last one is a reader's, which cannot write.
    """
    order = (index, *readers) if latch.is_read_only else (*readers, index)
    for part in order:
        part.close()
    os.close(claimed.descriptor)
