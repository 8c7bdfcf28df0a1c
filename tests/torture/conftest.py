"""Servers for the whole run, and the table at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.harness import Household, household
from tests.sockets.cast import Cast
from tests.torture.tally import HEADING, Tally

TALLIES: pytest.StashKey[list[Tally]] = pytest.StashKey()


@pytest.fixture(scope="session")
def tallies(pytestconfig: pytest.Config) -> list[Tally]:
    """What comes of each row, for the table."""
    return pytestconfig.stash.setdefault(TALLIES, [])


def _cast(factory: pytest.TempPathFactory) -> Iterator[Cast]:
    with household(factory.mktemp("cast")) as house:
        playing = Cast(house, max_object=64 * 1024 * 1024)
        yield playing
        for process in playing.processes:
            assert process.end() == 0, process.output
            assert "Traceback" not in process.output, process.output


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Servers for the rows that wait; they wait beside each other."""
    yield from _cast(tmp_path_factory)


@pytest.fixture
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Servers for one row that keeps them busy."""
    yield from _cast(tmp_path_factory)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Household]:
    """Processes that end with their test."""
    with household(tmp_path) as kept:
        yield kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table."""
    tallies = config.stash.get(TALLIES, [])
    if tallies:
        terminalreporter.write_line("")
        terminalreporter.write_line(HEADING)
        for tally in sorted(tallies, key=lambda one: one.row):
            terminalreporter.write_line(str(tally))
