"""Torture D5: the power goes, and what was acknowledged is on the disk. D10: if the disk lies, the same look shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from sos.store.index import CHECKPOINT_BYTES
from sos.store.lobby import SMALL
from tests.processes.failing_disk import failing
from tests.torture.ledger import Ledger
from tests.torture.power import PowerDisk, power_disk
from tests.torture.quick_server import QuickServer, serving
from tests.torture.remains import Remains, remains_of
from tests.torture.scale import POWER_CUTS, times
from tests.torture.tally import Tally
from tests.torture.writers import LARGE, Client, Crowd, ServerGone, payload_of

OPTIONS = ("", "data=writeback", "nodelalloc")
A_DISK = 30
FILLERS = 8
LIES = "fsync,fdatasync"


@contextmanager
def powered(disk: PowerDisk) -> Iterator[QuickServer]:
    """Serve the store on a disk until the power is cut, which the caller does; then mount the disk again."""
    with serving(disk.path / "store") as server:
        yield server
    disk.unmount()
    disk.mount()


def looked_at(disk: PowerDisk, ledger: Ledger) -> Remains:
    """Recover the store on a disk, and take what is found for what is there."""
    remains = remains_of(disk.path / "store", ledger)
    ledger.settle(remains.held)
    return remains


def crowd_is_cut_off(disk: PowerDisk, ledger: Ledger, turn: int) -> None:
    """Cut the power under four writers and a deleter, after some acknowledgements."""
    wanted = ledger.acks + Random(turn).randrange(1, 40)
    with powered(disk) as server:
        crowd = Crowd(server.port, ledger, turn, 4, 1, LARGE)
        ledger.wait_for_acks(wanted)
        ledger.close()
        disk.cut()
        server.end()
        crowd.join()


def fill_the_log(port: int, ledger: Ledger, turn: int) -> None:
    """Have the log begin again at its start: while it grows, each of its syncs makes names durable as well, by chance."""
    names = [f"fill{turn}n{number}x" for number in range(CHECKPOINT_BYTES // SMALL + 8)]

    def fill(start: int) -> None:
        client = Client(port, ledger)
        for name in names[start::FILLERS]:
            client.upload(name, payload_of(name, SMALL))
        client.close()

    with ThreadPoolExecutor(FILLERS) as threads:
        list(threads.map(fill, range(FILLERS)))


def one_writer_is_cut_off(disk: PowerDisk, ledger: Ledger, turn: int) -> None:
    """Cut the power right after one acknowledgement, with nothing else going on that could sync by chance."""
    name = f"one{turn}x"
    with powered(disk) as server:
        client = Client(server.port, ledger)
        fill_the_log(server.port, ledger, turn)
        if turn % 4 == 3:
            client.delete(f"one{turn - 1}x")
        else:
            client.upload(name, payload_of(name, (LARGE, 3000)[turn % 2]))
        disk.cut()
        client.close()


def killed_then_cut_off(disk: PowerDisk, ledger: Ledger, turn: int) -> None:
    """Kill it before the log is synced, start it, send the same again, take the acknowledgement, and cut the power."""
    name = f"again{turn}x"
    payload = payload_of(name, (LARGE, 3000)[turn % 2])
    store = disk.path / "store"
    with serving(store) as server:
        client = Client(server.port, ledger)
        version = client.newer()
        with failing(server, "fdatasync", "signal=KILL:when=1", [store / "sos.db-wal"]), pytest.raises(ServerGone):
            client.upload(name, payload, "same", version)
    with powered(disk) as server:
        assert Client(server.port, ledger).upload(name, payload, "same", version) == 200
        disk.cut()


Play = Callable[[PowerDisk, Ledger, int], None]
PLAYS: tuple[Play, ...] = (crowd_is_cut_off, one_writer_is_cut_off, killed_then_cut_off)


def cuts(tally: Tally, directory: Path, options: str, cycles: int) -> None:
    """Cut the power so often, each way in its turn, some times on a disk; look at the store after each."""
    acks = 0
    for start in range(0, cycles, A_DISK):
        (directory / str(start)).mkdir()
        acks += cuts_of_one_disk(tally, directory / str(start), options, range(start, min(start + A_DISK, cycles)))
    tally.note(f"{acks} acks")


def cuts_of_one_disk(tally: Tally, directory: Path, options: str, turns: range) -> int:
    """Cut the power of one disk for some turns; give the number of acknowledgements."""
    ledger = Ledger()
    with power_disk(directory, options) as disk:
        for turn in turns:
            PLAYS[turn % len(PLAYS)](disk, ledger, turn)
            remains = looked_at(disk, ledger)
            tally.expect(not remains.wrong, f"cut {turn} with {options or 'default options'}: {remains.wrong[:5]}")
    return ledger.acks


@pytest.mark.slow
def test_a_power_cut_loses_nothing(tmp_path: Path, tallies: list[Tally]) -> None:
    """Six cuts with default options, under many writers, right after one acknowledgement, and after a kill before it."""
    take(tallies, tmp_path, "", 6)


@pytest.mark.torture
@pytest.mark.parametrize("options", OPTIONS)
def test_a_power_cut_loses_nothing_however_often(tmp_path: Path, tallies: list[Tally], options: str) -> None:
    """The same, with each of ext4's ways to write."""
    take(tallies, tmp_path, options, times(POWER_CUTS))


@pytest.mark.slow
def test_a_disk_that_lies_about_syncs_loses_something(tmp_path: Path, tallies: list[Tally]) -> None:
    """Torture D10, the control: where fsync does nothing and says that it did, the same look finds a loss."""
    ledger = Ledger()
    tally = Tally("D10 the control, a lying disk")
    tallies.append(tally)
    with power_disk(tmp_path, "") as disk:
        one_writer_is_cut_off(disk, ledger, 0)
        assert not looked_at(disk, ledger).wrong
        with powered(disk) as server:
            client = Client(server.port, ledger)
            with failing(server, LIES, "retval=0"):
                for name in ("smallx", "largex"):
                    assert client.upload(name, payload_of(name, LARGE if name == "largex" else 3000)) == 200
            disk.cut()
            client.close()
        lost = [fault for fault in remains_of(disk.path / "store", ledger).wrong if "promised" in fault]
        tally.expect(len(lost) == 2, f"nothing was synced, and only this was found to be lost: {lost}")
        tally.note(f"{len(lost)} of 2 found lost, as they must be")
    assert not tally.violations


def take(tallies: list[Tally], directory: Path, options: str, cycles: int) -> None:
    """Enter the row into the table; nothing may be violated."""
    tally = Tally(f"D5 power cut, {options or 'default options'}")
    cuts(tally, directory, options, cycles)
    tallies.append(tally)
    assert not tally.violations
