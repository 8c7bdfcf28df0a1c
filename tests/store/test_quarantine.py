"""Quarantine moves what was suspected, and nothing that has taken its place since."""

from __future__ import annotations

from attrs import evolve

from sos.http.bodies import collect
from sos.store.index import Index
from sos.store.quarantine import Quarantine, Suspicion
from sos.store.tree import Tree
from sos.words.blob import BlobID, Entry, Kind, Version
from tests.store.faults import Bench
from tests.support import bytes_body, success_of

ENTRY = Entry(id=BlobID("abc"), version=Version(5), kind=Kind.MANIFEST)
LARGE = b"x" * 100_000


def set_apart(bench: Bench, suspicion: Suspicion, index: Index) -> bool:
    """Suspect a blob's bytes."""
    return Quarantine(bench.fs, Tree(bench.fs)).set_apart(suspicion, 77, index)


def test_what_was_replaced_since_is_left_alone(bench: Bench) -> None:
    """A suspicion names the file that was seen; the one there now may be sound."""
    store = bench.open()
    success_of(store.receive(ENTRY, bytes_body(LARGE)))
    seen = Suspicion(ENTRY.id, int(bench.files("blobs")[0].name.partition(".")[2]), "seen")
    success_of(store.receive(evolve(ENTRY, version=Version(6)), bytes_body(LARGE + b"y")))
    assert success_of(store._commits.submit(lambda index: set_apart(bench, seen, index))) is False
    assert success_of(collect(success_of(store.fetch(ENTRY.id)).body, 10**6)) == LARGE + b"y"
    success_of(store.close())


def test_sound_bytes_in_the_database_are_left_alone(bench: Bench) -> None:
    """They are hashed again before they are taken away."""
    store = bench.open()
    success_of(store.receive(ENTRY, bytes_body(b"small")))
    suspicion = Suspicion(ENTRY.id, None, "a mistake")
    assert success_of(store._commits.submit(lambda index: set_apart(bench, suspicion, index))) is False
    assert success_of(collect(success_of(store.fetch(ENTRY.id)).body, 10)) == b"small"
    success_of(store.close())


def test_the_bytes_are_kept_with_a_note(bench: Bench) -> None:
    """For whoever wants to know what the disk did."""
    store = bench.open()
    success_of(store.receive(ENTRY, bytes_body(LARGE)))
    seen = Suspicion(ENTRY.id, int(bench.files("blobs")[0].name.partition(".")[2]), "It smells.")
    assert success_of(store._commits.submit(lambda index: set_apart(bench, seen, index))) is True
    kept, note = bench.files("quarantine")
    assert (kept.name, kept.read_bytes()) == ("abc.77", LARGE)
    assert (note.name, note.read_text()) == ("abc.77.why", "It smells.\n")
    assert bench.files("blobs") == []
    success_of(store.close())
