"""Fixtures that every test runs under."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.trial import unittest
from twisted.trial._synctest import _logObserver

settings.register_profile("sos", deadline=None)  # how long an example takes is the machine's, and no test of ours
settings.load_profile("sos")


@pytest.fixture(autouse=True)
def no_error_is_left_in_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that logged an error and did not say that it expected it (trial does this for its own test cases)."""
    if request.cls is not None and issubclass(request.cls, unittest.SynchronousTestCase):
        yield
        return
    _logObserver._add()
    yield
    errors = _logObserver.getErrors()
    _logObserver.flushErrors()
    _logObserver._remove()
    assert not errors, f"errors were logged: {errors}"


@pytest.fixture(autouse=True)
def no_delayed_call_is_left() -> Iterator[None]:
    """Fail a test that left something waiting on the real clock."""
    clock = IReactorTime(reactor)
    before = set(clock.getDelayedCalls())
    yield
    left = [call for call in clock.getDelayedCalls() if call not in before and call.active()]
    for call in left:
        call.cancel()
    assert not left, f"delayed calls were left: {left}"


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """Give a directory in memory, where the machine has one: thousands of stores, none of which has to last."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="sos-", dir=memory) as directory:
        yield Path(directory)
