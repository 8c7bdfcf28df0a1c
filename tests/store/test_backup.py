"""A backup of a store that is open and goes on taking writes: whole, and never the ruin of the one before."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sos.http.bodies import collect
from sos.store.backup import BackedUp, Backup, back_up
from sos.store.backup_check import check_backup
from sos.store.backup_place import place_for
from sos.store.disk import DiskStore
from sos.store.files import Fs
from sos.store.marker import DATABASE
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BlobDamaged, BlobNotFound, StoreRefused, Unavailable
from tests.store.faults import Bench
from tests.support import bytes_body, failure_of, success_of

LARGE = bytes(range(256)) * 400
SMALL = b"hello"


class Script:
    """Watches a backup; does something whenever a part of the work begins, or goes on."""

    def __init__(self, begins: Callable[[str], None] | None = None, advances: Callable[[], None] | None = None) -> None:
        self.parts: list[str] = []
        self.bytes = 0
        self._begins = begins
        self._advances = advances

    def begin(self, what: str, total: int | None) -> None:
        """Note it, and do what the script says."""
        self.parts.append(what)
        if self._begins is not None:
            self._begins(what)

    def advance(self, amount: int) -> None:
        """Count, and do what the script says."""
        self.bytes += amount
        if self._advances is not None:
            self._advances()


class Unlinkable(Fs):
    """A file system that no file of another one can be linked into."""

    def link_from(self, other: Fs, name: str) -> None:
        """Refuse."""
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


class PowerCut(BaseException):
    """The end of a process, wherever it is."""


class Doomed(Fs):
    """A file system on which a process dies at its so-many-th change."""

    def __init__(self, root: Path, descriptor: int, changes: int) -> None:
        super().__init__(root, descriptor)
        self._left = changes

    def _change(self) -> None:
        if self._left == 0:
            raise PowerCut
        self._left -= 1

    def create(self, name: str) -> int:
        """Die, or go on."""
        self._change()
        return super().create(name)

    def write(self, descriptor: int, payload: bytes) -> None:
        """Die, or go on."""
        self._change()
        super().write(descriptor, payload)

    def link_from(self, other: Fs, name: str) -> None:
        """Die, or go on."""
        self._change()
        super().link_from(other, name)

    def rename(self, old: str, new: str) -> None:
        """Die, or go on."""
        self._change()
        super().rename(old, new)

    def unlink(self, name: str) -> None:
        """Die, or go on."""
        self._change()
        super().unlink(name)

    def sync(self, descriptor: int) -> None:
        """Die, or go on."""
        self._change()
        super().sync(descriptor)


def put(store: DiskStore, name: str, payload: bytes, version: int = 5) -> None:
    """Store a blob."""
    entry = Entry(id=BlobID(name), version=Version(version), metadata=Metadata(((b"x-name", name.encode()),)))
    success_of(store.receive(entry, bytes_body(payload)))


def got(store: DiskStore, name: str) -> bytes:
    """Fetch a blob."""
    return success_of(collect(success_of(store.fetch(BlobID(name))).body, 10**7))


def backed_up(bench: Bench, place: Path, watcher: Script | None = None) -> BackedUp:
    """Back up."""
    return back_up(bench.path, place, watcher or Script())


def backed_up_on(
    bench: Bench, place: Path, make_fs: Callable[[Path, int], Fs], watcher: Script | None = None, moments: int = 3
) -> BackedUp:
    """Back up onto another file system."""
    with contextlib.ExitStack() as opened:
        descriptors = []
        for path in (bench.path, place):
            path.mkdir(exist_ok=True)
            descriptors.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
            opened.callback(os.close, descriptors[-1])
        source, target = Fs(bench.path, descriptors[0]), make_fs(place, descriptors[1])
        uuid = bench.rows("SELECT value FROM meta WHERE name = 'uuid'")[0][0]
        found = opened.enter_context(place_for(place, uuid))
        database = source.connect(DATABASE, read_only=True)
        opened.callback(database.close)
        made = Backup(
            source, type(found)(found.path, target, found.is_finished), database, uuid, watcher or Script(), moments
        )
        return made.run()


def restored(place: Path) -> DiskStore:
    """Start on a copy of a backup."""
    copy = place.with_name(f"{place.name}-copy")
    shutil.copytree(place, copy)
    return Bench(copy).open(must_exist=True)


@pytest.fixture
def store(bench: Bench) -> Iterator[DiskStore]:
    """A store with two blobs and a tombstone in it, open as long as the test."""
    opened = bench.open()
    put(opened, "small", SMALL)
    put(opened, "large", LARGE)
    put(opened, "gone", LARGE)
    success_of(opened.remove(BlobID("gone"), Version(6)))
    yield opened
    success_of(opened.close())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the backup goes."""
    return tmp_path / "deep" / "backup"


def test_a_backup_holds_all_that_the_store_holds(bench: Bench, store: DiskStore, place: Path) -> None:
    """Blobs, metadata, tombstones: the digests say so, and the store has the UUID of the first."""
    done = backed_up(bench, place)
    assert (done.blobs, done.size, done.linked, done.copied, done.complaints) == (2, len(SMALL + LARGE), 1, 0, [])
    copy = restored(place)
    assert success_of(copy.summary()).root == success_of(store.summary()).root
    assert copy.uuid == store.uuid
    assert (got(copy, "small"), got(copy, "large")) == (SMALL, LARGE)
    assert isinstance(failure_of(copy.fetch(BlobID("gone"))), BlobNotFound)
    success_of(copy.close())


def test_a_backup_has_missed_the_last_round(bench: Bench, store: DiskStore, place: Path) -> None:
    """As a member it is behind its peers, who may have deleted something since; even before another round has passed."""
    for held, expected in ((0, 0), (7, 6)):
        if held:
            success_of(store.note_round(held, "one"))
        backed_up(bench, place / str(held))
        again = restored(place / str(held))
        assert again.round == expected
        success_of(again.close())
    assert store.round == 7


def test_on_one_file_system_nothing_is_copied_but_the_database(bench: Bench, store: DiskStore, place: Path) -> None:
    """The files get a second name."""
    backed_up(bench, place)
    (original,) = bench.files("blobs")
    (linked,) = Bench(place).files("blobs")
    assert original.samefile(linked)
    assert not (bench.path / "sos.db").samefile(place / "sos.db")


def test_on_another_file_system_files_are_copied_once(bench: Bench, store: DiskStore, place: Path) -> None:
    """Then the next backup brings only what is new."""
    place.parent.mkdir()
    assert backed_up_on(bench, place, Unlinkable).copied == 1
    put(store, "more", LARGE[:-1])
    done = backed_up_on(bench, place, Unlinkable)
    assert (done.copied, done.linked, done.removed) == (1, 0, 0)
    assert check_backup(place, Script()).blobs == 3
    assert {path.stat().st_mode & 0o777 for path in Bench(place).files(".")} == {0o600}


def test_what_the_store_let_go_goes_from_the_backup(bench: Bench, store: DiskStore, place: Path) -> None:
    """And what a dead backup left half copied."""
    backed_up(bench, place)
    (named,) = Bench(place).files("blobs")
    named.with_name("large.77.part").write_bytes(b"half")
    success_of(store.remove(BlobID("large"), Version(7)))
    assert backed_up(bench, place).removed == 2
    assert Bench(place).files("blobs") == []
    assert check_backup(place, Script()).faults == []


def test_a_blob_that_vanishes_while_it_is_backed_up_costs_another_moment(
    bench: Bench, store: DiskStore, place: Path
) -> None:
    """It came after the first look and went after the copy of the database, which names it: that copy is too old."""
    script = Script()

    def act(what: str) -> None:
        if what == "database":
            put(store, f"later{len(script.parts)}", LARGE)
        elif len(script.parts) == 3:
            success_of(store.remove(BlobID("later2"), Version(9)))

    script._begins = act
    done = backed_up(bench, place, script)
    assert script.parts == ["files", "database", "files", "database", "files"]
    assert done.complaints == []
    copy = restored(place)
    assert success_of(copy.enumerate()) == ["large", "later4", "small"]
    assert got(copy, "later4") == LARGE
    success_of(copy.close())


def test_a_store_that_never_holds_still_is_told_of(bench: Bench, store: DiskStore, place: Path) -> None:
    """And the earlier backup is as it was."""
    backed_up(bench, place)
    script = Script()

    def act(what: str) -> None:
        if what == "database":
            put(store, "hasty", LARGE, version=len(script.parts) + 10)
        elif len(script.parts) > 1:
            success_of(store.remove(BlobID("hasty"), Version(len(script.parts) + 10)))

    script._begins = act
    with pytest.raises(Unavailable, match="changes faster"):
        backed_up_on(bench, place, Fs, script)
    assert check_backup(place, Script()).blobs == 2


def test_a_busy_writer_neither_waits_nor_makes_the_copy_begin_again(bench: Bench, store: DiskStore, place: Path) -> None:
    """A commit between any two steps: SQLite alone would begin again each time."""
    for number in range(300):
        put(store, f"filling{number}", bytes([number % 256]) * 60_000)
    written: list[str] = []

    def write() -> None:
        written.append(f"meanwhile{len(written)}")
        put(store, written[-1], SMALL)

    script = Script(advances=write)
    backed_up(bench, place, script)
    assert len(written) > 4
    assert script.parts.count("database") == 1
    assert check_backup(place, Script()).faults == []


def test_a_missing_file_is_told_and_the_rest_is_backed_up(bench: Bench, store: DiskStore, place: Path) -> None:
    """It is damage, and no race: its row still names it."""
    (named,) = bench.files("blobs")
    named.unlink()
    done = backed_up(bench, place)
    assert done.complaints == ["Blob large is damaged in the store: its file is missing."]
    assert check_backup(place, Script()).faults == [
        "Blob large is damaged: its file cannot be opened: No such file or directory."
    ]
    copy = restored(place)
    assert got(copy, "small") == SMALL
    success_of(copy.close())


def test_a_file_that_was_cut_is_told_and_not_taken(bench: Bench, store: DiskStore, place: Path) -> None:
    """The whole one of the earlier backup stays."""
    place.parent.mkdir()
    backed_up_on(bench, place, Unlinkable)
    (named,) = bench.files("blobs")
    os.truncate(named, 5)
    assert backed_up_on(bench, place, Unlinkable).complaints == []
    assert check_backup(place, Script()).faults == []
    shutil.rmtree(place)
    assert backed_up_on(bench, place, Unlinkable).complaints == [
        f"Blob large is damaged in the store: its file has 5 bytes instead of {len(LARGE)}."
    ]


def test_bytes_that_are_copied_are_hashed(bench: Bench, store: DiskStore, place: Path) -> None:
    """A copy of damage is none."""
    place.parent.mkdir()
    (named,) = bench.files("blobs")
    named.write_bytes(LARGE[::-1])
    assert backed_up_on(bench, place, Unlinkable).complaints == [
        "Blob large is damaged in the store: the bytes of its file do not have their SHA-256."
    ]
    assert Bench(place).files("blobs") == []


def test_a_damaged_blob_is_carried_as_what_it_is_and_keeps_its_good_copy(
    bench: Bench, store: DiskStore, place: Path
) -> None:
    """Its row does not name the file any more; the file in the backup may be the last good one."""
    place.parent.mkdir()
    backed_up_on(bench, place, Unlinkable)
    (named,) = bench.files("blobs")
    named.write_bytes(LARGE[::-1])
    success_of(store.suspect(BlobID("large")))
    done = backed_up_on(bench, place, Unlinkable)
    assert (done.blobs, done.removed, done.complaints) == (1, 0, [])
    (kept,) = Bench(place).files("blobs")
    assert kept.read_bytes() == LARGE
    checked = check_backup(place, Script())
    assert (checked.damaged_before, checked.faults) == (1, [])
    copy = restored(place)
    assert isinstance(failure_of(copy.fetch(BlobID("large"))), BlobDamaged)
    success_of(copy.close())


def test_whenever_a_backup_dies_the_earlier_one_is_whole(bench: Bench, store: DiskStore, place: Path) -> None:
    """At each change that it makes: what is there then is the earlier backup or the new one, and the next run ends well."""
    backed_up(bench, place)
    put(store, "newer", LARGE[:-2])
    success_of(store.remove(BlobID("large"), Version(8)))
    deaths = 0
    while True:
        trial = place.with_name(f"trial{deaths}")
        shutil.copytree(place, trial)
        try:
            backed_up_on(bench, trial, lambda root, descriptor: Doomed(root, descriptor, deaths))  # noqa: B023
        except PowerCut:
            deaths += 1
        else:
            break
        assert check_backup(trial, Script()).faults == []
        copy = restored(trial)
        assert success_of(copy.enumerate()) in (["large", "small"], ["newer", "small"])
        success_of(copy.close())
        backed_up(bench, trial)
        assert len(Bench(trial).files("blobs")) == 1
        assert check_backup(trial, Script()).faults == []
    assert deaths > 8


def test_a_first_backup_that_died_is_no_store(bench: Bench, store: DiskStore, place: Path) -> None:
    """Whoever starts on it is told why not; the next backup makes it whole."""
    place.parent.mkdir()
    with pytest.raises(PowerCut):
        backed_up_on(bench, place, lambda root, descriptor: Doomed(root, descriptor, 10))
    with pytest.raises(StoreRefused, match="a backup that was never finished: run sos backup again"):
        Bench(place).open()
    with pytest.raises(StoreRefused, match="never finished"):
        check_backup(place, Script())
    backed_up(bench, place)
    assert check_backup(place, Script()).blobs == 2


def test_a_backup_that_was_started_on_is_a_store_of_its_own(bench: Bench, store: DiskStore, place: Path) -> None:
    """A later backup into it would mix two stores."""
    backed_up(bench, place)
    success_of(Bench(place).open().close())
    with pytest.raises(StoreRefused, match="a server was started on it"):
        backed_up(bench, place)


def test_a_directory_with_other_things_is_no_place_for_a_backup(bench: Bench, store: DiskStore, place: Path) -> None:
    """Nor the backup of another store, nor one that somebody uses, nor a broken one, nor a file."""
    place.mkdir(parents=True)
    (place / "letter.txt").touch()
    with pytest.raises(StoreRefused, match=r"no backup: it has letter\.txt"):
        backed_up(bench, place)
    other = place.with_name("other")
    (other).mkdir()
    (other / "backup.json").write_text('{"format": 1, "uuid": "another"}')
    with pytest.raises(StoreRefused, match="backup of another store"):
        backed_up(bench, other)
    (other / "backup.json").write_text("[" * 3000)
    with pytest.raises(StoreRefused, match="cannot be read"):
        backed_up(bench, other)
    (other / "backup.json").write_text('{"format": 2}')
    with pytest.raises(StoreRefused, match="format 2"):
        backed_up(bench, other)
    with pytest.raises(StoreRefused, match="in use by another process"):
        backed_up(bench, bench.path)
    with pytest.raises(StoreRefused, match="Not a directory"):
        backed_up(bench, place / "letter.txt")
    with pytest.raises(StoreRefused, match="is no store"):
        back_up(place, place.with_name("more"), Script())


def test_a_store_that_was_killed_can_be_backed_up(bench: Bench, store: DiskStore, place: Path) -> None:
    """Nobody serves it, and its WAL is not in the database."""
    left = Bench(bench.path.with_name("killed"))
    shutil.copytree(bench.path, left.path)
    backed_up(left, place)
    assert check_backup(place, Script()).blobs == 2


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda place: Bench(place).files("blobs")[0].write_bytes(LARGE[::-1]), "the bytes of its file do not have"),
        (lambda place: os.truncate(Bench(place).files("blobs")[0], 3), "the bytes of its file do not have"),
        (lambda place: Bench(place).files("blobs")[0].unlink(), "its file cannot be opened"),
        (lambda place: Bench(place).rows("UPDATE small SET payload = x'00'"), "its bytes do not have"),
        (lambda place: Bench(place).rows("DELETE FROM small"), "its bytes do not have"),
        (lambda place: Bench(place).rows("UPDATE entries SET size = 3 WHERE id = 'small'"), "its row is damaged"),
        (lambda place: Bench(place).rows("UPDATE entries SET size = 'x' WHERE id = 'small'"), "its row is damaged"),
    ],
)
def test_a_check_finds_what_is_wrong(
    bench: Bench, store: DiskStore, place: Path, harm: Callable[[Path], object], fault: str
) -> None:
    """And names the blob."""
    place.parent.mkdir()
    backed_up_on(bench, place, Unlinkable)
    harm(place)
    (found,) = check_backup(place, Script()).faults
    assert found.startswith("Blob ") and fault in found


def test_a_check_refuses_what_is_no_backup(bench: Bench, store: DiskStore, place: Path) -> None:
    """One with a broken database, one with that of another store, an empty directory."""
    place.mkdir(parents=True)
    with pytest.raises(StoreRefused, match="it has nothing"):
        check_backup(place, Script())
    backed_up(bench, place)
    Bench(place).rows("UPDATE meta SET value = x'41' WHERE name = 'uuid'")
    with pytest.raises(StoreRefused, match="not the one of its store"):
        check_backup(place, Script())
    (place / "sos.db").write_bytes(b"no database at all " * 500)
    with pytest.raises(StoreRefused, match="is damaged: file is not a database"):
        check_backup(place, Script())
