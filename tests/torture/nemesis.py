"""The nemesis of real processes: begins faults at random moments, several at a time, and ends each after a while.

A seed decides what is done and when; how the processes take it is theirs, so a seed repeats the faults and not the run.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from attrs import define, field

from tests.torture.estate import APIS, GROUPS, MEMBERS, PAUSE, Estate

Undo = Callable[[], object]

FRAGILE = "c"
"""The one member whose disk may lose what it had: an acknowledged object has at least one copy on another one."""

SMALL = "b"
"""The member whose disk is small, and full now and then."""

CLOCKS = ("a", "south")
"""Whose wall clock may be wrong: a member and an api."""

SMALL_DISK = "size=768m"
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
"""Where there is none, no clock is set."""

SKEWS = ("+1", "-60", "+3d", "-3d", "+10y", "-10y")
MOST_AT_ONCE = 3
PAUSES = (0.2, 3.0)
DURATIONS = (0.5, 10.0)
"""Seconds between two faults, and of a fault."""

TRUCES, TRUCE = 0.07, 8.0
"""How often there is peace instead of a fault, and its seconds: so that things are done by all members, too."""

assert FRAGILE in GROUPS["one"], "a group of three, whose acknowledgements need two copies"


@define
class Nemesis:
    """Does harm, and undoes it."""

    estate: Estate
    seed: int
    deeds: list[str] = field(factory=list)
    """What was done, for whoever reads a failure."""
    counts: Counter[str] = field(factory=Counter)
    flipped: set[str] = field(factory=set)
    """Blobs of the fragile member in whose file a byte was changed."""
    lacking: list[str] = field(factory=list)
    """Faults that cannot be had here, and why."""
    _chance: Random = field(init=False)
    _away: set[str] = field(factory=set)
    """Processes that were killed or stopped, and not brought back yet."""
    _silenced: set[str] = field(factory=set)
    _running: list[tuple[float, str, Undo]] = field(factory=list)
    _backup: Path | None = None
    _began: float = field(factory=time.monotonic)

    def __attrs_post_init__(self) -> None:
        """Prepare what has to be there before anything starts: the small disk, and the clocks."""
        self._chance = Random(f"{self.seed} nemesis")
        estate = self.estate
        estate.network.bridge.run("mount", "-t", "tmpfs", "-o", SMALL_DISK, "sos", str(estate.disk(SMALL)))
        if not LIBRARIES:
            self.lacking.append("no clock was set, for there is no libfaketime here; install faketime")
        for host in CLOCKS if LIBRARIES else ():
            self._clock(host).write_text("+0")
            estate.environment_of[host] = {
                "LD_PRELOAD": str(LIBRARIES[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock(host)),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    def _clock(self, host: str) -> Path:
        return self.estate.house.directory / f"clock-{host}"

    def rage(self, seconds: float) -> None:
        """Do harm for a while, and then undo all that was done."""
        self._began = time.monotonic()
        try:
            while time.monotonic() < self._began + seconds:
                PAUSE.wait(self._chance.uniform(*PAUSES))
                self._undo_until(time.monotonic())
                if self._chance.random() < TRUCES:
                    self._undo_until(math.inf)
                    PAUSE.wait(TRUCE)
                elif len(self._running) < MOST_AT_ONCE:
                    self._strike()
        finally:
            self._undo_until(math.inf)

    def _strike(self) -> None:
        deed = self._chance.choice(DEEDS)
        undo = deed(self)
        if undo is None:
            return
        self.counts[deed.__name__] += 1
        self._say(deed.__name__)
        self._running.append((time.monotonic() + self._chance.uniform(*DURATIONS), deed.__name__, undo))

    def _undo_until(self, now: float) -> None:
        for due, name, undo in [running for running in self._running if running[0] <= now]:
            self._running.remove((due, name, undo))
            undo()
            self._say(f"end of {name}")

    def _say(self, text: str) -> None:
        self.deeds.append(f"{time.monotonic() - self._began:9.3f} {text}")

    def _pick(self, *names: str) -> str | None:
        """Pick one that runs, None where there is none."""
        up = [name for name in names if name not in self._away]
        return self._chance.choice(up) if up else None

    # What it does: each begins a fault and gives what ends it, or None where it cannot be done now

    def _kill(self, name: str | None) -> Undo | None:
        if name is None:
            return None
        self._away.add(name)
        self.estate.kill(name)

        def undo() -> None:
            self._away.discard(name)
            self.estate.start(name)

        return undo

    def kill_member(self) -> Undo | None:
        """End a process by kill -9; it is started again."""
        return self._kill(self._pick(*MEMBERS))

    def kill_api(self) -> Undo | None:
        """End an api by kill -9."""
        return self._kill(self._pick(*APIS))

    def stop_process(self) -> Undo | None:
        """SIGSTOP: the kernel takes connections for it, and nobody answers."""
        name = self._pick(*MEMBERS, *APIS)
        if name is None:
            return None
        self._away.add(name)
        process = self.estate.processes[name]
        process.send(signal.SIGSTOP)

        def undo() -> None:
            self._away.discard(name)
            process.send(signal.SIGCONT)

        return undo

    def _cut(self, *faults: contextlib.AbstractContextManager[None]) -> Undo:
        stack = contextlib.ExitStack()
        for fault in faults:
            stack.enter_context(fault)
        return stack.close

    def partition(self) -> Undo | None:
        """Between an api and a member, in one direction or both; packets are dropped, or refused."""
        network, chance = self.estate.network, self._chance
        api, member = chance.choice(APIS), chance.choice(MEMBERS)
        there, back = network.filtered(api, member, "drop"), network.filtered(member, api, "drop")
        refused = network.filtered(api, member, "tcp dport 3001 reject with tcp reset")
        return self._cut(*chance.choice([(there, back), (there,), (back,), (refused,)]))

    def isolate_member(self) -> Undo | None:
        """From everybody."""
        return self._cut(self.estate.network.unplugged(self._chance.choice(MEMBERS)))

    def lose_answers(self) -> Undo | None:
        """What comes to a member is taken, and no answer leaves it."""
        name = self._chance.choice(MEMBERS)
        if name in self._silenced:
            return None
        self._silenced.add(name)
        undo = self._cut(self.estate.network.without_answers(name, *APIS))

        def answer_again() -> None:
            self._silenced.discard(name)
            undo()

        return answer_again

    def fill_disk(self) -> Undo | None:
        """Until there is room again."""
        filler = self.estate.seen(SMALL).parent / "filler"
        if filler.exists():
            return None
        room = os.statvfs(filler.parent)
        with filler.open("wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - 512 * 1024))
        return filler.unlink

    def skew_clock(self) -> Undo | None:
        """A clock jumps by seconds, days or years, there or back."""
        if not LIBRARIES:
            return None
        clock = self._clock(self._chance.choice(CLOCKS))
        clock.write_text(self._chance.choice(SKEWS))
        return lambda: clock.write_text("+0")

    def flip_byte(self) -> Undo | None:
        """In a file of the fragile disk."""
        files = sorted(self.estate.store(FRAGILE).glob("blobs/*/*/*"))
        if not files:
            return None
        victim = self._chance.choice(files)
        with contextlib.suppress(FileNotFoundError), victim.open("r+b") as file:
            place = self._chance.randrange(max(1, victim.stat().st_size))
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes(value ^ 0x40 for value in byte))
            self.flipped.add(victim.name.partition(".")[0])
        return lambda: None

    def restore_old_copy(self) -> Undo | None:
        """The fragile disk is copied; another time it comes back as it was."""
        if FRAGILE in self._away:
            return None
        store = self.estate.store(FRAGILE)
        self.estate.kill(FRAGILE)
        if self._backup is None:
            self._backup = store.with_name("old-copy")
            shutil.copytree(store, self._backup)
        else:
            shutil.rmtree(store)
            self._backup.rename(store)
            self._backup = None
        self.estate.start(FRAGILE)
        return lambda: None


DEEDS: tuple[Callable[[Nemesis], Undo | None], ...] = (
    Nemesis.kill_member,
    Nemesis.kill_api,
    Nemesis.stop_process,
    Nemesis.partition,
    Nemesis.partition,
    Nemesis.isolate_member,
    Nemesis.lose_answers,
    Nemesis.fill_disk,
    Nemesis.skew_clock,
    Nemesis.flip_byte,
    Nemesis.restore_old_copy,
)
