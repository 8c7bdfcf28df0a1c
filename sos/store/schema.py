"""The tables of a store's database, and how both of its connections are set up."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sos.words.blob import Kind, State

USER_VERSION = 1
"""The layout of the tables, in the database itself; the marker's format goes with it."""

TOMBSTONES = f"state = {State.DELETED:d} AND stray = 0"
EXPIRING = f"state = {State.LIVE:d} AND expires IS NOT NULL"
HIDEABLE = f"(state <> {State.LIVE:d} OR damaged <> 0 OR expires IS NOT NULL)"
"""What three partial indexes hold: only a query that says the same, in these words, can use them.

The last are the entries that may be missing in a list of names. They are few, and all others can be listed from the index of
their IDs alone; to look at the row of each would take three times as long.
"""

_TABLES = f"""
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,  -- a name of its own: VACUUM may change a rowid that has none, and small joins by it
        id TEXT NOT NULL UNIQUE,
        bucket INTEGER NOT NULL,
        version INTEGER NOT NULL,
        state INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        size INTEGER,
        sha256 BLOB,
        metadata BLOB NOT NULL,
        expires INTEGER,
        arrived INTEGER NOT NULL,
        damaged INTEGER NOT NULL,
        stray INTEGER NOT NULL,
        file INTEGER,
        checksum INTEGER NOT NULL
    );
    CREATE INDEX manifests ON entries (id) WHERE kind = {Kind.MANIFEST:d};
    CREATE INDEX chunks ON entries (id) WHERE kind = {Kind.CHUNK:d};
    CREATE INDEX buckets ON entries (bucket, id);
    CREATE INDEX strays ON entries (id) WHERE stray = 1;
    CREATE INDEX tombstones ON entries (id, arrived) WHERE {TOMBSTONES};
    CREATE INDEX expiring ON entries (expires) WHERE {EXPIRING};
    CREATE TABLE digests (bucket INTEGER PRIMARY KEY, digest BLOB NOT NULL);  -- a bucket that never had an entry has no row
    CREATE TABLE small (number INTEGER PRIMARY KEY, payload BLOB NOT NULL);
    CREATE TABLE unlinks (serial INTEGER PRIMARY KEY, id TEXT NOT NULL);
    CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO counts VALUES ('live', 0), ('size', 0), ('damaged', 0), ('deleted', 0), ('strays', 0);
    INSERT INTO meta VALUES ('highest', 0), ('openings', 0), ('round', 0), ('group', NULL);
    PRAGMA user_version = {USER_VERSION};
"""
"""Small blobs' bytes are apart from their entries, so that a list of names need not step over them."""

_LATER_INDEX = f"CREATE INDEX IF NOT EXISTS hideable ON entries (id, state, damaged, expires) WHERE {HIDEABLE}"
"""What the stores of an earlier program lack, and an earlier program keeps up, too: so the layout has no other number."""

_CACHE_KIBIBYTES = 8 * 1024
"""Pages each connection may keep: the inner pages of an index of some million entries."""

_WAL_LIMIT = 16 * 1024 * 1024
"""What a WAL that grew under a burst is cut back to."""


def create(connection: sqlite3.Connection, uuid: str) -> None:
    """Make the tables in an empty database."""
    connection.executescript(_TABLES)
    connection.execute("INSERT INTO meta VALUES ('uuid', ?)", (uuid,))


def complete(connection: sqlite3.Connection) -> None:
    """Make what the tables of an earlier program lack: a second for some million entries, and only once."""
    connection.execute(_LATER_INDEX)


def set_up_writing(connection: sqlite3.Connection) -> None:
    """Make each commit durable, leave checkpoints to us, and have deleted bytes overwritten.

    SQLite's own checkpoint after a commit hides it when its fsync fails, and the next one would succeed over lost pages.

    Deleted bytes are zeroed in the database at the next checkpoint. In the WAL they stay until it is written over, or
    removed when the store is closed; and a file that is unlinked is not overwritten: that would be the disk's to promise.
    """
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    connection.execute("PRAGMA secure_delete = ON")
    set_up_reading(connection)


def set_up_reading(connection: sqlite3.Connection) -> None:
    """Set what both connections have in common."""
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")


@contextlib.contextmanager
def one_moment(connection: sqlite3.Connection | sqlite3.Cursor) -> Iterator[None]:
    """Let several reads see the same commit: the one that the first of them sees."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def user_version(connection: sqlite3.Connection) -> int:
    """Give the layout that a database has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def uuid_of(connection: sqlite3.Connection) -> str:
    """Give the store that a database belongs to."""
    (uuid,) = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()
    return str(uuid, "ascii")
