"""A household for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.harness import Household, household


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Household]:
    """Processes that end with their test."""
    with household(tmp_path) as kept:
        yield kept
