"""``make bench``, or ``python -m benchmarks``: measure the rows, show the table, keep the figures.

The environment says what: ``QUICK=1``, ``ROWS=regex``, ``BENCH_PEER=URL``, ``BENCH_DIR=directory``, ``INSTALL=1``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from benchmarks import tools
from benchmarks.bench import QUICK, Bench, Plan
from benchmarks.catalogue import GROWTH, ROWS, Row
from benchmarks.figures import Missing, Wrong
from benchmarks.machine import LOAD_CORE, ROOT, SERVER_CORE, Company, on_core, run_facts
from benchmarks.table import Line, table_of

RESULTS = ROOT / "benchmarks" / "results"
_MEASURED = 0
_FAILED = 1
_MISUSED = 2


def main(environment: Mapping[str, str]) -> int:
    """Measure what the environment asks for; give the exit status, which is not 0 where an answer was wrong."""
    try:
        rows = picked(environment.get("ROWS", ""))
    except re.error as error:
        _say(f"ROWS is a regular expression: {error}.")
        return _MISUSED
    if not rows:
        _say(f"No row is named like that; there are: {', '.join(row.name for row in ROWS)}.")
        return _MISUSED
    _get_tools(rows, environment)
    plan = QUICK if is_set(environment, "QUICK") else Plan()
    peer = environment.get("BENCH_PEER") or None
    with tempfile.TemporaryDirectory(prefix="sos-bench-", dir=environment.get("BENCH_DIR") or None) as directory:
        facts = {**run_facts(Path(directory)), "quick": plan is QUICK}
        shared: dict[str, Path] = {}
        with on_core(LOAD_CORE):
            lines = measured(rows, lambda: Bench(plan, Path(directory), shared, peer), lambda some: _keep(some, facts))
    sys.stdout.write(f"{_heading(facts)}\n\n{table_of(lines)}")
    return _FAILED if any(line.is_wrong for line in lines) else _MEASURED


def measured(rows: Sequence[Row], bench: Callable[[], Bench], keep: Callable[[Sequence[Line]], None]) -> Sequence[Line]:
    """Measure rows, each on a bench of its own; what there is, is kept after each, for a run may be broken off."""
    lines: list[Line] = []
    for row in rows:
        lines.append(_measured(row, bench()))
        keep(lines)
    return lines


def picked(pattern: str) -> Sequence[Row]:
    """Give the rows whose names a regular expression finds; all for an empty one. Those of growth must be asked for."""
    rows = (*ROWS, *GROWTH) if "growth-" in pattern else ROWS
    return [row for row in rows if re.search(pattern, row.name)]


def is_set(environment: Mapping[str, str], name: str) -> bool:
    """Whether a switch is on."""
    return environment.get(name, "") not in ("", "0")


def _get_tools(rows: Sequence[Row], environment: Mapping[str, str]) -> None:
    missing = tools.missing(sorted({program for row in rows for program in row.needs}))
    if not missing:
        return
    if not is_set(environment, "INSTALL"):
        _say(tools.sentence(missing))
        return
    try:
        tools.install(missing)
    except (OSError, subprocess.CalledProcessError) as error:
        _say(f"{tools.sentence(missing)} It could not be done now: {error}.")


def _measured(row: Row, bench: Bench) -> Line:
    """Measure one row; what goes wrong is said in its line, and the next row is measured."""
    line = Line(row.name, row.what, row.unit, row.beside, row.goal)
    _say(f"{row.name} …")
    missing = tools.missing(row.needs)
    if missing:
        return line.with_complaint(tools.sentence(missing))
    company = Company()
    line = _attempted(line, row, bench)
    return line if line.measured is None else line.with_measured(line.measured.in_company(company.share()))


def _attempted(line: Line, row: Row, bench: Bench) -> Line:
    with bench:
        try:
            return line.with_measured(row.measure(bench))
        except Missing as error:
            return line.with_complaint(str(error))
        except (Wrong, OSError, HTTPException, subprocess.SubprocessError) as error:
            return line.with_complaint(f"WRONG. {error} {bench.last_words}", is_wrong=True)


def _keep(lines: Sequence[Line], facts: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    name = re.sub(r"[^0-9T]", "", facts["date"].partition("+")[0])
    (RESULTS / f"{name}.jsonl").write_text("".join(f"{line.record(facts)}\n" for line in lines))


def _heading(facts: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    same = "" if SERVER_CORE != LOAD_CORE else "\nOne core only: load and servers share it, and the ratios mean little."
    return f"{said}{same}"


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(os.environ))
