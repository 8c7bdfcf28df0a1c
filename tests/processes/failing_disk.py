"""Lets system calls of a running process fail, by strace: it says EIO, or that the disk is full, in the kernel's place."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.processes.missing import skip_loudly

_PATIENCE = 5.0
"""Seconds that strace has to end, while it may be writing what it saw."""

DATABASE = ("sos.db", "sos.db-wal", "sos.db-shm")


def paths_of(store: Path) -> list[Path]:
    """Give what is in a store now, and its directory: what is opened below that is opened by its descriptor."""
    return [store, *(path for path in store.rglob("*") if path.is_file()), *(store / name for name in DATABASE)]


class Running(Protocol):
    """A process that runs."""

    @property
    def pid(self) -> int:
        """Its process ID."""


@contextmanager
def failing(process: Running, calls: str, fault: str, paths: Sequence[Path] = ()) -> Iterator[None]:
    """Do `fault` to system calls of a process, those on some absolute paths, or all of them."""
    options = ["-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    for path in paths:
        options += ["-P", str(path)]
    with held_by_strace(process, *options):
        yield


@contextmanager
def held_by_strace(process: Running, *options: str) -> Iterator[None]:
    """Let strace see and change what a running process asks of the kernel, in all of its threads."""
    if shutil.which("strace") is None:
        skip_loudly("there is no strace here, so no disk can be made to fail, nor be watched")
    command = ["strace", "-f", "-e", "signal=none", *options, "-p", str(process.pid)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracing:
        try:
            _wait_for_its_hold(tracing)
            yield
        finally:
            _let_go(tracing)


def _let_go(tracing: subprocess.Popen[str]) -> None:
    """End strace; it may wait for ever for a process that is dead already, and then only SIGKILL ends it."""
    tracing.terminate()
    try:
        tracing.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        tracing.kill()
        tracing.communicate()


def _wait_for_its_hold(tracing: subprocess.Popen[str]) -> None:
    assert tracing.stderr is not None
    said = []
    for line in tracing.stderr:
        if " attached" in line:
            return
        said.append(line.strip())
    skip_loudly(f"strace may not attach to a process here: {' '.join(said)}")
