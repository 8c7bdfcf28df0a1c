"""The store on a disk that fails, fills up, or gives back other bytes than it took."""

from __future__ import annotations

import errno
import os
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from sos.http.bodies import collect
from sos.store.disk import DiskStore
from sos.store.index import Index
from sos.store.lobby import BATCH
from sos.store.memory import MemoryStore
from sos.store.room import Reserve
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from sos.words.errors import BlobConflict, BlobDamaged, BlobNotFound, DigestMismatch, StoreFull, StoreReadOnly, Unavailable
from sos.words.interfaces import ILocalStore
from sos.words.versions import HybridClock
from tests.contracts.test_blobstore import WatchedBody
from tests.store.faults import Bench, database_error, wall
from tests.support import bytes_body, failure_of, success_of

ENTRY = Entry(id=BlobID("abc"), version=Version(5))
OTHER = Entry(id=BlobID("other"), version=Version(5))
SMALL = b"hello"
LARGE = bytes(range(250)) * 800


def received(store: DiskStore, payload: bytes, entry: Entry = ENTRY) -> Entry:
    """Put a blob in."""
    return success_of(store.receive(entry, bytes_body(payload))).entry


def fetched(store: DiskStore, entry: Entry = ENTRY) -> bytes:
    """Get a blob's bytes."""
    return success_of(collect(success_of(store.fetch(entry.id)).body, 10**6))


def refusal(store: DiskStore, payload: bytes, entry: Entry = ENTRY) -> BaseException:
    """Try to put a blob in, and give what became of it."""
    return failure_of(store.receive(entry, bytes_body(payload)))


def test_both_stores_are_local_stores(bench: Bench) -> None:
    """UUID, clock, status and close are there as well."""
    store = bench.open()
    assert verifyObject(ILocalStore, store)
    assert verifyObject(ILocalStore, MemoryStore("m", HybridClock(wall)))
    success_of(store.close())


def test_a_large_blob_is_durable_before_its_row(bench: Bench) -> None:
    """File, then its name, then the directory, each made durable; then the commit."""
    store = bench.open()
    bench.fs.calls.clear()
    received(store, LARGE)
    steps = [call[1] if call[0] == "execute" else call[0] for call in bench.fs.calls]
    published = steps.index("rename")
    assert ("sync", "staging") in bench.fs.calls[steps.index("write") : published]
    assert "sync_directory" in steps[published : steps.index("BEGIN IMMEDIATE")]
    assert steps.index("BEGIN IMMEDIATE") < steps.index("COMMIT")
    success_of(store.close())


def test_the_parents_of_new_directories_are_synced_once(bench: Bench) -> None:
    """By whoever uses them first in a process, even if they are there already."""
    store = bench.open()
    bench.fs.calls.clear()
    received(store, LARGE)
    first = [call[1] for call in bench.fs.calls if call[0] == "sync_directory"]
    assert [name.count("/") for name in first] == [0, 1, 2]
    bench.fs.calls.clear()
    received(store, LARGE, evolve(ENTRY, version=Version(6)))
    assert [call[1] for call in bench.fs.calls if call[0] == "sync_directory"] == first[2:]
    success_of(store.close())


@pytest.mark.parametrize("call", ["sync", "sync_directory"])
def test_a_failed_fsync_is_final(bench: Bench, call: str) -> None:
    """The disk may say OK again; the store does not believe it, and goes on reading."""
    store = bench.open()
    received(store, SMALL, OTHER)
    bench.fs.failing[call] = errno.EIO
    assert isinstance(refusal(store, LARGE), StoreReadOnly)
    bench.fs.failing.clear()
    assert isinstance(refusal(store, SMALL), StoreReadOnly)
    assert store.status().is_read_only
    assert fetched(store, OTHER) == SMALL
    assert isinstance(failure_of(store.stat(ENTRY.id)), BlobNotFound)
    assert (bench.files("staging"), bench.files("blobs")) == ([], [])
    success_of(store.close())
    again = bench.open()
    assert received(again, SMALL).size == 5
    success_of(again.close())


def test_a_failed_fsync_is_final_whatever_comes_after_it(bench: Bench) -> None:
    """That its file cannot be unlinked either, for a reason that passes, takes nothing back."""
    store = bench.open()
    bench.fs.failing.update(sync_directory=errno.EIO, unlink=errno.ENOMEM)
    assert isinstance(refusal(store, LARGE), StoreReadOnly)
    bench.fs.failing.clear()
    assert isinstance(refusal(store, SMALL), StoreReadOnly)
    success_of(store.close())


def test_a_commit_that_fails_is_final(bench: Bench) -> None:
    """SQLite's next commit would say OK. The file stays, for its row may be there at the next start."""
    store = bench.open()
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
    assert isinstance(refusal(store, LARGE), StoreReadOnly)
    bench.fs.statements.clear()
    assert isinstance(refusal(store, SMALL), StoreReadOnly)
    assert isinstance(failure_of(store.stat(ENTRY.id)), BlobNotFound)
    assert len(bench.files("blobs")) == 1
    success_of(store.close())


def test_a_store_that_failed_leaves_its_wal_alone(bench: Bench) -> None:
    """Closing it must not copy pages of which nobody knows whether they are on the disk."""
    store = bench.open()
    received(store, SMALL)
    bench.break_fsync()
    refusal(store, LARGE, OTHER)
    success_of(store.close())
    assert (bench.path / "sos.db-wal").stat().st_size > 0
    again = bench.open()
    assert fetched(again) == SMALL
    success_of(again.close())


def test_an_orderly_close_leaves_one_database_file(bench: Bench) -> None:
    """All of the WAL is in the database then."""
    store = bench.open()
    received(store, SMALL)
    success_of(store.close())
    assert not (bench.path / "sos.db-wal").exists()


def test_a_failed_checkpoint_is_final(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It copies pages into the database; if their fsync fails, the WAL must not be used again."""
    monkeypatch.setattr("sos.store.index.CHECKPOINT_BYTES", 0)
    store = bench.open()
    bench.fs.statements["PRAGMA wal_checkpoint"] = database_error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
    received(store, SMALL)
    bench.fs.statements.clear()
    assert isinstance(refusal(store, SMALL, OTHER), StoreReadOnly)
    success_of(store.close())


def test_the_wal_is_copied_when_it_has_grown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes writes all day does not fill its disk with them twice."""
    monkeypatch.setattr("sos.store.index.CHECKPOINT_BYTES", 10**5)
    store = bench.open()
    for number in range(40):
        received(store, b"x" * 60_000, Entry(id=BlobID(f"n{number}"), version=Version(1)))
    assert (bench.path / "sos.db-wal").stat().st_size < 10**6
    success_of(store.close())


@pytest.mark.parametrize("call", ["create", "write", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_answer(bench: Bench, call: str, number: int) -> None:
    """Staging is empty after it, reading works, and so does writing once there is room."""
    store = bench.open()
    received(store, SMALL, OTHER)
    bench.fs.failing[call] = number
    assert isinstance(refusal(store, LARGE), StoreFull)
    assert (bench.files("staging"), bench.files("blobs")) == ([], [])
    assert fetched(store, OTHER) == SMALL
    bench.fs.failing.clear()
    received(store, LARGE)
    assert fetched(store) == LARGE
    success_of(store.close())


def test_what_a_failed_commit_would_have_replaced_stays(bench: Bench) -> None:
    """A file goes after the commit that stops naming it, and not before."""
    store = bench.open()
    received(store, LARGE, evolve(ENTRY, kind=Kind.MANIFEST))
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_FULL, "database or disk is full")
    newer = evolve(ENTRY, kind=Kind.MANIFEST, version=Version(6))
    assert isinstance(refusal(store, LARGE[::-1], newer), StoreFull)
    assert fetched(store) == LARGE
    bench.fs.statements.clear()
    received(store, LARGE[::-1], newer)
    assert fetched(store) == LARGE[::-1]
    success_of(store.close())


def test_every_commit_is_synced_and_checkpoints_are_ours(bench: Bench) -> None:
    """SQLite's own checkpoint would hide its failure."""
    store = bench.open()
    for pragma, value in (("synchronous", 2), ("wal_autocheckpoint", 0), ("journal_mode", b"wal"), ("auto_vacuum", 2)):
        asked = store._commits.submit(partial(_pragma, pragma))
        assert success_of(asked) == value
    success_of(store.close())


def _pragma(pragma: str, index: Index) -> object:
    return index._connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def test_a_full_database_is_an_answer(bench: Bench) -> None:
    """The batch fails, its published file goes, and the next write is taken."""
    store = bench.open()
    bench.fs.statements["INSERT INTO entries"] = database_error(sqlite3.SQLITE_FULL, "database or disk is full")
    assert isinstance(refusal(store, SMALL), StoreFull)
    assert isinstance(refusal(store, LARGE), StoreFull)
    assert bench.files("blobs") == []
    bench.fs.statements.clear()
    received(store, LARGE)
    assert len(bench.files("blobs")) == 1
    assert not store.status().is_read_only
    success_of(store.close())


def test_a_file_for_whose_row_there_is_no_room_does_not_stay(bench: Bench) -> None:
    """Neither is there room for a note of what to unlink: each try would fill the disk further."""
    store = bench.open()
    bench.fs.statements["COMMIT"] = database_error(sqlite3.SQLITE_FULL, "database or disk is full")
    assert isinstance(refusal(store, LARGE), StoreFull)
    assert bench.files("blobs") == []
    bench.fs.failing["unlink"] = errno.EIO
    assert isinstance(refusal(store, LARGE), StoreFull)
    success_of(store.close())


@pytest.mark.parametrize(
    ("number", "meaning", "is_final"),
    [
        (errno.EDQUOT, StoreFull, False),
        (errno.ENOSPC, StoreFull, False),
        (errno.ENOMEM, Unavailable, False),
        (errno.EIO, StoreReadOnly, True),
        (None, StoreReadOnly, True),
    ],
)
def test_the_disk_says_why_the_database_could_not_write(
    bench: Bench, number: int | None, meaning: type[Exception], is_final: bool
) -> None:
    """To SQLite a quota that is used up is an I/O error; so the disk is asked, and believed if it knows a reason."""
    store = bench.open()
    bench.fs.statements["INSERT INTO entries"] = database_error(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error")
    if number is not None:
        bench.fs.failing["write"] = number
    assert type(refusal(store, SMALL)) is meaning
    assert bench.files("staging") == []
    bench.fs.failing.clear()
    bench.fs.statements.clear()
    assert store.status().is_read_only is is_final
    if not is_final:
        received(store, SMALL)
    success_of(store.close())


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_pressure_passes(bench: Bench, number: int) -> None:
    """Too few descriptors are no failed disk, for a writer or for a reader."""
    store = bench.open()
    received(store, LARGE, OTHER)
    bench.fs.failing.update(create=number, open=number)
    for error in (refusal(store, LARGE), failure_of(store.fetch(OTHER.id))):
        assert isinstance(error, Unavailable) and not isinstance(error, StoreReadOnly | BlobDamaged)
    bench.fs.failing.clear()
    received(store, LARGE)
    assert fetched(store, OTHER) == LARGE
    success_of(store.close())


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["create", "open", "write"])
def test_a_disk_that_is_gone_is_never_a_404(bench: Bench, call: str, number: int) -> None:
    """Its blobs are unavailable, and it takes no more."""
    store = bench.open()
    received(store, LARGE, OTHER)
    bench.fs.failing[call] = number
    error = failure_of(store.fetch(OTHER.id)) if call == "open" else refusal(store, LARGE)
    assert isinstance(error, Unavailable)
    bench.fs.failing.clear()
    assert isinstance(refusal(store, SMALL), StoreReadOnly)
    success_of(store.close())


@pytest.mark.parametrize(("number", "is_final"), [(errno.EIO, True), (errno.ENOMEM, False)])
def test_a_file_that_cannot_be_measured_is_an_answer(bench: Bench, number: int, is_final: bool) -> None:
    """Its descriptor is closed, and neither a reader nor a writer sees an error without a name."""
    store = bench.open()
    received(store, LARGE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    bench.fs.failing["size"] = number
    for error in (failure_of(store.fetch(ENTRY.id)), failure_of(store.stat(ENTRY.id))):
        assert isinstance(error, Unavailable) and not isinstance(error, BlobDamaged)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert store.status().is_read_only is is_final
    success_of(store.close())


def test_digests_are_read_anew_only_when_they_were_written(bench: Bench) -> None:
    """An idle round notes its number, and changes nothing of what is held."""
    reading = ("execute", "SELECT bucket, digest FROM digests")
    store = bench.open()
    roots = []
    for change in (
        lambda: received(store, SMALL),
        lambda: success_of(store.note_round(1, "one")),
        lambda: success_of(store.note_round(2, "one")),
        lambda: success_of(store.remove(ENTRY.id, Version(9))),
    ):
        change()
        roots.append((success_of(store.summary()).root, bench.fs.calls.count(reading)))
    assert [count for _, count in roots] == [1, 1, 1, 2]
    assert len({root for root, _ in roots}) == 2
    assert success_of(store.summary()).round == 2
    success_of(store.close())


def test_digests_that_an_earlier_program_wrote_are_read_anew_only_when_they_were_written(bench: Bench) -> None:
    """It has left no note of how often it wrote them; the first write of this one begins to count."""
    reading = ("execute", "SELECT bucket, digest FROM digests")
    store = bench.open()
    received(store, SMALL)
    success_of(store.close())
    bench.rows("DELETE FROM meta WHERE name = 'settled'")
    store = bench.open()
    counts = []
    for change in (
        lambda: success_of(store.note_round(1, "one")),
        lambda: success_of(store.note_round(2, "one")),
        lambda: success_of(store.remove(ENTRY.id, Version(9))),
        lambda: success_of(store.note_round(3, "one")),
    ):
        change()
        success_of(store.summary())
        counts.append(bench.fs.calls.count(reading))
    assert counts == [1, 1, 2, 2]
    success_of(store.close())


def test_a_read_stays_open_no_longer_than_it_takes(bench: Bench) -> None:
    """An open one would keep the WAL from being emptied, and it would grow for ever."""
    store = bench.open()
    received(store, SMALL)
    failure_of(store.fetch(OTHER.id))
    success_of(store.fetch(ENTRY.id)).body.stopProducing()
    ((busy, _, _),) = bench.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not busy
    success_of(store.close())


def test_a_corrupt_database_is_not_believed(bench: Bench) -> None:
    """What a damaged index does not know may be there all the same: no more 404, no list."""
    store = bench.open()
    received(store, SMALL)
    bench.fs.statements["SELECT"] = database_error(sqlite3.SQLITE_CORRUPT, "database disk image is malformed")
    assert "restore a backup" in str(failure_of(store.fetch(OTHER.id)))
    bench.fs.statements.clear()
    for refused in (store.fetch(OTHER.id), store.stat(ENTRY.id), store.enumerate(), store.receive(OTHER, bytes_body(b""))):
        assert isinstance(failure_of(refused), Unavailable)
    success_of(store.close())


@pytest.mark.parametrize(("free_bytes", "free_inodes"), [(len(LARGE) + 999, 10**6), (10**9, 10)])
def test_the_reserve_is_kept(bench: Bench, free_bytes: int, free_inodes: int) -> None:
    """A body that would use it is refused before its first byte, and so is one without a length as it grows."""
    store = bench.open()
    bench.fs.space = evolve(bench.fs.space, free_bytes=free_bytes, free_inodes=free_inodes)
    body = WatchedBody(len(LARGE))
    assert isinstance(failure_of(store.receive(ENTRY, body)), StoreFull)
    assert body.is_stopped and body.consumer is None
    bench.fs.space = evolve(bench.fs.space, free_bytes=50_000)
    growing = WatchedBody()
    receiving = Deferred.fromCoroutine(store.receive(ENTRY, growing))
    growing.write(bytes(BATCH))
    assert isinstance(failure_of(receiving), StoreFull)
    assert growing.is_stopped
    assert bench.files("staging") == []
    success_of(store.close())


@pytest.mark.parametrize("payload", [SMALL, LARGE])
def test_the_reserve_is_for_deletes_and_rounds(bench: Bench, payload: bytes) -> None:
    """Below it uploads wait; what is there can be removed, renewed and noted, and half of it is for healing."""
    store = bench.open(reserve=Reserve(percent=0, least=10**6))
    for entry in (ENTRY, OTHER):
        received(store, payload, entry)
    good = success_of(store.stat(OTHER.id))
    bench.damage(OTHER.id)
    success_of(store.suspect(OTHER.id))
    third = evolve(ENTRY, id=BlobID("third"))
    bench.fs.space = evolve(bench.fs.space, free_bytes=999_999)
    assert isinstance(refusal(store, payload, third), StoreFull)
    assert isinstance(refusal(store, payload, OTHER), StoreFull)  # it does not say whose bytes it brings
    received(store, payload, good)
    assert fetched(store, OTHER) == payload
    success_of(store.renew(evolve(good, version=Version(6))))
    success_of(store.note_round(1, "one"))
    success_of(store.remove(ENTRY.id, Version(6)))
    assert len(bench.files("blobs")) == (payload is LARGE)
    bench.damage(OTHER.id)
    success_of(store.suspect(OTHER.id))
    bench.fs.space = evolve(bench.fs.space, free_bytes=499_999)
    if payload is LARGE:  # a small one fits into the free pages
        assert isinstance(refusal(store, payload, good), StoreFull)
    assert not store.status().is_read_only
    success_of(store.close())


def test_small_blobs_may_fill_the_free_pages(bench: Bench) -> None:
    """Beyond the reserve, a database whose blobs were removed has room of its own."""
    store = bench.open()
    bench.fs.space = evolve(bench.fs.space, free_bytes=500)
    assert isinstance(refusal(store, SMALL), StoreFull)
    bench.fs.space = evolve(bench.fs.space, free_bytes=10**9)
    for number in range(5):
        received(store, b"x" * 60_000, Entry(id=BlobID(f"n{number}"), version=Version(1)))
    success_of(store._commits.submit(lambda index: index._connection.execute("DELETE FROM small")))
    bench.fs.space = evolve(bench.fs.space, free_bytes=500)
    received(store, SMALL)
    success_of(store.close())


def test_the_wal_needs_room_to_be_emptied(bench: Bench) -> None:
    """What is only in the WAL is counted before a write is let in: the database has to grow by that, whatever comes next."""
    store = bench.open(reserve=Reserve(percent=0, least=0))
    received(store, b"x" * 60_000)
    bench.fs.space = evolve(bench.fs.space, free_bytes=120_000)
    assert isinstance(refusal(store, b"x" * 50_000, OTHER), StoreFull)
    received(store, b"x" * 5_000, OTHER)
    success_of(store.close())


def test_on_a_disk_that_is_nearly_full_the_wal_does_not_grow(bench: Bench) -> None:
    """It is copied into the database after each commit: the room that is left is for deletes."""
    store = bench.open()
    names = [Entry(id=BlobID(f"n{number}"), version=Version(1)) for number in range(20)]
    for entry in names:
        received(store, b"x" * 60_000, entry)
    bench.fs.space = evolve(bench.fs.space, free_bytes=2 * 10**6)
    received(store, SMALL)
    bench.fs.space = evolve(bench.fs.space, free_bytes=0)
    before = (bench.path / "sos.db-wal").stat().st_size
    for entry in names:
        success_of(store.remove(entry.id, Version(2)))
    assert (bench.path / "sos.db-wal").stat().st_size == before
    received(store, b"x" * 60_000, evolve(ENTRY, id=BlobID("later")))
    success_of(store.close())


def test_bytes_that_come_again_replace_those_held(bench: Bench) -> None:
    """They were hashed just now, and are promised again; those on the disk may have rotted unseen. One file is left."""
    store = bench.open()
    received(store, LARGE)
    (before,) = bench.files("blobs")
    before.write_bytes(LARGE[::-1])
    received(store, LARGE)
    assert fetched(store) == LARGE
    received(store, LARGE, evolve(ENTRY, version=Version(6), metadata=Metadata.of([(b"x-a", b"b")])))
    (after,) = bench.files("blobs")
    assert after != before
    assert fetched(store) == LARGE
    assert (store.status().blobs, store.status().size) == (1, len(LARGE))
    success_of(store.close())


@pytest.mark.parametrize("payload", [SMALL, LARGE])
def test_what_was_declared_wrongly_has_an_error_of_its_own(bench: Bench, payload: bytes) -> None:
    """And leaves no file behind."""
    store = bench.open()
    assert isinstance(refusal(store, payload, evolve(ENTRY, sha256=b"0" * 32)), DigestMismatch)
    assert (bench.files("staging"), bench.files("blobs")) == ([], [])
    success_of(store.close())


def test_a_refused_write_leaves_no_file(bench: Bench) -> None:
    """Neither an older one nor one with other bytes."""
    store = bench.open()
    received(store, LARGE)
    before = bench.files("blobs")
    assert isinstance(refusal(store, LARGE, evolve(ENTRY, version=Version(4))), BlobConflict)
    assert isinstance(refusal(store, LARGE + b"!", evolve(ENTRY, version=Version(6))), BlobConflict)
    assert bench.files("blobs") == before
    success_of(store.close())


# Damage


def truncate(path: Path) -> None:
    """Cut a file short."""
    os.truncate(path, 1000)


def extend(path: Path) -> None:
    """Make a file longer."""
    path.write_bytes(path.read_bytes() + b"x")


def replace_by_link(path: Path) -> None:
    """Put a symbolic link to good bytes in a file's place."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("harm", [truncate, extend, Path.unlink, replace_by_link])
@pytest.mark.parametrize("verb", ["fetch", "stat"])
def test_a_harmed_file_is_damage(bench: Bench, harm: object, verb: str) -> None:
    """It answers 503, never 404, is listed no more, and good bytes of any version heal it."""
    store = bench.open()
    received(store, LARGE)
    (file,) = bench.files("blobs")
    harm(file)  # type: ignore[operator]
    assert isinstance(failure_of(getattr(store, verb)(ENTRY.id)), BlobDamaged)
    assert bench.rows("SELECT damaged FROM entries") == [(1,)]
    assert success_of(store.enumerate()) == []
    assert store.status().blobs == 0
    assert isinstance(failure_of(store.stat(ENTRY.id)), BlobDamaged)
    assert isinstance(refusal(store, LARGE + b"!", evolve(ENTRY, version=Version(6))), BlobConflict)
    healed = received(store, LARGE, evolve(ENTRY, version=Version(4)))
    assert healed.version == 5
    assert fetched(store) == LARGE
    assert (store.status().blobs, store.status().size) == (1, len(LARGE))
    assert [path.suffix for path in bench.files("quarantine")].count(".why") == 1
    success_of(store.close())


@pytest.mark.parametrize("verb", ["fetch", "stat"])
def test_other_bytes_in_the_database_are_damage(bench: Bench, verb: str) -> None:
    """They go to quarantine with a note, and never to a reader."""
    store = bench.open()
    received(store, SMALL)
    bench.rows("UPDATE small SET payload = x'68656c6c70'")
    assert isinstance(failure_of(getattr(store, verb)(ENTRY.id)), BlobDamaged)
    kept, note = bench.files("quarantine")
    assert kept.read_bytes() == b"hellp"
    assert "SHA-256" in note.read_text()
    assert bench.rows("SELECT * FROM small") == []
    received(store, SMALL, evolve(ENTRY, version=Version(9)))
    assert fetched(store) == SMALL
    success_of(store.close())


@pytest.mark.parametrize(
    "change",
    [
        "version = 6",
        "kind = 1",
        "size = 6",
        "metadata = x'782d613a630a'",
        "expires = 1",
        "stray = 1",
        "arrived = 5",
        "state = 1",
        "file = 7",
        "sha256 = NULL",
        "version = 'text'",
        "checksum = 0",
    ],
)
def test_a_changed_field_of_a_row_is_damage(bench: Bench, change: str) -> None:
    """No field is served that is not the one that was written, and no write builds on it."""
    store = bench.open()
    received(store, SMALL, evolve(ENTRY, metadata=Metadata.of([(b"x-a", b"b")])))
    bench.rows(f"UPDATE entries SET {change}")
    for refused in (store.fetch(ENTRY.id), store.stat(ENTRY.id), store.receive(ENTRY, bytes_body(SMALL))):
        assert isinstance(failure_of(refused), BlobDamaged)
    success_of(store.close())


def test_a_file_that_is_cut_while_it_is_read_is_damage(bench: Bench) -> None:
    """The body fails, and the entry is marked."""
    store = bench.open()
    received(store, LARGE)
    opened = success_of(store.fetch(ENTRY.id))
    truncate(bench.files("blobs")[0])
    assert isinstance(failure_of(collect(opened.body, 10**6)), BlobDamaged)
    assert bench.rows("SELECT damaged FROM entries") == [(1,)]
    success_of(store.close())


def test_bytes_that_vanished_are_not_promised_again(bench: Bench) -> None:
    """A writer that brings what is said to be here is not sent away with an OK over nothing."""
    store = bench.open()
    received(store, LARGE)
    received(store, SMALL, OTHER)
    bench.files("blobs")[0].unlink()
    bench.rows("DELETE FROM small")
    received(store, LARGE)
    received(store, SMALL, evolve(OTHER, version=Version(6)))
    assert (fetched(store), fetched(store, OTHER)) == (LARGE, SMALL)
    success_of(store.close())


def test_a_file_that_was_replaced_between_row_and_opening_is_read_anew(bench: Bench) -> None:
    """The row is read again before anybody speaks of damage."""
    store = bench.open()
    manifest = evolve(ENTRY, version=Version(6), kind=Kind.MANIFEST)
    received(store, LARGE)
    really_open = bench.fs.open

    def replaced_meanwhile(name: str) -> int:
        bench.fs.open = really_open  # type: ignore[method-assign]
        received(store, LARGE[::-1], manifest)
        return really_open(name)

    bench.fs.open = replaced_meanwhile  # type: ignore[method-assign]
    assert fetched(store) == LARGE[::-1]
    assert bench.files("quarantine") == []
    success_of(store.close())


def test_descriptors_do_not_leak(bench: Bench) -> None:
    """Whatever happens to a blob, afterwards as many files are open as before."""
    store = bench.open()
    received(store, LARGE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    success_of(store.stat(ENTRY.id))
    fetched(store)
    success_of(store.fetch(ENTRY.id)).body.stopProducing()
    body = WatchedBody()
    receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(OTHER, body))
    body.write(LARGE)
    receiving.cancel()
    failure_of(receiving)
    bench.fs.failing["write"] = errno.ENOSPC
    refusal(store, LARGE, OTHER)
    bench.fs.failing.clear()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    truncate(bench.files("blobs")[0])
    failure_of(store.fetch(ENTRY.id))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    success_of(store.close())


def test_closing_ends_what_is_arriving(bench: Bench) -> None:
    """Its sender is told, its bytes are gone, and the store can be opened again."""
    store = bench.open()
    body = WatchedBody()
    receiving: Deferred[object] = Deferred.fromCoroutine(store.receive(ENTRY, body))
    body.write(LARGE)
    success_of(store.close())
    assert isinstance(failure_of(receiving), Unavailable)
    assert body.is_stopped
    assert bench.files("staging") == []
    success_of(bench.open().close())
    success_of(store.close())
