"""Rows of the slowest answers: GETs of a blob server that scrubs and replicates, in turn with GETs of one that does not."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from benchmarks import arrivals
from benchmarks.arrivals import Order, Slowest
from benchmarks.asking import check_same, status_of
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Wrong, shown
from benchmarks.filled import SIZE, copy, name_of, numbers_in_turn, payload_of
from benchmarks.machine import LOAD_CORE
from benchmarks.running import PATIENCE, Running
from benchmarks.servers import Served, blob_server, sos_command

_CLIENTS = 4
"""Fewer than elsewhere: with more, each waits for the others most of the time, whatever else goes on."""

_WARM_SECONDS = 0.3
_LOOK = 0.1
_NICE = ("nice", "-n", "19")
"""What stands for another host shares the core of the load, and has to give way to it."""


@define
class Load:
    """GETs of many blobs in turn."""

    paths: Sequence[str]
    seen: dict[str, list[float]] = field(factory=lambda: defaultdict(list))
    """What the clients saw at each server, by its URL."""

    @classmethod
    def of(cls, count: int, *servers: Served) -> Load:
        """Ask for some of so many blobs in turn, and see that servers give the right bytes for a few of them."""
        numbers = numbers_in_turn(count)
        paths = [f"/blob/{name_of(number)}" for number in numbers]
        for number, path in list(zip(numbers, paths, strict=True))[:10]:
            for server in servers:
                check_same(server.port, path, payload_of(number))
        return cls(paths)

    def p99(self, served: Served, seconds: float) -> float:
        """Give the milliseconds after which 99 of 100 answers are there."""
        self._slowest(served, _WARM_SECONDS)
        slowest = self._slowest(served, seconds)
        self.seen[served.url("")].append(slowest.seen)
        return slowest.arrived

    def _slowest(self, served: Served, seconds: float) -> Slowest:
        return arrivals.load(Order(port=served.port, paths=self.paths, size=SIZE, clients=_CLIENTS, seconds=seconds))

    def note(self, busy: Served, idle: Served) -> str:
        """Say what the clients saw, who share a core with others."""
        medians = [shown(statistics.median(self.seen[served.url("")])) for served in (busy, idle)]
        return f"as the clients saw it, {medians[0]} ms beside {medians[1]} ms"


@define
class Work:
    """What a blob server does beside the GETs; it stands still while the other server is asked."""

    busy: Served
    target: Served | None
    processes: Sequence[Running]
    scrubbed: int = 0
    copied: int = 0

    def pause(self) -> None:
        """Have all of it stand still."""
        for process in self.processes:
            process.pause()

    def go_on(self) -> None:
        """Have it go on."""
        for process in self.processes:
            process.go_on()

    def check(self) -> None:
        """See that all of it has come further since the last look. Raises `Wrong`."""
        scrubbed = status_of(self.busy.port)["scrub"]["checked"]
        if scrubbed <= self.scrubbed:
            raise Wrong("The scrub did not run meanwhile.")
        self.scrubbed = scrubbed
        if self.target is None:
            return
        copied = status_of(self.target.port)["blobs"]
        if copied <= self.copied or not self.processes[-1].is_running:
            raise Wrong(f"Replication did not run meanwhile: {self.processes[-1].output.strip()[-300:]}")
        self.copied = copied


def beside_scrub(bench: Bench) -> Measured:
    """GET 4 KiB while a scrub runs at its usual rate; p99 in milliseconds, beside a blob server without one."""
    idle, busy = _servers(bench)
    return _in_turn(bench, idle, Work(busy, None, [busy.process]))


def beside_scrub_and_replication(bench: Bench) -> Measured:
    """The same while another member, which is empty, also gets all blobs."""
    idle, busy = _servers(bench)
    target = _yielding_blob_server(bench, bench.directory / "target")
    servers = f"--blob-server={busy.url('')},{target.url('')}"
    replicating = bench.start("replicate", [*_NICE, *sos_command("replicate", servers)], LOAD_CORE)
    _wait_for_first(target)
    return _in_turn(bench, idle, Work(busy, target, [busy.process, target.process, replicating]))


def _yielding_blob_server(bench: Bench, store: Path) -> Served:
    process = bench.start("target", [*_NICE, *sos_command("blob-server", f"--store={store}", "--port=0")], LOAD_CORE)
    return Served(process, process.port("blobs"))


def _wait_for_first(target: Served) -> None:
    """Wait until replication has brought something."""
    deadline = time.monotonic() + PATIENCE
    while not status_of(target.port)["blobs"]:
        if time.monotonic() > deadline:
            raise Wrong("Replication brought nothing.")
        time.sleep(_LOOK)


def _servers(bench: Bench) -> tuple[Served, Served]:
    """Start a blob server that does nothing by itself, and one that begins to scrub the same blobs."""
    original, scrubbed = bench.filled_store(bench.plan.many_blobs), bench.directory / "scrubbed"
    copy(original, scrubbed)
    return blob_server(bench, original, options=["--scrub-rate=0"]), blob_server(bench, scrubbed)


def _in_turn(bench: Bench, idle: Served, work: Work) -> Measured:
    load, seconds = Load.of(bench.plan.many_blobs, idle, work.busy), 2 * bench.plan.seconds

    def beside_work() -> float:
        work.go_on()
        p99 = load.p99(work.busy, seconds)
        work.check()
        work.pause()
        return p99

    sos, reference = in_turn(bench.plan.pairs, beside_work, lambda: load.p99(idle, seconds))
    return Measured(sos, reference, (load.note(work.busy, idle),))
