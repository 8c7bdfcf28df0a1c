"""I14: any damage with one good copy left is gone after one pass of the scrub and one round."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from sos.store.disk import DiskStore
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from sos.words.interfaces import Findings
from tests.contracts.replica_sites import held_in
from tests.store.faults import Bench
from tests.store.scrubbing import fill, scrubbed
from tests.store.test_replica import LARGE, received, recomputed_root
from tests.support import success_of
from tests.usecases.cluster_of import cluster_of

SMALL_ONES = [f"small{number}" for number in range(24)]
LARGE_ONES = [f"large{number}" for number in range(8)]
GONE = [f"gone{number}" for number in range(8)]
FIELDS = ("version", "state", "kind", "size", "arrived", "checksum", "metadata", "sha256", "damaged", "stray")


def filled(path: Path) -> tuple[Bench, DiskStore]:
    """Make a store with some of everything that a group has in common."""
    bench = Bench(path)
    store = bench.open()
    entries = [Entry(id=BlobID(name), version=Version(5), metadata=Metadata.of([(b"x-is", b"it")])) for name in SMALL_ONES]
    fill(store, *entries)
    for number, name in enumerate(LARGE_ONES):
        kind = Kind.MANIFEST if number % 2 else Kind.BLOB
        received(store, LARGE, Entry(id=BlobID(name), version=Version(number % 3), kind=kind))
    for name in GONE:
        success_of(store.remove(BlobID(name), Version(7)))
    return bench, store


def harm(bench: Bench, name: str, chance: random.Random) -> None:
    """Damage what a store holds under a name: its row, its bytes, or its file."""
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    files = [file for file in bench.files("blobs") if file.name.startswith(f"{name}.")]
    try:
        if name in GONE or chance.random() < 0.5:
            field = chance.choice(FIELDS)
            value = b"\0" if field in ("metadata", "sha256") else 77
            connection.execute(f"UPDATE entries SET {field} = ? WHERE id = ?", (value, name))
        elif files:
            (file,) = files
            bad = chance.choice([None, LARGE[:-1], LARGE[1:] + b"y"])
            if bad is None:
                file.unlink()
            else:
                file.write_bytes(bad)
        else:
            query = "UPDATE small SET payload = x'00' WHERE number = (SELECT number FROM entries WHERE id = ?)"
            connection.execute(query, (name,))
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(3))
def test_i14_damage_is_gone_after_a_pass_and_a_round(tmp_path: Path, seed: int) -> None:
    """Each name is harmed at one of the two members, never at both; I15: all of it is counted, and counted as healed."""
    chance = random.Random(seed)
    (one, first), (two, second) = filled(tmp_path / "one"), filled(tmp_path / "two")
    harmed = chance.sample([*SMALL_ONES, *LARGE_ONES, *GONE], 20)
    for name in harmed:
        harm(chance.choice([one, two]), name, chance)
    found = [scrubbed(first), scrubbed(second)]
    assert sum(each.damaged + each.rows for each in found) == len(harmed)
    assert all(each.orphans == each.books == each.foreign == 0 for each in found)
    outcome = success_of(Replication(cluster_of(a={"one": first, "two": second}), SilentReporter()).round())
    assert outcome.is_complete and not outcome.reported
    assert held_in(one.path) != [] and sorted(held_in(one.path), key=repr) == sorted(held_in(two.path), key=repr)
    assert success_of(first.summary()).root == success_of(second.summary()).root == recomputed_root(one)
    healed = first.status().healed + second.status().healed
    assert healed == len([name for name in harmed if name not in GONE])
    assert [scrubbed(first), scrubbed(second)] == [Findings(), Findings()]
    for store in (first, second):
        assert (store.status().damaged, store.status().blobs, store.status().deleted) == (0, 32, 8)
        success_of(store.close())


def test_f24_what_is_damaged_everywhere_is_reported_and_never_taken_for_gone(tmp_path: Path) -> None:
    """Only the ID is known at either member: it stays, until somebody deletes it or uploads it again."""
    (one, first), (two, second) = filled(tmp_path / "one"), filled(tmp_path / "two")
    for bench in (one, two):
        bench.rows("UPDATE entries SET version = 77 WHERE id = 'small0'")
    received(second, b"more", Entry(id=BlobID("other"), version=Version(1)))
    for store in (first, second):
        assert scrubbed(store) == Findings(rows=1)
        success_of(Replication(cluster_of(a={"one": first, "two": second}), SilentReporter()).round())
        assert store.status().damaged == 1
    success_of(first.remove(BlobID("small0"), Version(9)))
    success_of(Replication(cluster_of(a={"one": first, "two": second}), SilentReporter()).round())
    for store in (first, second):
        assert (store.status().damaged, store.status().deleted) == (0, 9)
        success_of(store.close())
