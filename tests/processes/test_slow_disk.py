"""Torture F7: every fsync of one member's database takes two seconds."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.processes.group import id_of, start_trio
from tests.processes.harness import Household, Process, ask

SLOW = 2.0
MOST_ACK = 1.0
"""Seconds until an upload is acknowledged: two quick members, a quarter of a second for the slow one, and a busy machine."""

MOST_READ = 0.25
"""Seconds that a read of the slow member takes at most; it is 50 ms on a machine that does nothing else."""

pytestmark = pytest.mark.torture


@contextmanager
def slow_fsync(process: Process) -> Iterator[None]:
    """Delay each fdatasync of a running process."""
    if shutil.which("strace") is None:
        pytest.skip("SKIPPED: there is no strace here, so no disk can be made slow")
    delay = f"inject=fdatasync,fsync:delay_enter={int(SLOW * 1e6)}"
    command = ["strace", "-f", "-qq", "-p", str(process.pid), "-e", "trace=fdatasync,fsync", "-e", delay]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as tracing:
        try:
            yield
        finally:
            tracing.terminate()


def test_a_slow_disk_delays_an_upload_by_its_straggling_and_no_read_at_all(house: Household) -> None:
    """Uploads are acknowledged by the two others; the slow member's reactor never waits for its disk."""
    trio = start_trio(house)
    before = b"before" * 30_000
    assert trio.copies_of_upload(before) == 3
    with slow_fsync(trio.members[0]):
        while timed(partial(direct, trio.ports[0])) < SLOW:
            pass  # strace takes a moment to get hold of it
        for payload in (b"%d" % number * 100_000 for number in range(5)):
            assert timed(partial(trio.copies_of_upload, payload)) < MOST_ACK
            reads = [timed(partial(ask, "GET", trio.ports[0], f"/blob/{id_of(before)}")) for _ in range(20)]
            assert max(reads) < MOST_READ
    assert trio.replicate().end() == 0
    assert trio.holders(before) == [0, 1, 2]
    assert trio.holders(b"0" * 100_000) == [0, 1, 2]
    assert trio.staged() == []


def direct(port: int) -> None:
    """Write a small blob to a member."""
    payload = b"%d" % time.monotonic_ns()
    assert ask("POST", port, f"/blob/{id_of(payload)}", payload).status == 200


def timed(call: Callable[[], object]) -> float:
    """Give the seconds that a call takes."""
    before = time.monotonic()
    call()
    return time.monotonic() - before
