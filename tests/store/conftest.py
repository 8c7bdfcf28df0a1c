"""What the tests of the store share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.faults import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a place for a store, with nothing there yet."""
    return Bench(tmp_path / "store")
