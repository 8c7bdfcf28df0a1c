"""The table shows every test, with its row and its counts, and says plainly what was not run."""

from __future__ import annotations

import pytest

from tests.torture.table import Outcome, rows_of, table_of
from tests.torture.tally import Tally


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Torture F4, F9, F10 and F42: silence", "F4, F9, F10, F42"),
        ("Torture H61 to H63.", "H61-63"),
        ("F4 one\nTorture F4", "F4"),
        ("SHA1 of a file, 4 KiB", "-"),
    ],
)
def test_the_rows_are_read_from_the_documentation(text: str, rows: str) -> None:
    """So no test has to name them twice."""
    assert rows_of(text) == rows


def test_tests_with_and_without_counts_of_their_own() -> None:
    """What was played with several things is one line; a test that failed has violated something."""
    outcomes = [
        Outcome("test_large", "Torture F10", 2.0),
        Outcome("test_small", "Torture F9", 1.0, has_failed=True),
        Outcome("test_large", "Torture F10", 3.0),
        Outcome("test_kill", "Torture D4", 4.0, tallies=[Tally("D4 kill -9", 7, ["lost"], ["a note"])]),
        Outcome("test_kill", "Torture D4", 5.0, has_failed=True, tallies=[Tally("D4 kill -9", 1), Tally("history", 9)]),
    ]
    assert [" ".join(line.split()) for line in table_of(outcomes)][1:] == [
        "D4 kill -9 8 2 9.0 a note",
        "F9 small 1 1 1.0",
        "F10 large 2 0 5.0",
        "history 9 0 0.0",
        "all 20 3 15.0",
    ]


def test_what_was_not_run_is_said() -> None:
    """With its reason, once."""
    outcomes = [Outcome("test_a_link", "Torture F10", skipped="SKIPPED: there is no nft here")] * 2
    assert list(table_of(outcomes))[-1] == "NOT RUN: F10 a link (2 times): there is no nft here"
