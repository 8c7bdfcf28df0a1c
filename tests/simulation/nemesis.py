"""The nemesis: does the cluster harm, one thing after the other, and undoes it after a while. A seed decides all of it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from tests.simulation.disks import SWEEP_AGE, Disk
from tests.simulation.network import Path
from tests.simulation.world import APIS, GROUPS, ApiHost, MemberHost, World

DAY = 86_400.0
YEAR = 365 * DAY

UNNOTICED = SWEEP_AGE / 7
"""Seconds that a clock may be astray without an alarm: a seventh of the age of what a sweep takes, as a day is of seven."""

Undo = Callable[[], object]

FRAGILE = "c"
"""The one member whose disk may lose what it had: an acknowledged object may have as few copies as all disks but one."""


@define
class Nemesis:
    """Begins faults at random moments, several at a time."""

    world: World
    until: float
    most_at_once: int = 3
    deeds: list[str] = field(factory=list)
    """What was done, for whoever reads a failure."""
    _running: int = 0
    _backup: Disk | None = None

    def begin(self) -> None:
        """Begin to do harm."""
        self._wait()

    def _wait(self) -> None:
        self.world.clock.callLater(self.world.chance.uniform(0.2, 4.0), self._strike)

    def _strike(self) -> None:
        now, chance = self.world.clock.seconds(), self.world.chance
        if now >= self.until:
            return
        if self._running < self.most_at_once:
            deed = chance.choice(DEEDS)
            undo = deed(self)
            if undo is not None:
                self._running += 1
                self.world.clock.callLater(chance.uniform(0.5, 15.0), self._undo, deed.__name__, undo)
            self.deeds.append(f"{now:9.3f} {deed.__name__}")
        self._wait()

    def _undo(self, name: str, undo: Undo) -> None:
        self._running -= 1
        self.deeds.append(f"{self.world.clock.seconds():9.3f} end of {name}")
        undo()

    # Choosing

    def member(self) -> MemberHost:
        """Pick a member."""
        return self.world.members[self.world.chance.choice(sorted(self.world.members))]

    def api(self) -> ApiHost:
        """Pick an api."""
        return self.world.apis[self.world.chance.choice(APIS)]

    def paths(self) -> list[Path]:
        """Pick the ways between an api and a member: one or both."""
        api, member, network = self.api().name, self.member().name, self.world.network
        both = [network.path(api, member), network.path(member, api)]
        return self.world.chance.choice([both, both[:1], both[1:]])

    # What it does: each begins a fault and gives what ends it, or None for what is over at once

    def kill_member(self) -> Undo | None:
        """End a process by kill -9; it is started again."""
        member = self.member()
        member.kill(says_so=True)
        return member.start

    def cut_power(self) -> Undo | None:
        """Nobody is told: connections are half-open."""
        member = self.member()
        member.kill(says_so=False)
        return member.start

    def kill_api(self) -> Undo | None:
        """End an api by kill -9."""
        api = self.api()
        api.kill()
        return api.start

    def partition(self) -> Undo | None:
        """Between an api and a member, in one direction or both."""
        paths = self.paths()
        for path in paths:
            path.is_cut = True

        def undo() -> None:
            for path in paths:
                path.is_cut = False
            self.world.network.look_again()

        return undo

    def isolate_member(self) -> Undo | None:
        """From all apis."""
        name, network = self.member().name, self.world.network
        paths = [path for api in APIS for path in (network.path(api, name), network.path(name, api))]
        for path in paths:
            path.is_cut = True

        def undo() -> None:
            for path in paths:
                path.is_cut = False
            network.look_again()

        return undo

    def slow_path(self) -> Undo | None:
        """A long and narrow way."""
        paths, chance = self.paths(), self.world.chance
        for path in paths:
            path.latency, path.bandwidth = chance.uniform(0.05, 3.0), chance.choice((2e3, 50e3, 1e6))

        def undo() -> None:
            for path in paths:
                path.latency, path.bandwidth = 0.0005, 100e6

        return undo

    def lossy_path(self) -> Undo | None:
        """Thirty packets of a hundred."""
        paths = self.paths()
        for path in paths:
            path.loss = 0.3

        def undo() -> None:
            for path in paths:
                path.loss = 0.0

        return undo

    def cut_connection(self) -> Undo | None:
        """At a byte."""
        self.world.network.cut_at(self.member().name, self.world.chance.choice((0, 1, 100, 1000, 65_535, 65_536, 150_000)))
        return None

    def fill_disk(self) -> Undo | None:
        """Until there is room again."""
        disk = self.member().disk
        disk.is_full = True

        def undo() -> None:
            disk.is_full = False

        return undo

    def fail_disk(self) -> Undo | None:
        """Nothing can be written, or not even read; a restart on another disk ends it."""
        member = self.member()
        if self.world.chance.random() < 0.5:
            member.disk.is_read_only = True
        else:
            member.disk.is_failing = True

        def undo() -> None:
            member.kill()
            member.disk.heal()
            member.start()

        return undo

    def slow_disk(self) -> Undo | None:
        """Each sync takes seconds."""
        disk = self.member().disk
        disk.sync_seconds = self.world.chance.uniform(0.1, 4.0)

        def undo() -> None:
            disk.sync_seconds = 0.002

        return undo

    def skew_clock(self) -> Undo | None:
        """A clock jumps by seconds, days or years, there or back."""
        hosts: list[MemberHost | ApiHost] = [self.member(), self.api()]
        host = self.world.chance.choice(hosts)
        before, chance = host.skew, self.world.chance
        host.skew += chance.choice((-1, 1)) * chance.choice((1.0, UNNOTICED, 3 * DAY, 10 * YEAR))

        def undo() -> None:
            host.skew = before

        return undo

    def flip_byte(self) -> Undo | None:
        """Of something on the fragile disk."""
        store = self.world.members[FRAGILE].store
        if store is not None:
            live = sorted(entry.id for entry in store.disk.shelf.entries if entry.is_live and not entry.is_damaged)
            if live:
                store.damage(self.world.chance.choice(live))
        return None

    def restore_backup(self) -> Undo | None:
        """The fragile disk is copied; another time it comes back as it was, at once or after a while."""
        member = self.world.members[FRAGILE]
        if self._backup is None:
            self._backup = member.disk.backup()
            return None
        member.kill()
        member.disk.restore(self._backup)
        member.away_until = self.world.clock.seconds() + self.world.chance.choice((0.0, 0.1, 1.0, 4.0))
        member.start()
        self._backup = None
        return None


DEEDS: tuple[Callable[[Nemesis], Undo | None], ...] = (
    Nemesis.kill_member,
    Nemesis.cut_power,
    Nemesis.kill_api,
    Nemesis.partition,
    Nemesis.partition,
    Nemesis.isolate_member,
    Nemesis.slow_path,
    Nemesis.lossy_path,
    Nemesis.cut_connection,
    Nemesis.fill_disk,
    Nemesis.fail_disk,
    Nemesis.slow_disk,
    Nemesis.skew_clock,
    Nemesis.flip_byte,
    Nemesis.restore_backup,
)
assert FRAGILE in GROUPS["one"], "a group of three, whose acknowledgements need two copies"
