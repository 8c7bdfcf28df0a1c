"""Torture F46 and I12: a cluster that nobody uses for a day."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from sos.services.timer import RoundTimer
from sos.store.opening import open_disk_store
from sos.usecases.replication import Replication, SilentReporter
from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.cluster.conftest import Builder
from tests.cluster.town import Town
from tests.support import immediately, success_of

EVERY = 60.0
PAYLOADS = [b"%d" % number * size for number in range(5) for size in (10, 100_000)]
MOST_A_ROUND = 2000
"""Bytes that a member gets and gives in a round: two small requests and their answers. They are 905."""

MOST_WAL = 8 * 1024 * 1024
"""Bytes that a write-ahead log may have before it is copied into its database, and some for what comes meanwhile."""

MOST_OBJECTS = 1000
"""Objects that Python may keep for later: each connection of the three stores remembers up to 200 cursors that are gone. One
that leaked with each round of a day would be more."""


def objects_alive() -> int:
    """Count what Python's collector knows of: memory that leaks shows here, whatever its allocator keeps."""
    gc.collect()
    return len(gc.get_objects())


def descriptors_open() -> int:
    """Count them, without those that the garbage of earlier tests still holds."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@implementer(ILogObserver)
class IdleTown:
    """A town on disks, with rounds every minute, of which the log is kept."""

    def __init__(self, build: Builder, directory: Path) -> None:
        self.directory = directory
        self.stores: list[ILocalReplica] = []
        self.events: list[str] = []
        self.town: Town = build(store_for=self._opened)
        for payload in PAYLOADS:
            assert self.town.stored(payload) == 3
        replication = Replication(self.town.api.cluster, SilentReporter())
        self.rounds = RoundTimer("replication", EVERY, replication.round, self.town.clock)

    def _opened(self, name: str, clock: HybridClock) -> ILocalReplica:
        store = open_disk_store(self.directory / name, in_thread=immediately, commit_in_thread=immediately, wall=clock.now)
        self.stores.append(store)
        return store

    def __call__(self, event: LogEvent) -> None:
        """Keep what is logged."""
        if getattr(event.get("log_level"), "name", "") != "debug":
            self.events.append(str(event.get("log_format")))

    def pass_minutes(self, minutes: int) -> None:
        """Let time pass, second by second, for nothing waits for less."""
        clock: Clock = self.town.clock
        for _ in range(minutes * 60):
            clock.advance(1)

    def moved(self) -> list[int]:
        """Count the bytes that have gone over each member's line."""
        return [member.line.to_member.passed + member.line.to_api.passed for member in self.town.members.values()]

    def wal(self) -> int:
        """Measure the longest write-ahead log."""
        return max(path.stat().st_size for path in self.directory.glob("*/sos.db-wal"))

    def sizes(self) -> int:
        """Measure the databases."""
        return sum(path.stat().st_size for path in self.directory.glob("*/sos.db"))


@pytest.fixture
def idle(build: Builder, tmp_path: Path) -> Iterator[IdleTown]:
    """Give the town; its log is heard."""
    made = IdleTown(build, tmp_path)
    globalLogPublisher.addObserver(made)
    made.rounds.startService()
    yield made
    success_of(made.rounds.stopService())
    globalLogPublisher.removeObserver(made)
    for store in made.stores:
        success_of(store.close())


@pytest.mark.parametrize("minutes", [30, pytest.param(24 * 60, marks=pytest.mark.torture)])
def test_nothing_grows_while_nobody_asks(idle: IdleTown, minutes: int) -> None:
    """Rounds take no blob's bytes, and neither memory nor log nor descriptors nor files grow."""
    idle.pass_minutes(15)
    assert {idle.town.holders(payload) for payload in PAYLOADS} == {"abc"}
    before = idle.moved()
    descriptors, sizes, objects = descriptors_open(), idle.sizes(), objects_alive()
    idle.events.clear()
    idle.pass_minutes(minutes)
    rounds = minutes * 60 / EVERY
    assert all((now - then) / rounds < MOST_A_ROUND for now, then in zip(idle.moved(), before, strict=True))
    assert idle.events == []
    assert descriptors_open() == descriptors
    assert idle.sizes() == sizes
    assert idle.wal() <= MOST_WAL
    assert objects_alive() <= objects + MOST_OBJECTS
    assert {store.status().round for store in idle.stores} == {15 + minutes + 1}
    assert {idle.town.holders(payload) for payload in PAYLOADS} == {"abc"}
