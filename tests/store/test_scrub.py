"""One pass of the scrub finds whatever was done to a store behind its back, and nothing in one that is sound."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred

from sos.decisions.buckets import BUCKETS, bucket_of, root_digest
from sos.store.disk import DiskStore
from sos.store.pace import Pace
from sos.store.row_walk import ROWS_A_STEP
from sos.store.rows import COLUMNS
from sos.store.tree import directory_of
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from sos.words.errors import BlobDamaged, BlobNotFound
from sos.words.interfaces import Findings
from tests.contracts.replica_sites import held_in
from tests.store.faults import NOW, Bench
from tests.store.scrubbing import fill, scrubbed
from tests.store.test_replica import LARGE, received, recomputed_root
from tests.store.turn_clock import TurnClock
from tests.support import failure_of, success_of

CLEAN = Findings()
METADATA = Metadata.of([(b"x-is", b"kept")])


def entry(name: str, version: int = 5, **more: Any) -> Entry:
    """Make an entry."""
    return Entry(id=BlobID(name), version=Version(version), **more)


def filled(bench: Bench, *names: str, payload: bytes = b"hello") -> DiskStore:
    """Open a store with some blobs."""
    store = bench.open()
    fill(store, *(entry(name, metadata=METADATA, expires=int(NOW) + 9) for name in names), payload=payload)
    return store


def change(bench: Bench, name: str, column: str, how: Callable[[Any], Any]) -> None:
    """Change a field of a row behind the store's back."""
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    try:
        (value,) = connection.execute(f"SELECT {column} FROM entries WHERE id = ?", (name,)).fetchone()
        connection.execute(f"UPDATE entries SET {column} = ? WHERE id = ?", (how(value), name))
    finally:
        connection.close()


def other(value: Any) -> Any:
    """Give another value of the same type, one bit away."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return 1 if value is None else value ^ 1


def flipped(payload: bytes, at: int) -> bytes:
    """Turn a bit of a byte."""
    return payload[:at] + bytes([payload[at] ^ 0x10]) + payload[at + 1 :]


def with_bit_turned(value: Any, at: int, bit: int) -> Any:
    """Turn one bit of a text or of bytes; the text stays one."""
    raw = value.encode() if isinstance(value, str) else value
    bad = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
    return bad.decode("latin-1") if isinstance(value, str) else bad


def check_books(bench: Bench, store: DiskStore) -> None:
    """Digests and counts are those of the rows."""
    held = held_in(bench.path)
    summary = success_of(store.summary())
    assert summary.root == recomputed_root(bench)
    assert summary.damaged == sum(one.is_damaged for one in held)
    assert summary.live == sum(one.is_live and not one.is_damaged for one in held)
    assert summary.deleted == sum(not one.is_live for one in held)
    assert store.status().size == sum(one.size or 0 for one in held if not one.is_damaged)


# A sound store


def test_nothing_is_found_in_a_sound_store(bench: Bench) -> None:
    """Live blobs, small and large and empty, tombstones, strays, expired ones, and what was set apart before."""
    store = filled(bench, "a", "b", "c")
    received(store, b"", entry("empty"))
    for name in ("large", "larger"):
        received(store, LARGE, entry(name))
    received(store, b"stray", entry("s", is_stray=True))
    received(store, b"expired", entry("e", expires=1))
    success_of(store.remove(BlobID("b"), Version(9)))
    success_of(store.remove(BlobID("never"), Version(9), is_stray=True))
    bench.rows("UPDATE small SET payload = x'00' WHERE number = (SELECT number FROM entries WHERE id = 'a')")
    success_of(store.suspect(BlobID("a")))
    assert [scrubbed(store), scrubbed(store)] == [CLEAN, CLEAN]
    assert success_of(store.scrub_standing()).passes == 2
    assert success_of(store.scrub_standing()).age == 0
    check_books(bench, store)
    success_of(store.close())


def test_an_empty_store_is_sound(bench: Bench) -> None:
    """There is nothing to divide by."""
    store = bench.open()
    assert scrubbed(store) == CLEAN
    success_of(store.close())


def test_writes_that_go_on_meanwhile_are_no_damage(bench: Bench) -> None:
    """Before each read of the pass something changes: uploads, replacements, deletes, of small blobs and large.

    There is always more to read than before, and it ends all the same.
    """
    made: list[int] = []
    store: DiskStore

    async def meddling(call: Callable[..., Any], *arguments: Any) -> Any:
        number = len(made)
        made.append(number)
        if number > 30 and number % 20:
            return call(*arguments)
        received(store, LARGE + b"%d" % number if number % 3 else b"%d" % number, entry(f"n{number}"))
        if number % 2 and number < 30:
            success_of(store.remove(BlobID(f"n{number // 2}"), Version(9)))
        if number % 5 == 0:
            received(store, LARGE + b"%d" % number, entry("manifest", 10 + number, kind=Kind.MANIFEST))
        return call(*arguments)

    store = bench.open(scrub_in_thread=meddling)
    for number in range(9):
        received(store, LARGE, entry(f"first{number}"))
    assert scrubbed(store) == CLEAN
    assert len(made) > 20
    check_books(bench, store)
    success_of(store.close())


def test_while_rows_are_looked_at_others_have_their_turn(bench: Bench) -> None:
    """A few at a time, and one by one while users are there; what was read in one go is still all looked at."""
    clock = TurnClock()
    store = bench.open(clock=clock)
    names = [f"n{number:02}" for number in range(ROWS_A_STEP)]
    fill(store, *(entry(name) for name in names))
    change(bench, names[-1], "sha256", other)
    success_of(store.scrub())
    running = Deferred.fromCoroutine(store.scrub_on(Pace(clock, 0)))
    turns = 0
    while not running.called:
        assert success_of(store.fetch(BlobID(names[0]))).entry.size == 5
        clock.turn()
        turns += 1
        assert turns < 100 * ROWS_A_STEP
    assert turns >= 2 * ROWS_A_STEP
    assert success_of(store.scrub_standing()).found == evolve(CLEAN, rows=1)
    success_of(store.close())


# Bytes


def test_each_byte_of_a_small_blob_counts(bench: Bench) -> None:
    """A bit turned in any of them, one cut off, one more, none at all."""
    payload = b"some bytes that are kept in the database"
    names = [f"n{at}" for at in range(len(payload) + 3)]
    store = filled(bench, *names, "sound", payload=payload)
    harmed = [flipped(payload, at) for at in range(len(payload))] + [payload[:-1], payload + b"x", b""]
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    for name, bad in zip(names, harmed, strict=True):
        query = "UPDATE small SET payload = ? WHERE number = (SELECT number FROM entries WHERE id = ?)"
        connection.execute(query, (bad, name))
    connection.close()
    assert scrubbed(store) == Findings(damaged=len(names))
    assert isinstance(failure_of(store.fetch(BlobID("n0"))), BlobDamaged)
    assert success_of(store.stat(BlobID("sound"))).size == len(payload)
    assert scrubbed(store) == CLEAN
    check_books(bench, store)
    success_of(store.close())


def _replaced_by(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def harm(file: Path) -> None:
        file.unlink()
        make(file)

    return harm


def _rewritten(how: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(how(file.read_bytes()))


def _cut(payload: bytes, size: int) -> bytes:
    return payload[:size]


HARMS: dict[str, Callable[[Path], object]] = {
    **{f"bit turned at {at}": _rewritten(partial(flipped, at=at)) for at in (0, 1, 65_535, 65_536, len(LARGE) - 1)},
    **{f"cut to {size}": _rewritten(partial(_cut, size=size)) for size in (0, 1, 4096, 65_536, len(LARGE) - 1)},
    "longer": _rewritten(lambda p: p + b"x"),
    "a block of zeros": _rewritten(lambda p: p[:4096] + bytes(4096) + p[8192:]),
    "gone": Path.unlink,
    "a directory": _replaced_by(Path.mkdir),
    "a link to nowhere": _replaced_by(lambda file: file.symlink_to("nowhere")),
    "a link to a sound file": _replaced_by(lambda file: file.symlink_to(__file__)),
    "a pipe": _replaced_by(os.mkfifo),
}


def test_whatever_is_done_to_a_file_is_found(bench: Bench) -> None:
    """Each file in another way, all in one pass; what was in its place is in quarantine, with a note."""
    store = bench.open()
    for number in range(len(HARMS) + 1):
        received(store, LARGE, entry(f"n{number}"))
    for number, harm in enumerate(HARMS.values()):
        harm(next(file for file in bench.files("blobs") if file.name.startswith(f"n{number}.")))
    assert scrubbed(store) == Findings(damaged=len(HARMS))
    assert {one.id for one in held_in(bench.path) if one.is_damaged} == {f"n{number}" for number in range(len(HARMS))}
    assert [file.name.partition(".")[0] for file in bench.files("blobs")] == [f"n{len(HARMS)}"]
    assert len([file for file in bench.files("quarantine") if file.suffix == ".why"]) == len(HARMS)
    assert scrubbed(store) == CLEAN
    check_books(bench, store)
    success_of(store.close())


def test_two_files_that_changed_places_are_both_found(bench: Bench) -> None:
    """Of one length, each sound in itself."""
    store = bench.open()
    for name, payload in (("a", LARGE), ("b", LARGE[::-1][1:] + b"y")):
        received(store, payload, entry(name))
    one, two = bench.files("blobs")
    mine, theirs = one.read_bytes(), two.read_bytes()
    one.write_bytes(theirs)
    two.write_bytes(mine)
    assert scrubbed(store) == Findings(damaged=2)
    success_of(store.close())


# Rows


def test_each_field_of_a_row_counts(bench: Bench) -> None:
    """Only the ID is known of it then; the entry is damaged, the counts and digests are right, and a delete is possible."""
    columns = [*COLUMNS, "bucket"]
    store = filled(bench, *columns)
    for column in columns:
        change(bench, column, column, other)
    assert isinstance(failure_of(store.remove(BlobID("version"), Version(9))), BlobDamaged)
    assert scrubbed(store) == Findings(rows=len(columns))
    held = {one.id: one for one in held_in(bench.path)}
    assert {name for name, one in held.items() if one.is_unknown} == set(COLUMNS)
    assert not held[BlobID("bucket")].is_damaged
    check_books(bench, store)
    assert isinstance(failure_of(store.fetch(BlobID("version"))), BlobDamaged)
    assert not success_of(store.remove(BlobID("version"), Version(9))).entry.is_live
    assert received(store, b"hello", entry("size")).size == 5
    assert scrubbed(store) == CLEAN
    assert store.status().healed == 1
    check_books(bench, store)
    success_of(store.close())


def test_each_byte_of_what_is_long_in_a_row_counts(bench: Bench) -> None:
    """Digest, metadata, and the ID itself: what has none any more is gone, and nobody is served anything else."""
    places = [("sha256", at) for at in range(32)] + [("metadata", at) for at in range(10)] + [("id", at) for at in range(6)]
    turned = {f"{number:04}is": (*place, number % 8) for number, place in enumerate(places)}
    store = filled(bench, *turned)
    for name, (column, at, bit) in turned.items():
        change(bench, name, column, partial(with_bit_turned, at=at, bit=bit))
    assert scrubbed(store) == Findings(rows=len(turned))
    for name, (column, _, _) in turned.items():
        error = failure_of(store.fetch(BlobID(name)))
        assert isinstance(error, BlobDamaged | BlobNotFound if column == "id" else BlobDamaged)
    assert scrubbed(store) == CLEAN
    check_books(bench, store)
    success_of(store.close())


def test_a_tombstone_that_cannot_be_trusted_is_healed_by_another(bench: Bench) -> None:
    """Nobody knows that it was one; the peer's takes its place whatever its version."""
    store = filled(bench)
    success_of(store.remove(BlobID("a"), Version(9)))
    change(bench, "a", "version", other)
    assert scrubbed(store) == Findings(rows=1)
    assert success_of(store.remove(BlobID("a"), Version(0))).entry == Entry.tombstone(BlobID("a"), Version(0))
    check_books(bench, store)
    success_of(store.close())


def test_the_bytes_of_a_row_that_cannot_be_trusted_are_kept(bench: Bench) -> None:
    """Small or large: they are evidence, and who knows, the only copy."""
    store = filled(bench, "small")
    received(store, LARGE, entry("large"))
    received(store, LARGE, entry("lost"))
    change(bench, "small", "version", other)
    change(bench, "large", "version", other)
    change(bench, "lost", "file", lambda serial: serial + 1000)
    assert scrubbed(store) == Findings(rows=3)
    kept = {file.name.partition(".")[0]: file.read_bytes() for file in bench.files("quarantine") if file.suffix != ".why"}
    assert kept == {"small": b"hello", "large": LARGE}
    success_of(store.close())
    again = bench.open()  # only now is the serial of the lost file one of an earlier opening
    assert scrubbed(again) == Findings(orphans=1)
    assert next(file.read_bytes() for file in bench.files("quarantine") if file.name.startswith("lost.")) == LARGE
    assert bench.files("blobs") == []
    success_of(again.close())


def test_two_rows_that_have_come_to_one_name_become_one(bench: Bench) -> None:
    """A name that is text, and the same as bytes: SQLite takes them for two."""
    store = filled(bench, "a", "b")
    bench.rows("UPDATE entries SET id = CAST('a' AS BLOB) WHERE id = 'b'")
    assert scrubbed(store) == Findings(rows=1)
    assert [one.id for one in held_in(bench.path)] == ["a"]
    assert success_of(store.stat(BlobID("a"))).size == 5
    success_of(store.close())


def test_bytes_in_the_database_without_a_row_go(bench: Bench) -> None:
    """Be it that the number of their row was changed: then the row is damaged as well."""
    store = filled(bench, "a", "b")
    bench.rows("UPDATE entries SET number = 99 WHERE id = 'a'")
    assert scrubbed(store) == Findings(damaged=1, orphans=1)
    assert bench.rows("SELECT count(*) FROM small") == [(1,)]
    assert b"hello" in [file.read_bytes() for file in bench.files("quarantine")]
    success_of(store.close())


# Files that no row names


def plant(bench: Bench, name: str, serial: int) -> Path:
    """Put a file into the tree."""
    file = bench.path / directory_of(BlobID(name)) / f"{name}.{serial}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"left behind")
    return file


def test_orphans_are_removed(bench: Bench) -> None:
    """Of no row, or of one that names another file; what waits to be unlinked goes by itself."""
    store = filled(bench, "small")
    received(store, LARGE, entry("large"))
    (named,) = bench.files("blobs")
    success_of(store.close())
    store = bench.open()
    for name in ("small", "large", "nobody"):
        plant(bench, name, 7)
    unlinking = plant(bench, "waits", 8)
    bench.rows("INSERT INTO unlinks VALUES (8, 'waits')")
    assert scrubbed(store) == Findings(orphans=3)
    assert bench.files("blobs") == sorted([named, unlinking])
    assert scrubbed(store) == CLEAN
    success_of(store.close())


def test_a_file_that_is_being_published_is_no_orphan(bench: Bench) -> None:
    """Its serial is of this opening, and its row comes later. One of a later opening is not ours to judge."""
    store = bench.open()
    opening = bench.rows("SELECT value FROM meta WHERE name = 'openings'")[0][0]
    now, later = plant(bench, "now", (opening << 32) + 900), plant(bench, "later", (opening + 1 << 32) + 1)
    assert scrubbed(store) == Findings(foreign=1)
    assert bench.files("blobs") == sorted([now, later])
    success_of(store.close())
    store = bench.open()
    assert scrubbed(store) == Findings(orphans=1)
    assert bench.files("blobs") == [later]
    success_of(store.close())


def test_f23_what_is_not_ours_is_counted_and_never_followed(bench: Bench, tmp_path: Path) -> None:
    """Files, links, and directories named like an ID; an orphan behind a link is nobody's."""
    store = bench.open()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    blobs = bench.path / "blobs"
    home = bench.path / directory_of(BlobID("abc"))
    home.mkdir(parents=True)
    away = (elsewhere / directory_of(BlobID("away"))[-2:]) / "away.7"
    away.parent.mkdir()
    away.write_bytes(b"precious")
    (blobs / directory_of(BlobID("away"))[6:8]).symlink_to(elsewhere)
    (home / "abc.7").symlink_to(away)
    (home / "abc.8").mkdir()
    for name in ("readme", "abc", "ABC.7", "abc.07", "abc.7.8", ".abc.9", "other.7", "a\u00e4.7"):
        (home / name).write_bytes(b"")
    for place in (blobs / "abc", blobs / "ABC", home.parent / "abc", home.parent / "x"):
        place.mkdir()
    assert scrubbed(store) == Findings(foreign=1 + 2 + 8 + 4)
    assert away.read_bytes() == b"precious"
    assert CLEAN.is_clean and Findings(foreign=1).is_clean and not Findings(orphans=1).is_clean
    success_of(store.close())


# Books


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE digests SET digest = x'00112233445566778899aabbccddeeff' WHERE bucket = (SELECT bucket FROM entries)",
        "DELETE FROM digests",
        "INSERT OR REPLACE INTO digests VALUES (9, x'00112233445566778899aabbccddeeff')",
        "INSERT INTO digests VALUES (70000, x'00')",
        "UPDATE counts SET value = value + 1 WHERE name = 'live'",
        "UPDATE counts SET value = -3 WHERE name = 'size'",
        "DELETE FROM counts WHERE name = 'strays'",
        "UPDATE counts SET value = 'many' WHERE name = 'deleted'",
        "UPDATE meta SET value = 1 WHERE name = 'highest'",
        "UPDATE meta SET value = 'new' WHERE name = 'highest'",
    ],
)
def test_d12_digests_and_counts_are_held_against_the_rows(bench: Bench, harm: str) -> None:
    """And made right."""
    store = filled(bench, "only")
    bench.rows(harm)
    assert scrubbed(store) == Findings(books=1)
    assert scrubbed(store) == CLEAN
    check_books(bench, store)
    assert bench.rows("SELECT value FROM meta WHERE name = 'highest'") == [(5,)]
    success_of(store.remove(BlobID("only"), Version(6)))
    check_books(bench, store)
    success_of(store.close())


def test_a_bucket_is_mended_in_the_middle_of_changes(bench: Bench) -> None:
    """A write of the same transaction is in the rows already, and not yet in the digest that is kept."""
    store = filled(bench, "only")
    bench.rows("UPDATE digests SET digest = x'00112233445566778899aabbccddeeff'")
    assert scrubbed(store).books == 1
    received(store, b"x", entry("later"))
    check_books(bench, store)
    assert len(success_of(store.digests())) == 64
    assert success_of(store.summary()).root != root_digest([bytes(16)] * BUCKETS)
    success_of(store.close())


def test_an_index_that_misses_a_row_is_made_anew(bench: Bench) -> None:
    """Who asks by bucket, or by ID, asks an index: what it misses would be said not to be there."""
    store = filled(bench, "a", "b")
    success_of(store.close())
    (sql, page) = bench.rows("SELECT sql, rootpage FROM sqlite_master WHERE name = 'buckets'")[0]
    _edit_schema(bench, "DELETE FROM sqlite_master WHERE name = 'buckets'")
    bench.rows("UPDATE entries SET bucket = bucket + 1 WHERE id = 'a'")
    bench.rows("UPDATE entries SET bucket = bucket - 1 WHERE id = 'b'")
    _edit_schema(bench, f"INSERT INTO sqlite_master VALUES ('index', 'buckets', 'entries', {page}, '{sql}')")
    store = bench.open()
    found = scrubbed(store)
    assert (found.books, found.rows) == (1, 2)
    assert [one.id for one in success_of(store.entries(bucket_of(BlobID("a"))))] == ["a"]
    assert scrubbed(store) == CLEAN
    check_books(bench, store)
    success_of(store.close())


def _edit_schema(bench: Bench, statement: str) -> None:
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    try:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement)
    finally:
        connection.close()
