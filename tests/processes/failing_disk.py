"""Lets system calls of a running process fail, by strace: it says EIO, or that the disk is full, in the kernel's place."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.harness import Process

DATABASE = ("sos.db", "sos.db-wal", "sos.db-shm")


def paths_of(store: Path) -> list[Path]:
    """Give what is in a store now, and its directory: what is opened below that is opened by its descriptor."""
    return [store, *(path for path in store.rglob("*") if path.is_file()), *(store / name for name in DATABASE)]


@contextmanager
def failing(process: Process, calls: str, fault: str, paths: Sequence[Path] = ()) -> Iterator[None]:
    """Do `fault` to system calls of a process, those on some absolute paths, or all of them."""
    if shutil.which("strace") is None:
        pytest.skip("SKIPPED: there is no strace here, so no disk can be made to fail")
    command = ["strace", "-f", "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}", "-e", "signal=none"]
    for path in paths:
        command += ["-P", str(path)]
    with subprocess.Popen(
        [*command, "-p", str(process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as tracing:
        try:
            _wait_for_its_hold(tracing)
            yield
        finally:
            tracing.terminate()
            tracing.communicate()


def _wait_for_its_hold(tracing: subprocess.Popen[str]) -> None:
    assert tracing.stderr is not None
    said = []
    for line in tracing.stderr:
        if " attached" in line:
            return
        said.append(line.strip())
    pytest.skip(f"SKIPPED: strace may not attach to a process here, so no disk can be made to fail: {' '.join(said)}")
