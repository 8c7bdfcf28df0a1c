"""Which rows are measured, and what is said where something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import is_set, main, measured, picked
from benchmarks.bench import QUICK, Bench
from benchmarks.catalogue import GROWTH, ROWS, Row
from benchmarks.figures import Measured
from benchmarks.tools import PACKAGES, missing, sentence


def test_names_of_rows_are_unique() -> None:
    """A name stands for a row in all results, for ever."""
    rows = (*ROWS, *GROWTH)
    assert len({row.name for row in rows}) == len(rows)


def test_every_program_that_a_row_needs_can_be_installed() -> None:
    """Its package is known."""
    assert {program for row in (*ROWS, *GROWTH) for program in row.needs} <= set(PACKAGES)


def test_a_pattern_picks_rows() -> None:
    """Anywhere in the name; nothing picks all."""
    assert [row.name for row in picked("^get$|idle")] == ["get", "replicate-idle"]
    assert list(picked("")) == list(ROWS)


def test_rows_of_growth_are_measured_where_they_are_asked_for() -> None:
    """They take longer than all others together, so that nobody should get them by accident."""
    assert picked("growth-round-1000$") == [row for row in GROWTH if row.name == "growth-round-1000"]
    assert not {row.name for row in picked("round")} & {row.name for row in GROWTH}


@pytest.mark.parametrize(("pattern", "said"), [("nosuchrow", "there are: get,"), ("(", "regular expression")])
def test_a_pattern_that_picks_nothing_is_refused(pattern: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that there are; nothing is started."""
    assert main({"ROWS": pattern}) == 2
    assert said in capsys.readouterr().err


def test_what_was_measured_is_kept_when_the_run_is_broken_off(tmp_path: Path) -> None:
    """Ten minutes are long, and the first rows are as good as the last."""

    def broken_off(bench: Bench) -> Measured:
        raise KeyboardInterrupt

    rows = [Row(name, name, "/s", measure) for name, measure in (("a", lambda _: Measured((1.0,))), ("b", broken_off))]
    kept: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        measured(rows, lambda: Bench(QUICK, tmp_path, {}, None), lambda lines: kept.extend(line.name for line in lines))
    assert kept == ["a"]


@pytest.mark.parametrize(("value", "on"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_switch_is_off_when_it_is_0(value: str, on: bool) -> None:
    """So that ``QUICK=0`` means what it says."""
    assert is_set({"QUICK": value}, "QUICK") is on
    assert not is_set({}, "QUICK")


def test_what_is_missing_is_said_with_the_way_to_get_it() -> None:
    """In one sentence."""
    assert missing(["sh", "surely-no-such-program"]) == ("surely-no-such-program",)
    assert sentence(["nginx", "wrk"]) == (
        "nginx and wrk are not installed: apt-get install nginx-light wrk, or make bench INSTALL=1."
    )
    assert sentence(["wrk"]).startswith("wrk is not installed: apt-get install wrk,")
