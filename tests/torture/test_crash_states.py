"""Torture D9: whatever a disk may hold after a crash, within a few operations on two blobs, is healed by a start."""

from __future__ import annotations

import shutil
import time
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import pytest
from attrs import frozen

from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.store.tree import DIRECTORIES
from sos.words.blob import BlobID, Entry, Metadata
from tests.support import bytes_body, immediately, success_of
from tests.torture.ledger import TOMBSTONE, Held, Ledger, live
from tests.torture.remains import LABEL, remains_of
from tests.torture.scale import CRASH_STATES, times
from tests.torture.sim_fs import Crash, Event, SimFs, Synced
from tests.torture.tally import Tally
from tests.torture.writers import payload_of

LARGE = 70_000
NAMES = ("one", "two")
MOST_OPERATIONS = 3


@frozen
class Begun:
    """A client asks for something."""

    name: str
    wanted: Held


@frozen
class Acknowledged:
    """A client was promised it."""

    name: str


def operations(store: DiskStore, events: list[Event], chance: Random) -> None:
    """Write, write again with other metadata, or delete, some times over."""
    for turn in range(chance.randrange(1, MOST_OPERATIONS + 1)):
        name = chance.choice(NAMES)
        version = store.clock.tick()
        if chance.randrange(3) == 0:
            events.append(Begun(name, TOMBSTONE))
            success_of(store.remove(BlobID(name), version))
        else:
            payload, label = payload_of(name, LARGE), f"label{turn}"
            events.append(Begun(name, live(payload, label)))
            entry = Entry(id=BlobID(name), version=version, metadata=Metadata(((LABEL, label.encode("ascii")),)))
            success_of(store.receive(entry, bytes_body(payload)))
        events.append(Acknowledged(name))


def history_of(store: Path, chance: Random) -> tuple[list[Event], int]:
    """Do some operations on a new store; give all that happened, and how much of it was its making."""
    events: list[Event] = []
    make_fs = partial(SimFs, events=events)
    opened = open_disk_store(store, in_thread=immediately, commit_in_thread=immediately, wall=time.time, make_fs=make_fs)
    made = len(events)
    operations(opened, events, chance)
    done = len(events)
    success_of(opened.close())
    return events[:done], made


def told_until(events: list[Event]) -> Ledger:
    """Say what clients knew when the power went."""
    ledger = Ledger()
    for name in NAMES:
        ledger.bytes_of[name] = live(payload_of(name, LARGE)).sha256 or b""
    for event in events:
        if isinstance(event, Begun):
            ledger.begin(event.name, event.wanted)
        elif isinstance(event, Acknowledged):
            ledger.acknowledge(event.name)
    return ledger


def look_at_cuts(tally: Tally, directory: Path, events: list[Event], made: int, chance: Random) -> None:
    """Cut a history at each event, let the disk keep what it likes, start on what is left, and look."""
    for moment in range(made, len(events) + 1):
        left = directory / "left"
        for name in DIRECTORIES:
            (left / name).mkdir(parents=True)
        shutil.copy(directory / "store" / "store.json", left)
        Crash(events[:moment], chance).leave(left)
        wrong = remains_of(left, told_until(events[:moment])).wrong
        tally.expect(not wrong, f"a cut at {moment}: {wrong}")
        shutil.rmtree(left)


def look_at_states(tally: Tally, directory: Path, states: int, seed: int) -> None:
    """Cut one history after the other, until so many states were seen."""
    for number in count(seed):
        events, made = history_of(directory / "store", Random(number))
        look_at_cuts(tally, directory, events, made, Random(number))
        shutil.rmtree(directory / "store")
        if tally.cases >= states:
            return


@pytest.mark.slow
def test_every_state_that_a_crash_may_leave_is_healed(tmp_path: Path, tallies: list[Tally]) -> None:
    """A hundred of them: what was acknowledged is there, rows have their bytes, nothing partial has a name."""
    take(tallies, tmp_path, 100, 0)


@pytest.mark.torture
def test_every_state_that_a_crash_may_leave_is_healed_however_many(tmp_path: Path, tallies: list[Tally]) -> None:
    """The same, with other histories and other disks."""
    take(tallies, tmp_path, times(CRASH_STATES), 1_000_000)


def take(tallies: list[Tally], directory: Path, states: int, seed: int) -> None:
    """Enter the row into the table; nothing may be violated."""
    tally = Tally("D9 states after a crash")
    look_at_states(tally, directory, states, seed)
    tallies.append(tally)
    assert not tally.violations[:5]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [int, str])
def test_without_syncs_something_is_lost(tmp_path: Path, kind: type) -> None:
    """The control: no fsync of files, or none of directories, and some cut loses what was acknowledged."""
    tally = Tally("control")
    for number in range(20):
        events, made = history_of(tmp_path / "store", Random(number))
        is_left_out = [
            place >= made and isinstance(event, Synced) and isinstance(event.what, kind)
            for place, event in enumerate(events)
        ]
        kept = [event for event, left_out in zip(events, is_left_out, strict=True) if not left_out]
        look_at_cuts(tally, tmp_path, kept, made, Random(number))
        shutil.rmtree(tmp_path / "store")
        if tally.violations:
            return
    raise AssertionError(f"in {tally.cases} states nothing was lost")
