"""What came of each row of the torture list: how many cases were played, and what was violated."""

from __future__ import annotations

from attrs import define, field


@define
class Tally:
    """What came of one row."""

    row: str
    cases: int = 0
    violations: list[str] = field(factory=list)
    notes: list[str] = field(factory=list)

    def expect(self, is_well: bool, otherwise: str) -> None:
        """Count a case; where it is not well, note what was found."""
        self.cases += 1
        if not is_well:
            self.violations.append(otherwise)

    def note(self, text: str) -> None:
        """Keep a number that is worth showing."""
        self.notes.append(text)
