"""The machine: its cores, what a process takes of it, and what a reader must know to compare two runs."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from sos.options import installed_version

ROOT = Path(__file__).resolve().parent.parent
MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})
_TICKS = os.sysconf("SC_CLK_TCK")
_CORES = sorted(os.sched_getaffinity(0))
Cores = frozenset[int]
"""Those that a process may run on."""

SERVER_CORE: Cores = frozenset(_CORES[:1])
"""Where the servers run: the first core that we may use."""

LOAD_CORE: Cores = frozenset(_CORES[1:2] or _CORES)
"""Where the load runs, and whatever is not being measured."""

BOTH_CORES = SERVER_CORE | LOAD_CORE
"""Where servers and load run that share all there is."""


@contextmanager
def on_core(cores: Cores) -> Iterator[None]:
    """Have this thread, and the processes that it starts, run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family_of(pid: int) -> Iterator[int]:
    """Give a process and all that it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family_of(int(child))


def cpu_seconds(pid: int) -> float:
    """Give the time that a process and its children had on a core, until now."""
    return sum(_ticks(member) for member in family_of(pid)) / _TICKS


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


class Company:
    """What others take of our cores, from now on: other people's processes, and other guests of the same host."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before = _used_by_all() - _used_by_us()

    def share(self) -> float:
        """Give their part of all our cores until now. What we started must have ended: it is counted as ours only then."""
        seconds = (time.monotonic() - self._started) * len(_CORES)
        return max(0.0, _used_by_all() - _used_by_us() - self._before) / seconds


def _used_by_all() -> float:
    """Give the seconds that our cores have worked since the machine's start, or were taken from it."""
    used = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in {f"cpu{core}" for core in _CORES}:
            user, nice, system, _, _, interrupts, soft, stolen, *_ = map(int, fields)
            used += user + nice + system + interrupts + soft + stolen  # our packets' interrupts are in our own time, too
    return used / _TICKS


def _used_by_us() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def memory_mib(pid: int, field: str = "VmRSS") -> float:
    """Give the resident memory of a process; ``VmHWM`` for the most that it ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"/proc says no {field} of {pid}")


def forget_peak(pid: int) -> None:
    """Have ``VmHWM`` begin again from what the process has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def file_system_of(directory: Path) -> str:
    """Give the type of the file system that a directory is on."""
    found, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, this_kind, *_ = line.split()
        if directory.resolve().is_relative_to(mounted) and len(mounted) >= len(found):
            found, kind = mounted, this_kind
    return kind


def run_facts(directory: Path) -> Mapping[str, Any]:
    """Give what goes with each figure: when, what and where."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sos": installed_version(),
        "commit": _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "python": platform.python_version(),
        "twisted": metadata.version("twisted"),
        "httptools": metadata.version("httptools"),
        "sqlite": sqlite3.sqlite_version,
        "nginx": _first_line("nginx", "-v").rpartition("/")[2],
        "cores": len(_CORES),
        "processor": _processor(),
        "kernel": platform.release(),
        "file_system": file_system_of(directory),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(*command: str) -> str:
    """Give the first line that a command writes, or nothing where it cannot be run."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0] if done.returncode == 0 else ""
