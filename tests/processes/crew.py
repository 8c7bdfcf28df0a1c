"""The workers of a running api, by their processes: which there are, how they are stopped and how their end is seen."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.processes.harness import PATIENCE, Process

SERVES = r"Worker (\d+) \(pid (\d+)\) serves"


def crew_of(api: Process, count: int) -> dict[int, int]:
    """Wait until so many workers have begun to serve, and give the newest pid of each number."""
    return {int(found[1]): int(found[2]) for found in api.when_lines_match(SERVES, count)}


@contextmanager
def watched(pids: Sequence[int]) -> Iterator[select.poll]:
    """Watch processes that are no children of ours; each is an event of the poll when it ends."""
    descriptors = [os.pidfd_open(pid) for pid in pids]
    ends = select.poll()
    for descriptor in descriptors:
        ends.register(descriptor, select.POLLIN)
    try:
        yield ends
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def wait_for_all(ends: select.poll, count: int) -> None:
    """Wait until so many watched processes have ended."""
    for left in range(count, 0, -1):
        ended = ends.poll(PATIENCE * 1000)
        assert ended, f"{left} workers do not end"
        ends.unregister(ended[0][0])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Hold a process still, in the middle of whatever it does."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
