"""``make plots``: what stays flat while a store grows, drawn from the rows ``growth-…`` of a run.

``python -m benchmarks.plots [RESULTS]`` keeps these rows of a file of results as ``docs/growth.jsonl``, and draws them as
``docs/growth.svg``; without an argument it draws what was kept. Five plots of four points are little enough to be
written as SVG by hand: a library for it would weigh more than sos with all that it needs.

What is drawn is the ratio to the same with the fewest blobs, measured in turn with it: the figures themselves come from
different minutes of the machine. So a line that lies on 1 is flat, whatever the machine did.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from attrs import frozen

from benchmarks.figures import shown
from benchmarks.machine import ROOT

DATA = ROOT / "docs" / "growth.jsonl"
PICTURE = ROOT / "docs" / "growth.svg"
PREFIX = "growth-"

_WIDTH, _HEIGHT = 240, 190
"""Of one plot with its margins."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 14, 34, 34
_COLUMNS = 3
_OURS, _BESIDE, _PALE = "#0b62a4", "#999999", "#dddddd"
_KEY = "times what it is with 1,000 blobs, measured in turn: the median, and the half of all measurements around it"


@frozen
class Point:
    """What was measured with so many blobs, as the ratio to the same with the fewest, measured next to it."""

    count: int
    ratio: float
    low: float
    high: float
    """Half of all ratios lie from `low` to `high`."""

    @classmethod
    def of(cls, count: int, sos: Sequence[float], reference: Sequence[float]) -> Point:
        """Sum up pairs."""
        ratios = [this / that for this, that in zip(sos, reference, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(count, middle, low, high)


@frozen
class Plot:
    """One thing that was measured, over ever more blobs."""

    title: str
    unit: str
    base: float
    """What 1 stands for: the median of all that was measured with the fewest."""

    points: Sequence[Point]

    @property
    def top(self) -> float:
        """Give the end of the upright axis, which begins at 0: a whole number that nothing is above, and 2 at least."""
        return max(2.0, math.ceil(max(point.high for point in self.points)))

    def across(self, count: float) -> float:
        """Give where a number of blobs is: each decade has the same width."""
        first, last = (math.log10(self.points[end].count) for end in (0, -1))
        share = (math.log10(count) - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        """Give where a value is."""
        return _TOP + (1 - value / self.top) * (_HEIGHT - _TOP - _BOTTOM)


def kept(lines: Iterable[str]) -> Sequence[str]:
    """Give the lines of results that are of growth and were measured."""
    records = ((line, json.loads(line)) for line in lines)
    return [line for line, record in records if record["row"].startswith(PREFIX) and record.get("sos")]


def plots_of(lines: Iterable[str]) -> Sequence[Plot]:
    """Read results: a plot for each thing that was measured, in their order."""
    records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in map(json.loads, lines):
        records[record["what"].rpartition(", ")[0]].append(record)
    return [_plot_of(title, found) for title, found in records.items()]


def _plot_of(title: str, records: Sequence[dict[str, Any]]) -> Plot:
    points = [Point.of(int(record["row"].rpartition("-")[2]), record["sos"], record["reference"]) for record in records]
    base = statistics.median(value for record in records for value in record["reference"])
    return Plot(title, records[0]["unit"], base, sorted(points, key=lambda point: point.count))


def picture_of(plots: Sequence[Plot]) -> str:
    """Draw all plots beside and below each other, with the key last."""
    rows = math.ceil(len(plots) / _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 24
    drawn = [
        f'<g transform="translate({place % _COLUMNS * _WIDTH} {place // _COLUMNS * _HEIGHT})">\n{_drawn(plot)}\n</g>'
        for place, plot in enumerate(plots)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *drawn,
            _text(12, height - 10, _KEY),
            "</svg>",
            "",
        ]
    )


def _drawn(plot: Plot) -> str:
    lines = [_text(_LEFT, 20, f"{plot.title} (1 is {shown(plot.base)} {plot.unit})", size=13)]
    for value in range(int(plot.top) + 1):
        height = plot.down(value)
        lines.append(_line((_LEFT, height), (_WIDTH - _RIGHT, height), _BESIDE if value == 1 else _PALE))
        lines.append(_text(_LEFT - 6, height + 4, str(value), anchor="end"))
    for point in plot.points:
        place = plot.across(point.count)
        lines.append(_text(place, _HEIGHT - _BOTTOM + 16, _short(point.count), anchor="middle"))
        lines.append(_line((place, plot.down(point.low)), (place, plot.down(point.high)), _OURS))
        lines.append(f'<circle cx="{place:.1f}" cy="{plot.down(point.ratio):.1f}" r="3" fill="{_OURS}"/>')
    for begin, end in itertools.pairwise([(plot.across(point.count), plot.down(point.ratio)) for point in plot.points]):
        lines.append(_line(begin, end, _OURS))
    return "\n".join(lines)


def _short(count: int) -> str:
    return f"{count // 1_000_000}M" if count >= 1_000_000 else f"{count // 1000}k" if count >= 1000 else str(count)


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _line(begin: tuple[float, float], end: tuple[float, float], colour: str) -> str:
    return f'<path d="M{begin[0]:.1f} {begin[1]:.1f}L{end[0]:.1f} {end[1]:.1f}" stroke="{colour}"/>'


def main(arguments: Sequence[str]) -> None:
    """Keep the rows of a file, if one is named, and draw those that are kept."""
    if arguments:
        lines = kept(Path(arguments[0]).read_text().splitlines())
        DATA.write_text("".join(f"{line}\n" for line in lines))
    PICTURE.write_text(picture_of(plots_of(DATA.read_text().splitlines())))
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)} is drawn.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
