"""Torture D3: each call of a script fails in turn, with each errno, once and for good; what was promised is there."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from sos.http.bodies import collect
from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.store.room import Reserve
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from sos.words.errors import BlobDamaged, BlobNotFound, SOSError, StoreRefused
from tests.store.faults import NOW
from tests.store.unlucky import COMMITTED, FILE_CALLS, STATEMENT, Luck, Misfortune, UnluckyFs
from tests.support import bytes_body, immediately, success_of

ERRNOS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENOMEM)
CODES = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
)
PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENOMEM})
PASSING_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN})

STRIDE = 61
"""One in so many is tried at each run of the tests."""

LARGE = bytes(range(250)) * 600
HARMED = LARGE[1:] + LARGE[:1]
EXPIRED = int(NOW) - 10**6

Held = tuple[Entry, bytes] | None
"""What is held under an ID, as a reader sees it: its entry and its bytes, None where there is nothing."""


class Script:
    """Does one thing after the other, and writes down what was promised and what may have happened."""

    def __init__(self, path: Path, luck: Luck) -> None:
        self.path = path
        self.luck = luck
        self.possible: dict[BlobID, list[Held]] = {}
        self.store: DiskStore | None = None
        self.harmed: set[BlobID] = set()
        self.was_read_only = False

    def play(self) -> None:
        """Go through the whole script."""
        try:
            self.store = opened(self.path, self.luck)
        except StoreRefused:
            return
        small, large, again = BlobID("small"), BlobID("large"), BlobID("again")
        self._receive(small, b"hello", 1)
        self._receive(large, LARGE, 1)
        self._receive(large, LARGE[::-1], 2, kind=Kind.MANIFEST)
        self._receive(small, b"hello", 3, metadata=Metadata.of([(b"x-a", b"b")]))
        self._receive(again, LARGE, 1)
        self._look()
        self._damage(again)
        self._receive(again, LARGE, 1)
        self._remove(large, 4)
        self._receive(BlobID("old"), b"gone soon", 1, expires=EXPIRED)
        self._try(lambda store: store.reap())
        self._try(lambda store: store.note_round(1, "one"))
        self._receive(large, LARGE, 5)
        self._look()
        self._try(lambda store: store.summary())
        self.was_read_only = self.store.status().is_read_only
        success_of(self.store.close())

    # One thing

    def _try(self, call: Callable[[DiskStore], Awaitable[Any]]) -> Any:
        """Do something; nothing but an error with a name may come out."""
        assert self.store is not None
        try:
            return success_of(call(self.store))
        except SOSError as error:
            return error

    def _receive(self, name: BlobID, payload: bytes, version: int, **more: Any) -> None:
        entry = Entry(id=name, version=Version(version), **more)
        done = self._try(lambda store: store.receive(entry, bytes_body(payload)))
        is_there = None if "expires" in more else (evolve(entry, size=len(payload)), payload)
        self._note(name, is_there, is_promised=not isinstance(done, SOSError))

    def _remove(self, name: BlobID, version: int) -> None:
        done = self._try(lambda store: store.remove(name, Version(version)))
        self._note(name, None, is_promised=not isinstance(done, SOSError))

    def _note(self, name: BlobID, held: Held, *, is_promised: bool) -> None:
        before = [] if is_promised else self.possible.get(name, [None])
        self.possible[name] = [*before, held]

    def _look(self) -> None:
        """Read all that is there: an answer is right, and no fault makes a 404."""
        assert self.store is not None
        for name, possible in self.possible.items():
            found = self._try(partial(_read, name=name))
            if isinstance(found, BlobNotFound):
                found = None
            assert isinstance(found, SOSError) or _is_among(found, possible), (name, found)
            assert not isinstance(found, BlobDamaged) or name in self.harmed, name
        self._try(lambda store: store.enumerate())

    def _damage(self, name: BlobID) -> None:
        """Change bytes behind the store's back; whoever reads them hears of it, or of something worse."""
        for file in (self.path / "blobs").rglob(f"{name}.*"):
            file.write_bytes(HARMED)
        self._try(lambda store: store.suspect(name))
        self.harmed.add(name)
        possible = self.possible[name]
        is_there = None not in possible
        harmed = [(held[0], HARMED) for held in possible if held is not None]  # until somebody has hashed them
        possible += [None, *harmed]
        assert not (is_there and isinstance(self._try(lambda store: store.stat(name)), BlobNotFound))


async def _read(store: DiskStore, name: BlobID) -> Held:
    blob = await store.fetch(name)
    return blob.entry, await collect(blob.body, 10**6)


def _is_among(found: Held, possible: list[Held]) -> bool:
    def matches(one: Held) -> bool:
        if found is None or one is None:
            return found is one
        (entry, payload), (wanted, bytes_) = found, one
        fields = ("version", "kind", "size", "metadata")
        return payload == bytes_ and all(getattr(entry, field) == getattr(wanted, field) for field in fields)

    return any(map(matches, possible))


def opened(path: Path, luck: Luck) -> DiskStore:
    """Open the store in a directory, with some luck."""
    return open_disk_store(
        path,
        in_thread=immediately,
        commit_in_thread=immediately,
        wall=lambda: NOW,
        make_fs=lambda root, descriptor: UnluckyFs(root, descriptor, luck),
        reserve=Reserve(percent=0, least=1000),
    )


def check_what_is_left(script: Script) -> None:
    """Open the store again, on a disk that is well: what was promised is there, and nothing else lies about."""
    store = opened(script.path, Luck())
    assert not list((script.path / "staging").iterdir())
    for name, possible in script.possible.items():
        try:
            found = success_of(_read(store, name))
        except (BlobNotFound, BlobDamaged):
            found = None
        assert _is_among(found, possible), (name, found)
    success_of(store.receive(Entry(id=BlobID("later"), version=Version(1)), bytes_body(LARGE)))
    success_of(store.close())
    if script.luck.misfortune.kind != "unlink" and not script.luck.misfortune.for_good and not script.was_read_only:
        named = {f"{name}.{serial}" for name, serial in _files_named(script.path)}
        there = {file.name for file in (script.path / "blobs").rglob("*.*")}
        assert there == named


def _files_named(path: Path) -> list[tuple[str, int]]:
    connection = sqlite3.connect(path / "sos.db")
    try:
        return connection.execute("SELECT id, file FROM entries WHERE file IS NOT NULL").fetchall()
    finally:
        connection.close()


def play(path: Path, misfortune: Misfortune) -> Script:
    """Play the script in a new store, and see what is left."""
    shutil.rmtree(path, ignore_errors=True)
    script = Script(path, Luck(misfortune))
    script.play()
    check_what_is_left(script)
    return script


def is_final(misfortune: Misfortune) -> bool | None:
    """Whether the store must take no writes after a misfortune, None where either is right."""
    if misfortune.kind == "sync":
        return True
    if misfortune.kind in (STATEMENT, COMMITTED):
        return False if misfortune.code in PASSING_CODES else None
    return False if misfortune.code in PASSING else None


def all_turns(path: Path) -> dict[str, int]:
    """Count the calls of a script in which everything goes well."""
    script = Script(path, Luck())
    script.play()
    return dict(script.luck.seen)


def misfortunes(turns: dict[str, int]) -> Iterator[Misfortune]:
    """Give all of them."""
    for kind, number in turns.items():
        codes = ERRNOS if kind in FILE_CALLS else CODES
        for turn in range(1, number + 1):
            for code in codes if kind != COMMITTED else (sqlite3.SQLITE_IOERR_FSYNC,):
                for for_good in (False, True):
                    yield Misfortune(kind, turn, code, for_good)


def check(path: Path, misfortune: Misfortune) -> None:
    """Let one thing go wrong."""
    try:
        script = play(path, misfortune)
        final = is_final(misfortune)
        if script.luck.struck and script.store is not None and final is not None:
            assert script.was_read_only is final
    except BaseException as error:
        raise AssertionError(f"with {misfortune}") from error


def test_nothing_goes_wrong(memory_path: Path) -> None:
    """Without a misfortune everything is promised."""
    script = Script(memory_path / "store", Luck())
    script.play()
    assert set(script.luck.seen) == {*FILE_CALLS, STATEMENT, COMMITTED}
    assert not script.was_read_only
    check_what_is_left(script)


def test_one_failure_in_many(memory_path: Path) -> None:
    """Some of all the turns, codes and errnos; `STRIDE` has no divisor in common with their numbers."""
    for misfortune in islice(misfortunes(all_turns(memory_path / "first")), 0, None, STRIDE):
        check(memory_path / "store", misfortune)


@pytest.mark.torture
def test_each_failure_of_each_call(memory_path: Path) -> None:
    """All turns, all errnos."""
    for misfortune in misfortunes(all_turns(memory_path / "first")):
        check(memory_path / "store", misfortune)
