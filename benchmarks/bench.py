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
from benchmarks.machine import MEMORY_FILE_SYSTEMS, SERVER_CORE, Cores, file_system_of
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
    most_blobs: int = 1_000_000
    large_blob: int = 1 << 30
    slow_seconds: float = 4.0


QUICK = Plan(
    pairs=3,
    seconds=0.4,
    long_pairs=2,
    few_blobs=2_000,
    many_blobs=10_000,
    most_blobs=100_000,
    large_blob=1 << 28,
    slow_seconds=1.5,
)


@define
class Bench:
    """The surroundings of one row. What it started ends with it, and its files are gone."""

    plan: Plan
    work: Path
    """Where directories are made: its file system is what is measured."""

    shared: dict[str, Path]
    """What other rows have made already and all leave as it is: filled stores, and others that take long to make."""

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

    def start(self, name: str, command: Sequence[str], cores: Cores = SERVER_CORE) -> Running:
        """Start a process that ends with the row."""
        process = Running(command, self.directory, f"{name}-{len(self._processes)}", cores)
        self._processes.append(process)
        return process

    def start_module(self, name: str, module: str, *arguments: str, cores: Cores = SERVER_CORE) -> Running:
        """Start a module of Python."""
        return self.start(name, [sys.executable, "-m", module, *arguments], cores)

    def made_once(self, name: str, make: Callable[[Path], None]) -> Path:
        """Give a directory that is made once for all rows, which leave it as it is."""
        if name not in self.shared:
            path = Path(tempfile.mkdtemp(dir=self.work)) / name
            make(path)
            self.shared[name] = path
        return self.shared[name]

    def filled_store(self, count: int, size: int = filled.SIZE) -> Path:
        """Give a store with so many blobs of so many bytes."""
        return self.made_once(f"store-{count}-{size}", lambda path: filled.fill(path, count, size))

    def twin_store(self, count: int, size: int = filled.SIZE) -> Path:
        """Give a second store that holds the same."""
        return self.made_once(f"twin-{count}-{size}", lambda path: filled.copy(self.filled_store(count, size), path))

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
