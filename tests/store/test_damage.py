"""Torture D11 at the store: each bit of a blob's bytes in turn is found, set apart, and healed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sos.http.bodies import collect
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobDamaged
from tests.store.faults import Bench
from tests.support import bytes_body, failure_of, success_of

SMALL = bytes(range(256)) * 16
LARGE = bytes(range(250)) * 820
ENTRY = Entry(id=BlobID("abc"), version=Version(5))


def flip_some(path: Path, payload: bytes, stride: int) -> None:
    """Flip a bit of one byte in so many, one after the other; whoever asks afterwards never gets the bytes."""
    bench = Bench(path / "store")
    store = bench.open()
    entry = success_of(store.receive(ENTRY, bytes_body(payload))).entry
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    for place in range(0, len(payload), stride):
        flipped = bytearray(payload)
        flipped[place] ^= 1 << place % 8
        if payload is SMALL:
            connection.execute("UPDATE small SET payload = ?", (bytes(flipped),))
            success_of(store.reap())  # a commit, after which nothing is given out of memory
            assert isinstance(failure_of(store.stat(ENTRY.id)), BlobDamaged), place
        else:
            (file,) = bench.files("blobs")
            file.write_bytes(flipped)
            success_of(store.suspect(ENTRY.id))
        assert isinstance(failure_of(store.fetch(ENTRY.id)), BlobDamaged), place
        assert store.status().damaged == 1
        kept, note = bench.files("quarantine")
        assert kept.read_bytes() == flipped and "SHA-256" in note.read_text()
        kept.unlink()
        note.unlink()
        success_of(store.receive(entry, bytes_body(payload)))
        assert store.status().damaged == 0
        assert success_of(collect(success_of(store.fetch(ENTRY.id)).body, len(payload))) == payload
    connection.close()
    success_of(store.close())


@pytest.mark.parametrize(("payload", "stride"), [(SMALL, 101), (LARGE, 5003)])
def test_a_flipped_bit_is_found_and_healed(memory_path: Path, payload: bytes, stride: int) -> None:
    """Once the bytes are looked at: those in the database always are, those in a file when somebody suspects them."""
    flip_some(memory_path, payload, stride)


@pytest.mark.torture
@pytest.mark.parametrize(("payload", "stride"), [(SMALL, 1), (LARGE, 11)])
def test_a_flipped_bit_is_found_wherever_it_is(memory_path: Path, payload: bytes, stride: int) -> None:
    """As above, in every byte of 4 KiB, and in 18,600 of 200 KiB."""
    flip_some(memory_path, payload, stride)
