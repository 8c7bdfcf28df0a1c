"""Torture D11, F22, F24, F25: stores on disks whose files and rows are changed behind their back, and an api before them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest
from twisted.logger import LogLevel, capturedLogs

from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.store.room import Reserve
from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.cluster.conftest import Builder
from tests.cluster.town import NOW, Town, id_of
from tests.cluster.visitor import Answer
from tests.support import immediately, success_of

SMALL = bytes(range(256)) * 16
LARGE = bytes(range(250)) * 820
OTHER = LARGE[::-1]
METADATA = {"X-Mime-Type": "image/png", "X-Colour": "green"}
SPAN = (1000, 1999)

Harm = Callable[[Path], object]


class Disks:
    """A town whose members have disks, and the hands of somebody who means harm."""

    def __init__(self, build: Builder, path: Path, names: str) -> None:
        self.path = path
        self.stores: dict[str, DiskStore] = {}
        self.town: Town = build(store_for=self._store_for, one=names)

    def _store_for(self, name: str, clock: HybridClock) -> ILocalReplica:
        self.stores[name] = open_disk_store(
            self.path / name,
            in_thread=immediately,
            commit_in_thread=immediately,
            wall=lambda: NOW,
            reserve=Reserve(percent=0, least=0),
        )
        return self.stores[name]

    def close(self) -> None:
        """Close the stores."""
        for store in self.stores.values():
            success_of(store.close())

    def stored(self, payload: bytes) -> None:
        """Upload some bytes with metadata; every member takes them."""
        answer = self.town.upload(payload, METADATA).answer
        assert answer.json["copies"] == len(self.stores)

    # Harm

    def file(self, name: str, payload: bytes) -> Path:
        """Give the file in which a member keeps some bytes."""
        ((serial,),) = self.rows(name, "SELECT file FROM entries WHERE id = ?", id_of(payload))
        (file,) = (self.path / name / "blobs").rglob(f"{id_of(payload)}.{serial}")
        return file

    def harm_file(self, name: str, payload: bytes, harm: Harm) -> None:
        """Do something to the file of some bytes."""
        harm(self.file(name, payload))

    def flip(self, name: str, payload: bytes, place: int, bit: int) -> None:
        """Change one bit of a copy, in its file or in the database."""
        changed = bytearray(payload)
        changed[place] ^= 1 << bit
        if payload is SMALL:
            query = "UPDATE small SET payload = ? WHERE number = (SELECT number FROM entries WHERE id = ?)"
            self.rows(name, query, bytes(changed), id_of(payload))
            success_of(self.stores[name].reap())  # a commit, after which nothing is given out of memory
        else:
            self.file(name, payload).write_bytes(changed)

    def rows(self, name: str, query: str, *arguments: object) -> list[tuple[object, ...]]:
        """Ask a member's database behind its back, or change it."""
        connection = sqlite3.connect(self.path / name / "sos.db", isolation_level=None)
        try:
            return connection.execute(query, arguments).fetchall()
        finally:
            connection.close()

    # What clients see

    def asked(self, payload: bytes, method: str = "GET", headers: Mapping[str, str] = {}) -> Answer:
        """Ask the api; a whole answer is right."""
        answer = self.town.answer_to(self.town.fetch(payload, method, headers))
        if answer.status in (200, 206):
            assert answer.is_whole
            start, stop = (SPAN[0], SPAN[1] + 1) if answer.status == 206 else (0, len(payload))
            assert answer.body == (b"" if method == "HEAD" else payload[start:stop])
            assert int(answer.headers["content-length"]) == stop - start
            shown = {name: answer.headers[name.lower()] for name in METADATA}
            assert shown == METADATA and answer.headers["content-type"] == "image/png"
        return answer

    def statuses(self, payload: bytes) -> list[int]:
        """Give the statuses of HEAD, a range, GET, and HEAD again."""
        ranged = {"Range": "bytes={}-{}".format(*SPAN)}
        head, part = self.asked(payload, "HEAD"), self.asked(payload, headers=ranged)
        return [head.status, part.status, self.asked(payload).status, self.asked(payload, "HEAD").status]

    def healed_by_a_round(self, name: str, payload: bytes) -> None:
        """Run a round: a member has the right bytes again, and says so by itself."""
        success_of(self.town.api.replicate())
        assert name in self.town.holders(payload)
        assert success_of(self.stores[name].summary()).damaged == 0
        if payload is SMALL:
            assert self.rows(name, "SELECT payload FROM small") == [(payload,)]
        else:
            assert self.file(name, payload).read_bytes() == payload


@pytest.fixture
def disks(build: Builder, memory_path: Path) -> Iterator[Disks]:
    """Give a group of two, the first of which is asked first."""
    made = Disks(build, memory_path, "ab")
    yield made
    made.close()


@pytest.fixture
def three(build: Builder, memory_path: Path) -> Iterator[Disks]:
    """Give a group of three."""
    made = Disks(build, memory_path, "abc")
    yield made
    made.close()


def truncated(file: Path) -> None:
    """Cut a file short by a byte."""
    os.truncate(file, file.stat().st_size - 1)


def emptied(file: Path) -> None:
    """Leave nothing in a file."""
    os.truncate(file, 0)


def extended(file: Path) -> None:
    """Add a byte."""
    file.write_bytes(file.read_bytes() + b"x")


def zeroed(file: Path) -> None:
    """Lose a block."""
    payload = bytearray(file.read_bytes())
    payload[4096:8192] = bytes(4096)
    file.write_bytes(payload)


def swapped(file: Path) -> None:
    """Put the bytes of another blob in its place, which are as many."""
    (other,) = file.parents[2].rglob(f"{id_of(OTHER)}.*")
    shutil.copyfile(other, file)


def linked(file: Path) -> None:
    """Put a symbolic link to the right bytes in its place."""
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def a_directory(file: Path) -> None:
    """Put a directory in its place."""
    file.unlink()
    file.mkdir()


HARMS: list[Harm] = [truncated, emptied, extended, zeroed, swapped, linked, a_directory, Path.unlink]


def flip_some(disks: Disks, payload: bytes, stride: int) -> None:
    """Flip a bit in one byte of so many, one after the other; each time it is served, found, and healed."""
    disks.stored(payload)
    for place in range(0, len(payload), stride):
        disks.flip("a", payload, place, place % 8)
        assert disks.statuses(payload) == [200, 206, 200, 200]
        assert success_of(disks.stores["a"].summary()).damaged == 1, place
        disks.healed_by_a_round("a", payload)


@pytest.mark.parametrize(("payload", "stride"), [(SMALL, 409), (LARGE, 20_011)])
def test_no_flipped_bit_is_served_and_a_round_heals_it(disks: Disks, payload: bytes, stride: int) -> None:
    """Whichever byte it is: the other member serves, the damage is found by the read, and counted."""
    flip_some(disks, payload, stride)


@pytest.mark.torture
@pytest.mark.parametrize(("payload", "stride"), [(SMALL, 31), (LARGE, 1009)])
def test_no_flipped_bit_is_served_wherever_it_is(disks: Disks, payload: bytes, stride: int) -> None:
    """As above, in many more bytes; the store alone is tried with all of them (tests/store)."""
    flip_some(disks, payload, stride)


@pytest.mark.parametrize("harm", HARMS)
def test_a_harmed_file_is_not_served_and_a_round_heals_it(disks: Disks, harm: Harm) -> None:
    """Torture F22: whatever was done to it."""
    disks.stored(OTHER)
    disks.stored(LARGE)
    disks.harm_file("a", LARGE, harm)
    assert disks.statuses(LARGE) == [200, 206, 200, 200]
    assert success_of(disks.stores["a"].summary()).damaged == 1
    disks.healed_by_a_round("a", LARGE)
    assert disks.statuses(LARGE) == [200, 206, 200, 200]


@pytest.mark.parametrize("harm", HARMS)
def test_where_every_copy_is_damaged_it_is_503_and_an_alarm(disks: Disks, harm: Harm) -> None:
    """Torture F24: not 404, and nothing is deleted; HEAD says so too, once anybody has looked at the bytes."""
    disks.stored(OTHER)
    disks.stored(LARGE)
    for name in "ab":
        disks.harm_file(name, LARGE, harm)
    assert disks.statuses(LARGE)[1:] == [503, 503, 503]
    with capturedLogs() as logs:
        success_of(disks.town.api.replicate())
    assert [event for event in logs if event["log_level"] is LogLevel.error]
    assert disks.statuses(LARGE) == [503, 503, 503, 503]
    assert {success_of(store.summary()).damaged for store in disks.stores.values()} == {1}
    assert disks.town.upload(LARGE, METADATA).answer.json["copies"] == 2
    assert disks.statuses(LARGE) == [200, 206, 200, 200]


def test_where_every_small_copy_is_damaged_it_is_503(disks: Disks) -> None:
    """From the first HEAD on: bytes in a database are always looked at."""
    disks.stored(SMALL)
    for name in "ab":
        disks.flip(name, SMALL, 77, 3)
    assert disks.statuses(SMALL) == [503] * 4


ROWS = (
    "version = version + 1",
    "version = 1",
    "state = 1",
    "kind = 1",
    "kind = 2",
    "size = 5",
    "size = NULL",
    "sha256 = zeroblob(32)",
    "sha256 = NULL",
    "metadata = CAST('x-colour:red' || char(10) || 'x-mime-type:image/png' || char(10) AS BLOB)",
    "metadata = x''",
    "expires = 1",
    "arrived = arrived + 1",
    "damaged = 1",
    "stray = 1",
    "file = 7",
    "file = NULL",
    "checksum = checksum + 1",
    "id = 'abc'",
)
ROWS_OF_FILES = ("size = 5", "sha256 = zeroblob(32)", "file = 7", "file = NULL")


@pytest.mark.parametrize(("payload", "change"), [*product([SMALL], ROWS), *product([LARGE], ROWS_OF_FILES)])
def test_no_changed_field_of_a_row_is_believed(disks: Disks, payload: bytes, change: str) -> None:
    """Neither by a reader, who gets what the other member has, nor in a round, which spreads nothing of it."""
    disks.stored(payload)
    good = success_of(disks.stores["b"].stat(id_of(payload)))
    disks.rows("a", f"UPDATE entries SET {change}")
    assert disks.statuses(payload) == [200, 206, 200, 200]
    success_of(disks.town.api.replicate())
    assert disks.statuses(payload) == [200, 206, 200, 200]
    assert success_of(disks.stores["b"].stat(id_of(payload))) == good
    assert disks.asked(b"never stored").status in (404, 503)


def test_where_every_row_is_changed_it_is_503(disks: Disks) -> None:
    """No checksum, no answer: it is there all the same, so it is not 404."""
    disks.stored(SMALL)
    for name in "ab":
        disks.rows(name, "UPDATE entries SET metadata = CAST('x-colour:red' || char(10) AS BLOB)")
    assert disks.statuses(SMALL) == [503] * 4


@pytest.mark.parametrize("payload", [SMALL, LARGE])
def test_damage_does_not_spread(three: Disks, payload: bytes) -> None:
    """Torture F25: what is copied is hashed where it arrives; the next source gives good bytes, and the first is told."""
    three.stored(payload)
    for table in ("entries", "digests", "small"):
        three.rows("c", f"DELETE FROM {table}")
    three.flip("a", payload, 100, 0)
    success_of(three.town.api.replicate())
    assert success_of(three.stores["a"].summary()).damaged == 1
    three.healed_by_a_round("c", payload)
    three.healed_by_a_round("a", payload)
    assert three.town.holders(payload) == "abc"
