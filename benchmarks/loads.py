"""Loads as rows use them: a server asked for one path over and over, and what of its core it had meanwhile."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import Factory, define

from benchmarks import traffic, wrk
from benchmarks.asking import check_same
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Spread
from benchmarks.machine import LOAD_CORE, Cores
from benchmarks.running import Running
from benchmarks.servers import Served

_WARM_SECONDS = 0.3
_BUSY = 0.9
"""A server that had less of its core waited for the load, for another core, or for somebody else on its own."""


@define
class Reading:
    """GETs of one path, or of the paths of a script."""

    name: str
    served: Served
    path: str
    payload: bytes
    script: Path | None = None
    also: tuple[Running, ...] = ()
    """Processes that the server cannot answer without."""

    shares: list[float] = Factory(list)
    costs: list[float] = Factory(list)
    """Processor seconds of an answer; whoever disturbs the machine changes these least."""

    def check(self) -> None:
        """See that the answer is right, and warm the server up."""
        check_same(self.served.port, self.path, self.payload)
        self._load(_WARM_SECONDS, 16)

    def rate(self, seconds: float) -> float:
        """Measure answers a second."""
        before, started = self._cpu_seconds(), time.perf_counter()
        report = self._load(seconds, 16)
        taken = self._cpu_seconds() - before
        self.shares.append(taken / (time.perf_counter() - started))
        self.costs.append(taken / report.requests)
        return report.rate

    def latency(self, seconds: float) -> float:
        """Measure the median time of an answer to one client, in milliseconds."""
        return self._load(seconds, 1).median_seconds * 1000

    def _load(self, seconds: float, connections: int) -> wrk.Report:
        return wrk.load(self.served.url(self.path), len(self.payload), seconds, connections, self.script)

    def _cpu_seconds(self) -> float:
        return sum(process.cpu_seconds for process in (self.served.process, *self.also))

    @property
    def note(self) -> tuple[str, ...]:
        """Say so where the server did not have its core to itself."""
        return () if self.share >= _BUSY else (f"{self.name} had {self.share:.0%} of a core, so it could have done more",)

    @property
    def share(self) -> float:
        """Give how much of a core the server had."""
        return statistics.median(self.shares)


def rates(bench: Bench, ours: Reading, theirs: Reading) -> Measured:
    """Measure two servers in turn under the same load."""
    ours.check()
    theirs.check()
    seconds = bench.plan.seconds
    sos, reference = in_turn(bench.plan.pairs, lambda: ours.rate(seconds), lambda: theirs.rate(seconds))
    notes = (f"by processor time {Spread.of_ratios(theirs.costs, ours.costs)}", *ours.note, *theirs.note)
    return Measured(sos, reference, notes, is_disturbed=theirs.share < _BUSY)


@define
class Writing:
    """Uploads, each run of them with a seed of its own; after each, a sample of what was acknowledged is read back."""

    port: int
    read_from: int
    through_api: bool = False
    cores: Cores = LOAD_CORE
    behind: Mapping[str, Sequence[Running]] = Factory(dict)
    """The processes that take part, by what they are called."""

    runs: int = 0
    costs: defaultdict[str, list[float]] = Factory(lambda: defaultdict(list))
    """Processor seconds of an upload, of all processes of one name."""

    def rate(self, seconds: float) -> float:
        """Measure uploads a second."""
        before = self._cpu_seconds()
        done = self.load(seconds, 1 << 40)
        for name, spent in self._cpu_seconds().items():
            self.costs[name].append((spent - before[name]) / done.uploads)
        return done.rate

    @property
    def note(self) -> str:
        """Say what an upload costs each."""
        costs = [f"{name} {statistics.median(costs) * 1e6:.0f} us" for name, costs in self.costs.items()]
        return f"processor time of each: {', '.join(costs)}"

    def _cpu_seconds(self) -> dict[str, float]:
        return {name: sum(process.cpu_seconds for process in some) for name, some in self.behind.items()}

    def load(self, seconds: float, most: int) -> traffic.Done:
        """Upload for so long, and so many at most."""
        self.runs += 1
        order = traffic.Order(
            port=self.port,
            seed=f"{self.port}-{self.runs}",
            seconds=seconds,
            most=most,
            through_api=self.through_api,
        )
        done = traffic.load(order, self.cores)
        for number in {0, done.uploads // 2, done.uploads - 1}:
            self._check(order, number)
        return done

    def _check(self, order: traffic.Order, number: int) -> None:
        name = traffic.name_of(order, number)
        path = f"/fetch/{name}" if self.through_api else f"/blob/{name}"
        check_same(self.read_from, path, traffic.body_of(order.seed, number))
