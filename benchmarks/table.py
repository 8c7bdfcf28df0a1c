"""The table that a run ends with, and the same as JSON lines. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from benchmarks.figures import Goal, Measured, Spread, shown

HEADINGS = ("row", "what", "sos", "reference", "ratio (least - most)", "goal", "")
_NUMBERS = frozenset({2, 3})
"""The columns that are aligned to the right."""


@frozen
class Line:
    """One row as it came out: measured, or the sentence why not."""

    name: str
    what: str
    unit: str
    beside: str
    goal: Goal | None
    measured: Measured | None = None
    complaint: str = ""
    is_wrong: bool = False

    def with_measured(self, measured: Measured) -> Line:
        """Give the line with what was measured."""
        return evolve(self, measured=measured)

    def with_complaint(self, complaint: str, is_wrong: bool = False) -> Line:
        """Give the line with the sentence why nothing was measured: it could not be, or it must not count."""
        return evolve(self, complaint=complaint, is_wrong=is_wrong)

    @property
    def cells(self) -> tuple[str, ...]:
        """Give what the columns of the table hold."""
        goal = "" if self.goal is None else str(self.goal)
        if self.measured is None:
            return (self.name, self.what, "", "", "WRONG" if self.is_wrong else "not measured", goal, "")
        ours, ratio = Spread.of(self.measured.sos), self.measured.ratio
        verdict = "" if self.goal is None else self.goal.verdict(self.measured)
        return (
            self.name,
            self.what,
            self._figure(ours),
            self._reference,
            "-" if ratio is None else str(ratio),
            goal,
            verdict,
        )

    @property
    def _reference(self) -> str:
        assert self.measured is not None
        if not self.measured.reference:
            return "-"
        return f"{self.beside} {self._figure(Spread.of(self.measured.reference))}"

    def _figure(self, spread: Spread) -> str:
        return f"{shown(spread.median)} {self.unit}"

    @property
    def remarks(self) -> Sequence[str]:
        """Give the sentences that go below the table."""
        notes = self.measured.notes if self.measured is not None else (self.complaint,)
        return [f"{self.name}: {note}" for note in notes]

    def record(self, run: Mapping[str, Any]) -> str:
        """Write the row as one line of JSON, together with what is known of the run."""
        measured: dict[str, Any] = {"complaint": self.complaint, "is_wrong": self.is_wrong}
        if self.measured is not None:
            ratio = self.measured.ratio
            measured = {
                "sos": self.measured.sos,
                "reference": self.measured.reference,
                "ratio": None if ratio is None else [ratio.median, ratio.least, ratio.most],
                "verdict": None if self.goal is None else self.goal.verdict(self.measured),
                "notes": self.measured.notes,
            }
        goal = None if self.goal is None else str(self.goal)
        row = {"row": self.name, "what": self.what, "unit": self.unit, "beside": self.beside, "goal": goal, **measured}
        return json.dumps({**row, "run": dict(run)})


def table_of(lines: Sequence[Line]) -> str:
    """Draw the table as reStructuredText draws simple ones, with the remarks below it."""
    rows = [HEADINGS, *(line.cells for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rule = "  ".join("=" * max(width, 1) for width in widths)
    drawn = [_drawn(row, widths) for row in rows]
    remarks = [f"- {remark}" for line in lines for remark in line.remarks]
    return "\n".join([rule, drawn[0], rule, *drawn[1:], rule, "", *remarks]).rstrip() + "\n"


def _drawn(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
