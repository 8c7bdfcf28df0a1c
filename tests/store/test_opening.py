"""A store after its process was killed: what was promised is there, and nothing else lies about."""

from __future__ import annotations

import shutil
import stat

import pytest

from sos.http.bodies import collect
from sos.store.disk import DiskStore
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobNotFound, StoreRefused
from tests.store.faults import NOW, Bench
from tests.support import bytes_body, failure_of, success_of

LARGE = b"x" * 200_000


def received(store: DiskStore, name: str, payload: bytes, version: int = 5) -> None:
    """Put a blob in."""
    success_of(store.receive(Entry(id=BlobID(name), version=Version(version)), bytes_body(payload)))


def fetched(store: DiskStore, name: str) -> bytes:
    """Get a blob's bytes."""
    return success_of(collect(success_of(store.fetch(BlobID(name))).body, 10**6))


def killed(bench: Bench) -> Bench:
    """Give the files of a running store as a killed process would leave them: its WAL is not in the database yet."""
    left = Bench(bench.path.with_name("killed"))
    shutil.copytree(bench.path, left.path)
    return left


def test_what_was_stored_is_there_after_a_restart(bench: Bench) -> None:
    """Small and large, with the same UUID and a clock that did not fall."""
    store = bench.open()
    received(store, "small", b"hello")
    received(store, "large", LARGE, version=(int(NOW * 1000) << 16) + 10**9)
    uuid = store.uuid
    success_of(store.close())
    again = bench.open(must_exist=True)
    assert (fetched(again, "small"), fetched(again, "large")) == (b"hello", LARGE)
    assert again.uuid == uuid
    assert again.clock.last == (int(NOW * 1000) << 16) + 10**9
    assert (again.status().blobs, again.status().size) == (2, 5 + len(LARGE))
    success_of(again.close())


@pytest.mark.parametrize("is_killed", [False, True])
def test_versions_do_not_fall_over_a_restart_with_the_clock_set_back(bench: Bench, is_killed: bool) -> None:
    """Torture I26: by ten years; not even below a version of which nothing is left, for its tombstone was dropped."""
    store = bench.open(tombstone_age=-1)
    received(store, "abc", b"hello", version=store.clock.tick())
    newest = store.clock.tick()
    success_of(store.remove(BlobID("abc"), newest))
    assert success_of(store.drop_tombstones([(BlobID("abc"), newest)])) == 1
    left = killed(bench) if is_killed else bench
    success_of(store.close())
    for _ in range(2):
        left.now = NOW - 10 * 365 * 86_400
        again = left.open()
        assert again.clock.last >= newest
        newest = again.clock.tick()
        received(again, "abc", b"hello", version=newest)
        success_of(again.close())


def test_what_was_stored_is_there_after_a_kill(bench: Bench) -> None:
    """Nothing that was answered needs an orderly end."""
    store = bench.open()
    received(store, "small", b"hello")
    received(store, "large", LARGE)
    left = killed(bench)
    success_of(store.close())
    again = left.open()
    assert (fetched(again, "small"), fetched(again, "large")) == (b"hello", LARGE)
    success_of(again.close())


def test_the_wal_is_in_the_database_before_anything_is_served(bench: Bench) -> None:
    """Rows of a killed process may be visible and not durable: peers would count them."""
    store = bench.open()
    received(store, "small", b"hello")
    left = killed(bench)
    success_of(store.close())
    assert (left.path / "sos.db-wal").stat().st_size > 0
    again = left.open()
    statements = [call[1] for call in left.fs.calls if call[0] == "execute"]
    assert "PRAGMA wal_checkpoint(TRUNCATE)" in statements
    before = statements[: statements.index("PRAGMA wal_checkpoint(TRUNCATE)")]
    assert not [text for text in before if text.startswith(("SELECT", "INSERT", "UPDATE", "BEGIN")) and "uuid" not in text]
    success_of(again.close())


def test_staging_is_emptied_at_the_start(bench: Bench) -> None:
    """What was arriving when the process died was promised to nobody."""
    success_of(bench.open().close())
    (bench.path / "staging" / "77").write_bytes(b"half")
    success_of(bench.open().close())
    assert bench.files("staging") == []


def test_the_unlink_table_is_worked_off_at_the_start(bench: Bench) -> None:
    """A file that a committed change stopped naming goes, though the process died before it could unlink it."""
    store = bench.open()
    received(store, "abc", LARGE)
    success_of(store.close())
    (named,) = bench.files("blobs")
    left = named.with_name("abc.99")
    left.write_bytes(b"old")
    bench.rows("INSERT INTO unlinks VALUES (99, 'abc')")
    again = bench.open()
    assert bench.files("blobs") == [named]
    received(again, "other", b"x")
    assert bench.rows("SELECT * FROM unlinks") == []
    success_of(again.close())


def test_a_serial_is_never_used_twice(bench: Bench) -> None:
    """A file that a killed process left behind is not overwritten, whatever its number."""
    store = bench.open()
    received(store, "abc", LARGE)
    (first,) = bench.files("blobs")
    success_of(store.close())
    bench.rows("DELETE FROM entries")  # as if its row had never been committed
    again = bench.open()
    received(again, "abc", LARGE)
    assert first in bench.files("blobs") and len(bench.files("blobs")) == 2
    success_of(again.close())


def test_the_tree_is_not_walked(bench: Bench) -> None:
    """What else lies in the tree is the scrub's; a start takes constant time."""
    success_of(bench.open().close())
    stranger = bench.path / "blobs" / "ff" / "ff"
    stranger.mkdir(parents=True)
    (stranger / "stranger.1").write_bytes(b"?")
    store = bench.open()
    assert isinstance(failure_of(store.fetch(BlobID("stranger"))), BlobNotFound)
    assert len(bench.files("blobs")) == 1
    success_of(store.close())


def test_nobody_else_can_read_a_store(bench: Bench) -> None:
    """Files are 0600, directories 0700, SQLite's as well."""
    store = bench.open()
    received(store, "abc", LARGE)
    received(store, "small", b"x")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in bench.path.rglob("*") if path.is_file()}
    directories = {stat.S_IMODE(path.stat().st_mode) for path in [bench.path, *bench.path.rglob("*")] if path.is_dir()}
    assert (modes, directories) == ({0o600}, {0o700})
    assert (bench.path / "sos.db-wal").exists()
    success_of(store.close())


def test_a_database_that_is_none_is_refused(bench: Bench) -> None:
    """The sentence says what can be done."""
    success_of(bench.open().close())
    (bench.path / "sos.db").write_bytes(b"no database at all " * 500)
    with pytest.raises(StoreRefused, match=r"restore a backup"):
        bench.open()


def test_the_database_of_another_store_is_refused(bench: Bench) -> None:
    """A marker and a database that were mixed up would make two stores seem one."""
    success_of(bench.open().close())
    bench.rows("UPDATE meta SET value = x'41' WHERE name = 'uuid'")
    with pytest.raises(StoreRefused, match="another store"):
        bench.open()


def test_a_newer_database_is_refused(bench: Bench) -> None:
    """Nobody writes to a layout that he does not know."""
    success_of(bench.open().close())
    bench.rows("PRAGMA user_version = 2")
    with pytest.raises(StoreRefused, match="layout 2"):
        bench.open()


def test_a_refused_store_is_let_go(bench: Bench) -> None:
    """The lock does not outlive a failed start."""
    success_of(bench.open().close())
    bench.rows("PRAGMA user_version = 2")
    for _ in range(2):
        with pytest.raises(StoreRefused, match="layout"):
            bench.open()
