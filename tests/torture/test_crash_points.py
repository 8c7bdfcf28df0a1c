"""Torture D2: a blob server dies before each of its system calls in turn, and has lost nothing and left nothing behind."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from tests.processes.failing_disk import DATABASE, failing
from tests.torture.ledger import Ledger
from tests.torture.quick_server import serving
from tests.torture.remains import remains_of
from tests.torture.tally import Tally
from tests.torture.writers import LARGE, Client, ServerGone, everything, payload_of

CALLS = (
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "?rename,?renameat,?renameat2",
    "?unlink,unlinkat",
    "?mkdir,mkdirat",
    "sendto,sendmsg,writev",
)
"""What the write path asks of the kernel, up to the answer itself."""

ANSWERS = CALLS[-1]
"""These have no path, but for the connection."""

FEW = 3
"""Crashes before each call that are tried at each commit: the first, the second, and the third of its thread."""


def paths_of(store: Path, number: int) -> list[Path]:
    """Give what the next writes will touch: strace must have the names before the files are there."""
    large = [store / "blobs" / _directory(f"l{what}{number}") for what in ("kept", "brought", "gone")]
    with contextlib.closing(sqlite3.connect(f"{(store / 'sos.db').as_uri()}?mode=ro", uri=True)) as database:
        ((opening,),) = database.execute("SELECT value FROM meta WHERE name = 'openings'")
    staged = [store / "staging" / str((opening << 32) + serial) for serial in range(1, 9)]
    above = {path.parent for path in large}
    return [store, *(store / name for name in DATABASE), store / "blobs", *above, *large, *staged]


def _directory(name: str) -> Path:
    digest = hashlib.sha256(name.encode("ascii")).hexdigest()
    return Path(digest[:2], digest[2:4])


def dies(store: Path, ledger: Ledger, calls: str, turn: int) -> bool:
    """Have a server write everything, and die before such a call for the turn-th time; False where it never came to that."""
    with serving(store) as server:
        client = Client(server.port, ledger)
        paths = [] if calls == ANSWERS else paths_of(store, turn)
        with failing(server, calls, f"signal=KILL:when={turn}", paths):
            try:
                everything(client, turn)
            except ServerGone:
                assert server.when_it_ends() == -9, server.output
                return True
    return False


def crashes(tally: Tally, store: Path, calls: str, turns: Iterable[int]) -> int:
    """Let servers on one store die before one call after the other, look at what each left, and say how many died."""
    deaths = 0
    ledger = Ledger()
    with serving(store) as server:
        assert server.port
    for turn in turns:
        has_died = dies(store, ledger, calls, turn)
        remains = remains_of(store, ledger)
        tally.expect(not remains.wrong, f"killed before {calls} number {turn}: {remains.wrong}")
        ledger.settle(remains.held)
        if not has_died:
            break
        deaths += 1
    tally.note(f"{deaths} deaths, {ledger.acks} acks")
    return deaths


@pytest.mark.slow
@pytest.mark.parametrize("calls", CALLS)
def test_a_server_that_dies_before_one_of_its_first_calls(tmp_path: Path, tallies: list[Tally], calls: str) -> None:
    """A start heals it: what was acknowledged is there, each row has its bytes, nothing is partial, digests are right."""
    take(calls, tmp_path, tallies, range(1, FEW + 1), least=1)


@pytest.mark.torture
@pytest.mark.parametrize("calls", CALLS)
def test_a_server_that_dies_before_any_of_its_calls(tmp_path: Path, tallies: list[Tally], calls: str) -> None:
    """The same for every turn, until the server does all its work without meeting its death."""
    take(calls, tmp_path, tallies, count(FEW + 1), least=0)


START_CALLS = (
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "?rename,?renameat,?renameat2",
    "?unlink,unlinkat",
)
"""What a start asks of the kernel: one that makes a store, and one that recovers what a killed process left."""


def start_paths(store: Path) -> list[Path]:
    """Give what a start may touch."""
    names = (*DATABASE, "sos.db-journal", "store.json", "store.json.new", "blobs", "staging", "quarantine")
    return [store.parent, store, *(store / name for name in names), *(store / "staging").glob("*")]


def dies_at_start(store: Path, calls: str, turn: int) -> bool:
    """Have a server die before such a call for the turn-th time of its start; False where it serves before that."""
    with serving(store, is_held=True) as server, failing(server, calls, f"signal=KILL:when={turn}", start_paths(store)):
        server.let_go()
        if server.is_up:
            return False
        assert server.when_it_ends() == -9, server.output
    return True


def leave_a_mess(store: Path, ledger: Ledger, turn: int) -> None:
    """Store and delete something, and die before the log is synced and the file of what was deleted is unlinked."""
    name = f"mess{turn}x"
    with serving(store) as server:
        client = Client(server.port, ledger)
        client.upload(name, payload_of(name, LARGE))
        client.upload(f"kept{turn}x", payload_of(f"kept{turn}x", LARGE))
        (store / "staging" / f"left{turn}").write_bytes(b"left")
        with failing(server, "unlinkat", "signal=KILL:when=1", [store]):
            with contextlib.suppress(ServerGone):  # the answer may be out before the file goes, or not
                client.delete(name)
            assert server.when_it_ends() == -9, server.output
        client.close()


def crashes_at_start(tally: Tally, directory: Path, calls: str, turns: Iterable[int]) -> int:
    """Let starts die: those that make a store, and those that recover one; look at what is left after the next start."""
    deaths = 0
    old, ledger = directory / "old", Ledger()
    for turn in turns:
        new = directory / f"new{turn}"
        died_new = dies_at_start(new, calls, turn)
        with serving(new) as server:
            tally.expect(
                server.is_up, f"a store whose making ended before {calls} number {turn} does not start: {server.output}"
            )
        leave_a_mess(old, ledger, turn)
        died_old = dies_at_start(old, calls, turn)
        remains = remains_of(old, ledger)
        tally.expect(not remains.wrong, f"killed at its start before {calls} number {turn}: {remains.wrong}")
        ledger.settle(remains.held)
        deaths += died_new + died_old
        if not (died_new or died_old):
            break
    tally.note(f"{deaths} deaths")
    return deaths


def take_start(calls: str, directory: Path, tallies: list[Tally], turns: Iterable[int]) -> None:
    """Enter one call of a start into the table; nothing may be violated."""
    tally = Tally(f"D2 killed at start before {calls.replace('?', '').split(',')[0]}")
    deaths = crashes_at_start(tally, directory, calls, turns)
    tallies.append(tally)
    assert not tally.violations
    assert deaths, "no server died: this showed nothing"


@pytest.mark.slow
@pytest.mark.parametrize("calls", ["pwrite64", "?unlink,unlinkat"])
def test_a_start_that_dies_before_one_of_its_first_calls(tmp_path: Path, tallies: list[Tally], calls: str) -> None:
    """Whether it makes a store or recovers one, the next start does the same again."""
    take_start(calls, tmp_path, tallies, range(1, 3))


@pytest.mark.torture
@pytest.mark.parametrize("calls", START_CALLS)
def test_a_start_that_dies_before_any_of_its_calls(tmp_path: Path, tallies: list[Tally], calls: str) -> None:
    """Whether it makes a store or recovers one, the next start does the same again, and nothing is lost."""
    take_start(calls, tmp_path, tallies, count(1))


def take(calls: str, directory: Path, tallies: list[Tally], turns: Iterable[int], least: int) -> None:
    """Enter one call into the table; nothing may be violated."""
    tally = Tally(f"D2 killed before {calls.replace('?', '').split(',')[0]}")
    deaths = crashes(tally, directory / "store", calls, turns)
    tallies.append(tally)
    assert not tally.violations
    assert deaths >= least, "no server died: this showed nothing"
