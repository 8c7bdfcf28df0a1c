"""What the tests of the store share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.faults import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a place for a store, with nothing there yet."""
    return Bench(tmp_path / "store")


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """Give a directory in memory, where the machine has one: thousands of stores, none of which has to last."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="sos-", dir=memory) as directory:
        yield Path(directory)
