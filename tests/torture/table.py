"""The table at the end: each test that was marked as torture, in the order of the rows that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from attrs import define, evolve, field

from tests.torture.tally import Tally

_ROW = re.compile(r"\b([HBDFISX])([0-9]{1,2})(?: to \1?([0-9]{1,2}))?\b")
"""The ID of a row of the torture list, or of several in a line."""

WIDEST = 52
HEADING = f"{'row':<{WIDEST}} {'cases':>7} {'violations':>10} {'seconds':>7}"


@define
class Outcome:
    """What came of one test."""

    test: str
    """Its function, without what it was played with."""
    about: str
    """What its documentation says, and that of its module: the row is named there."""
    seconds: float = 0.0
    has_failed: bool = False
    skipped: str = ""
    """Why it was not run, empty where it was."""
    tallies: Sequence[Tally] = ()
    """Its own counts, where it keeps any."""


@define
class _Line:
    row: str
    cases: int = 0
    violations: int = 0
    seconds: float = 0.0
    notes: list[str] = field(factory=list)

    def __str__(self) -> str:
        notes = f"   {'; '.join(self.notes)}" if self.notes else ""
        return f"{self.row:<{WIDEST}} {self.cases:>7} {self.violations:>10} {self.seconds:>7.1f}{notes}"

    def add(self, cases: int, violations: int, seconds: float, notes: Sequence[str]) -> None:
        self.cases += cases
        self.violations += violations
        self.seconds += seconds
        self.notes += [note for note in notes if note not in self.notes]


def rows_of(text: str) -> str:
    """Give the rows that a text names, such as ``F4, F9``; a dash where it names none."""
    found = dict.fromkeys(f"{match[1]}{match[2]}" + (f"-{match[3]}" if match[3] else "") for match in _ROW.finditer(text))
    return ", ".join(found) or "-"


def table_of(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Write the lines of the table; then what was skipped, and why; then the sums."""
    lines: dict[str, _Line] = {}
    skips: dict[tuple[str, str], int] = {}
    for outcome in outcomes:
        if outcome.skipped:
            skip = (_title_of(outcome), outcome.skipped.removeprefix("SKIPPED: "))
            skips[skip] = skips.get(skip, 0) + 1
            continue
        for number, tally in enumerate(_tallies_of(outcome)):
            line = lines.setdefault(tally.row, _Line(tally.row[:WIDEST]))
            line.add(tally.cases, len(tally.violations), 0.0 if number else outcome.seconds, tally.notes)
    yield HEADING
    yield from map(str, sorted(lines.values(), key=lambda line: _place_of(line.row)))
    total = _Line("all")
    for line in lines.values():
        total.add(line.cases, line.violations, line.seconds, ())
    yield str(total)
    for (title, why), times in sorted(skips.items()):
        yield f"NOT RUN: {title}{f' ({times} times)' if times > 1 else ''}: {why}"


def _title_of(outcome: Outcome) -> str:
    return f"{rows_of(outcome.about)} {outcome.test.removeprefix('test_').replace('_', ' ')}"


def _tallies_of(outcome: Outcome) -> Sequence[Tally]:
    """Give a test's own counts, or that it was one case; a test that failed has violated something."""
    tallies = list(outcome.tallies) or [Tally(_title_of(outcome), 1)]
    if outcome.has_failed and not any(tally.violations for tally in tallies):
        tallies[0] = evolve(tallies[0], violations=["it failed"])
    return tallies


def _place_of(row: str) -> tuple[bool, str, int, str]:
    """Order by the letter and the number of a row; what has none comes last."""
    first = _ROW.match(row)
    return (first is None, first[1], int(first[2]), row) if first else (True, "", 0, row)
