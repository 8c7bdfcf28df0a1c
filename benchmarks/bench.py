"""What a row measures with: a directory, processes that end with it, and how often and how long."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from attrs import define, field, frozen

from benchmarks import filled
from benchmarks.figures import Missing
from benchmarks.machine import MEMORY_FILE_SYSTEMS, SERVER_CORE, file_system_of
from benchmarks.running import Running


@frozen
class Plan:
    """How much is measured."""

    pairs: int = 7
    seconds: float = 1.0
    """Of each measurement of a rate. Many short pairs beat few long ones: what disturbs lasts seconds."""

    long_pairs: int = 3
    """For measurements that take as long as they take."""

    few_blobs: int = 10_000
    many_blobs: int = 100_000
    large_blob: int = 1 << 30
    slow_seconds: float = 4.0


QUICK = Plan(pairs=3, seconds=0.4, long_pairs=2, few_blobs=2_000, many_blobs=10_000, large_blob=1 << 28, slow_seconds=1.5)


@define
class Bench:
    """The surroundings of one row. What it started ends with it, and its files are gone."""

    plan: Plan
    work: Path
    """Where directories are made: its file system is what is measured."""

    stores: dict[int, Path]
    """The stores that other rows have filled already, by the number of their blobs."""

    peer: str | None = None
    directory: Path = field(init=False)
    _processes: list[Running] = field(init=False, factory=list)

    def __enter__(self) -> Bench:
        """Make the directory."""
        self.directory = Path(tempfile.mkdtemp(dir=self.work))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the processes and remove the directory."""
        for process in reversed(self._processes):
            process.end()
        shutil.rmtree(self.directory)

    @property
    def last_words(self) -> str:
        """Give what processes wrote last that a row did not end: why one of them failed is often said there."""
        words = [
            (process.name, process.output.strip().splitlines()[-1:]) for process in self._processes if not process.was_ended
        ]
        return " ".join(f"[{name}: {lines[0][-200:]}]" for name, lines in words if lines)

    def start(self, name: str, command: Sequence[str], core: int = SERVER_CORE) -> Running:
        """Start a process that ends with the row."""
        process = Running(command, self.directory, f"{name}-{len(self._processes)}", core)
        self._processes.append(process)
        return process

    def start_module(self, name: str, module: str, *arguments: str, core: int = SERVER_CORE) -> Running:
        """Start a module of Python."""
        return self.start(name, [sys.executable, "-m", module, *arguments], core)

    def filled_store(self, count: int) -> Path:
        """Give a store with so many blobs of 4 KiB; it is filled once for all rows, which leave it as it is."""
        if count not in self.stores:
            path = Path(tempfile.mkdtemp(dir=self.work)) / "store"
            filled.fill(path, count)
            self.stores[count] = path
        return self.stores[count]

    def check_disk(self) -> None:
        """Refuse to measure durable writes where nothing is durable."""
        kind = file_system_of(self.directory)
        if kind in MEMORY_FILE_SYSTEMS:
            raise Missing(f"{self.directory} is {kind}, which is memory; name a directory on a disk with BENCH_DIR.")


def in_turn(
    pairs: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure two things alternately, so that what disturbs the machine for a while disturbs both."""
    measured = [(ours(), theirs()) for _ in range(pairs)]
    return tuple(pair[0] for pair in measured), tuple(pair[1] for pair in measured)
