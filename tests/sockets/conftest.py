"""The servers of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.harness import Household, household
from tests.sockets.cast import UNEASY, Cast


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Household]:
    """Processes that end with their test."""
    with household(tmp_path) as kept:
        yield kept


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Servers that live as long as a module's tests, and must not have written a word of trouble when they end."""
    with household(tmp_path_factory.mktemp("cast")) as house:
        playing = Cast(house)
        yield playing
        for process in playing.processes:
            assert process.end() == 0, process.output
        uneasy = [line for line in playing.lines_since_start if UNEASY.search(line)]
        assert not uneasy, uneasy
