"""Torture F40: the store of the last release, kept in ``last_release`` and made by ``make_last_release.py``."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from sos.decisions.buckets import BUCKETS, EMPTY, PARTS, bucket_of, changed, root_digest, takes_part
from sos.http.bodies import collect
from sos.store.disk import DiskStore
from sos.words.blob import BlobID, Entry, Kind, Version
from sos.words.errors import BlobConflict, BlobNotFound, StoreRefused
from tests.contracts.replica_sites import held_in
from tests.store.faults import Bench
from tests.store.make_last_release import DELETED, EXPIRES, GROUP, HERE, HIGHEST, LIVE, ROUND, UUID
from tests.support import bytes_body, failure_of, success_of


@pytest.fixture
def copied(tmp_path: Path) -> Bench:
    """Give a copy of it, which is not opened yet."""
    shutil.copytree(HERE, tmp_path / "store")
    return Bench(tmp_path / "store")


@pytest.fixture
def store(copied: Bench) -> Iterator[DiskStore]:
    """Give it, opened where a store must be."""
    opened = copied.open(must_exist=True)
    yield opened
    success_of(opened.close())


def as_held(entry: Entry, payload: bytes) -> Entry:
    """Say what a store knows of a blob that it took."""
    return evolve(entry, size=len(payload), sha256=hashlib.sha256(payload).digest())


@pytest.mark.parametrize("entry", LIVE, ids=lambda entry: entry.id)
def test_its_blobs_are_there_with_all_that_was_known_of_them(store: DiskStore, entry: Entry) -> None:
    """Bytes, version, kind, metadata, expiry; and each has its place in the lists."""
    opened = success_of(store.fetch(entry.id))
    assert opened.entry == as_held(entry, LIVE[entry])
    assert success_of(collect(opened.body, 10**6)) == LIVE[entry]
    assert success_of(store.enumerate()) == sorted(entry.id for entry in LIVE)
    assert (entry.id in success_of(store.enumerate(kind=Kind.CHUNK))) is (entry.kind is Kind.CHUNK)
    assert (entry.id in success_of(store.enumerate(kind=Kind.MANIFEST))) is (entry.kind is Kind.MANIFEST)
    assert (entry.id in [stray.id for stray in success_of(store.strays())]) is entry.is_stray


@pytest.mark.parametrize("name", DELETED)
def test_its_tombstones_still_say_that_a_blob_was_deleted(store: DiskStore, name: BlobID) -> None:
    """A late copy is refused, and what comes later lives."""
    assert isinstance(failure_of(store.fetch(name)), BlobNotFound)
    late = Entry(id=name, version=Version(DELETED[name] - 1))
    refused = failure_of(store.receive(late, bytes_body(b"late")))
    assert isinstance(refused, BlobConflict) and refused.version == DELETED[name]
    success_of(store.receive(evolve(late, version=Version(DELETED[name] + 1)), bytes_body(b"later")))
    assert success_of(store.stat(name)).size == 5


def test_its_books_agree_with_its_rows(store: DiskStore, copied: Bench) -> None:
    """Digests, counts, clock, round and group; so that a member of the last release and one of this one are equal."""
    buckets = [EMPTY] * BUCKETS
    held = held_in(copied.path)
    assert {entry.id for entry in held} == {entry.id for entry in LIVE} | set(DELETED)
    for entry in held:
        if takes_part(entry):
            buckets[bucket_of(entry.id)] = changed(buckets[bucket_of(entry.id)], entry)
    summary = success_of(store.summary())
    assert [digest for part in range(PARTS) for digest in success_of(store.digests(part))] == buckets
    assert summary.root == root_digest(buckets)
    assert (summary.store, summary.group, summary.round) == (UUID, GROUP, ROUND)
    assert (summary.live, summary.deleted, summary.damaged, summary.strays) == (len(LIVE), len(DELETED), 0, 1)
    assert summary.clock == HIGHEST < store.clock.tick()


def test_its_root_digest_is_what_it_was(store: DiskStore) -> None:
    """Were it another one, members of two releases would copy everything back and forth in every round."""
    assert success_of(store.summary()).root.hex() == "1c8f25efa15f4830bb695ab3ac76e3cc"


def test_it_goes_on_as_a_store(copied: Bench) -> None:
    """It takes, removes and replaces, and all of it is there after a restart."""
    store = copied.open()
    for name, size in (("small", 5), ("large", 70_000)):
        success_of(store.remove(BlobID(name), Version(HIGHEST + 1)))
        success_of(store.receive(Entry(id=BlobID(name), version=Version(HIGHEST + 2)), bytes_body(b"y" * size)))
    success_of(store.receive(Entry(id=BlobID("new"), version=Version(HIGHEST + 3)), bytes_body(b"z" * 70_000)))
    success_of(store.close())
    again = copied.open()
    assert success_of(collect(success_of(again.fetch(BlobID("large"))).body, 10**6)) == b"y" * 70_000
    assert success_of(again.stat(BlobID("new"))).size == 70_000
    assert len(copied.files("blobs")) == 2
    success_of(again.close())


def test_what_expires_in_it_expires_in_time(copied: Bench) -> None:
    """Its index of expiries is used."""
    copied.now = EXPIRES + 100_000.0
    store = copied.open()
    assert isinstance(failure_of(store.stat(BlobID("expiring"))), BlobNotFound)
    assert success_of(store.reap()) == 1
    assert success_of(store.stat(BlobID("small"))).size == 5
    success_of(store.close())


def test_a_store_of_a_later_release_is_refused_and_left_as_it_is(copied: Bench) -> None:
    """The marker's format, or the layout of the tables: nothing is written."""
    marker = copied.path / "store.json"
    marker.write_text(marker.read_text().replace('"format": 1', '"format": 2'))
    before = {path: path.read_bytes() for path in copied.path.rglob("*") if path.is_file()}
    with pytest.raises(StoreRefused, match="has format 2, and this program knows 1: start the one that made it"):
        copied.open()
    assert {path: path.read_bytes() for path in copied.path.rglob("*") if path.is_file()} == before
    marker.write_bytes((HERE / "store.json").read_bytes())
    copied.rows("PRAGMA user_version = 99")
    with pytest.raises(StoreRefused, match="layout 99"):
        copied.open()
    copied.rows("PRAGMA user_version = 1")
    success_of(copied.open().close())
