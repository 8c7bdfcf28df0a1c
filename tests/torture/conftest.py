"""Servers for the whole run, and the table at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.processes.harness import Household, household
from tests.processes.missing import skip_loudly
from tests.sockets.cast import Cast
from tests.torture.estate import HOSTS, Estate
from tests.torture.hosts import NoNamespaces, network_of
from tests.torture.table import Outcome, rows_of, table_of
from tests.torture.tally import Tally

TALLIES: pytest.StashKey[dict[str, list[Tally]]] = pytest.StashKey()
ABOUT: pytest.StashKey[dict[str, str]] = pytest.StashKey()
"""By the ID of a test: its own counts, and what it says of itself."""


@pytest.fixture
def tallies(request: pytest.FixtureRequest) -> list[Tally]:
    """What comes of each row of a test, for the table."""
    return request.config.stash.setdefault(TALLIES, {}).setdefault(request.node.nodeid, [])


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


@contextmanager
def _estate(directory: Path) -> Iterator[Estate]:
    with ExitStack() as stack:
        try:
            network = stack.enter_context(network_of(HOSTS, directory))
        except NoNamespaces as error:
            skip_loudly(str(error))
        yield Estate(stack.enter_context(household(directory)), network)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Two apis and two groups, each process on a host of its own, for the tests of a module; they run all the time."""
    with _estate(tmp_path_factory.mktemp("estate")) as made:
        made.begin()
        yield made
        made.end()


@pytest.fixture
def empty_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """The same for one test, which starts it."""
    with _estate(tmp_path_factory.mktemp("estate")) as made:
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember what the tests that belong into the table say of themselves: their own words first."""
    about = config.stash.setdefault(ABOUT, {})
    for item in items:
        if isinstance(item, pytest.Function) and ("tallies" in item.fixturenames or item.get_closest_marker("torture")):
            own = item.function.__doc__ or ""
            about[item.nodeid] = own if rows_of(own) != "-" else item.module.__doc__ or ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table."""
    about, tallies = config.stash.get(ABOUT, {}), config.stash.get(TALLIES, {})
    outcomes: dict[str, Outcome] = {}
    for kind, reports in terminalreporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.nodeid in about:
                name = report.nodeid.rpartition("::")[2].partition("[")[0]
                new = Outcome(name, about[report.nodeid], tallies=tallies.get(report.nodeid, ()))
                outcome = outcomes.setdefault(report.nodeid, new)
                outcome.seconds += report.duration
                outcome.has_failed |= kind in ("failed", "error")
                if report.skipped and isinstance(report.longrepr, tuple):
                    outcome.skipped = report.longrepr[2]
    if outcomes:
        terminalreporter.write_line("")
        for line in table_of(outcomes.values()):
            terminalreporter.write_line(line)
