"""Freed memory that is kept: what was paid for once is not paid for again."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

_MIB = 1024 * 1024

_PROGRAM = """
import resource, sys
if sys.argv[1] == "keep":
    from sos.services.heap import keep_freed_memory
    keep_freed_memory()

def chunk():
    return [bytes([number]) * 65_536 for number in range(64)]

chunk()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    chunk()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


_COLLECTING = """
import gc
from sos.services.heap import look_less_for_cycles

def collections():
    gc.collect()
    seen = []
    gc.callbacks.append(lambda phase, info: seen.append(info["generation"]) if phase == "start" else None)
    requests = [[number] for number in range(4500)]
    gc.callbacks.clear()
    return len(seen)

before = collections()
look_less_for_cycles()
print(before, collections(), gc.get_freeze_count())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have ways of their own")
def test_memory_that_was_freed_is_not_given_back_and_fetched_again() -> None:
    """Ten chunks after the first cost less than the pages of one; without it, they cost most of the pages of all."""
    faults = {how: _faults(how) for how in ("keep", "give back")}
    assert faults["keep"] < 4 * _MIB // resource.getpagesize() < faults["give back"]


def test_many_requests_at_once_are_not_taken_for_cycles() -> None:
    """A few thousand objects that live make the collector run twice or more; here it does not, and passes over modules."""
    ran = subprocess.run([sys.executable, "-c", _COLLECTING], capture_output=True, check=True, text=True, timeout=60)
    before, after, spared = map(int, ran.stdout.split())
    assert before >= 2
    assert after == 0
    assert spared > 1000


def _faults(how: str) -> int:
    """Run a program of its own: what tests did before has moved the thresholds of this process."""
    ran = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, check=True, text=True, timeout=60)
    return int(ran.stdout)
