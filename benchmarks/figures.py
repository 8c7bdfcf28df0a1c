"""Figures: what was measured, its ratio to the reference, and what is hoped of it. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from attrs import evolve, frozen

_UNNOTICED = 0.05
"""A share of the cores that others always have: the kernel's threads, a terminal."""

_DISTURBING = 0.1
"""From this share of the cores on, nothing is claimed: nginx loses more than sos, since its load has no time to spare."""


class Wrong(Exception):
    """What was measured is worth nothing: an answer was wrong, or a promise was not kept. Says which in one sentence."""


class Missing(Exception):
    """A row cannot be measured here, for something is not installed. Says what in one sentence."""


@frozen
class Spread:
    """Several measurements of one thing: the one in the middle, and how far they lie apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up one value or more."""
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, these: Sequence[float], those: Sequence[float]) -> Spread:
        """Sum up the ratios of values that were measured next to each other."""
        return cls.of([this / that for this, that in zip(these, those, strict=True)])

    def __str__(self) -> str:
        """Write it as the table does."""
        return f"{shown(self.median)} ({shown(self.least)} - {shown(self.most)})"


@frozen
class Measured:
    """What a row came to: values of sos, those of the reference in the same order, and what a reader ought to know."""

    sos: tuple[float, ...]
    reference: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    is_disturbed: bool = False
    """Whether others were at work on the machine, or the reference was held up: then the ratio may flatter sos."""

    def in_company(self, share: float) -> Measured:
        """Give the same with what is to be said of others, who had this share of the cores meanwhile."""
        if share < _UNNOTICED:
            return self
        note = f"others had {share:.0%} of the cores meanwhile"
        return evolve(self, notes=(*self.notes, note), is_disturbed=self.is_disturbed or share >= _DISTURBING)

    @property
    def ratio(self) -> Spread | None:
        """Each value of sos by the reference's next to it in time; None without a reference."""
        if not self.reference:
            return None
        return Spread.of_ratios(self.sos, self.reference)


@frozen
class Goal:
    """What a row should come to: a ratio where there is a reference, else the figure itself."""

    limit: float
    stretch: float | None = None
    at_most: bool = False
    of_ratio: bool = True

    def verdict(self, measured: Measured) -> str:
        """Say how a median stands to the goal: one word. Nothing is claimed of a ratio that flatters."""
        spread = measured.ratio if self.of_ratio else Spread.of(measured.sos)
        assert spread is not None, "a goal of a ratio needs a reference"
        is_flattered = self.of_ratio and measured.is_disturbed
        if self.stretch is not None and not is_flattered and self._is_met(spread.median, self.stretch):
            return "beyond"
        if not self._is_met(spread.median, self.limit):
            return "missed"
        return "disturbed" if is_flattered else "met"

    def _is_met(self, value: float, limit: float) -> bool:
        return value <= limit if self.at_most else value >= limit

    def __str__(self) -> str:
        """Write the goal as the table shows it."""
        sign = "<=" if self.at_most else ">="
        stretch = "" if self.stretch is None else f" ({shown(self.stretch)})"
        return f"{sign} {shown(self.limit)}{stretch}"


def shown(value: float) -> str:
    """Write a number with as many digits as it deserves: three that count."""
    rounded = float(f"{value:.3g}")
    if rounded >= 100:
        return f"{rounded:,.0f}"
    if rounded >= 10:
        return f"{rounded:.1f}"
    return f"{rounded:.2f}" if rounded >= 0.1 else f"{rounded:.3f}"
