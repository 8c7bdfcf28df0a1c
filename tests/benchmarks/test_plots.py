"""Plots of growth: which rows are in them, where their points are, and that the one in the docs is that of its data."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from benchmarks.catalogue import GROWTH
from benchmarks.plots import DATA, PICTURE, Point, kept, picture_of, plots_of


def record(row: str, what: str, sos: list[float], reference: list[float]) -> str:
    """Write a line of results as far as it is looked at."""
    return json.dumps({"row": row, "what": what, "unit": "ms", "sos": sos, "reference": reference})


LINES = [
    record("growth-start-10000", "start-up, 10,000 blobs", [30.0, 20.0, 60.0], [10.0, 20.0, 40.0]),
    record("growth-start-1000", "start-up, 1,000 blobs", [10.0, 10.0, 10.0], [10.0, 10.0, 10.0]),
]


def test_only_rows_of_growth_that_were_measured_are_kept() -> None:
    """A run may have others, and some that had to be left out."""
    missing = json.dumps({"row": "growth-start-1000000", "complaint": "QUICK=1"})
    assert kept([record("get", "blob GET", [1.0], [1.0]), LINES[0], missing]) == [LINES[0]]


def test_points_come_in_the_order_of_their_numbers() -> None:
    """Whatever order they were measured in; each thing that was measured is a plot."""
    (plot,) = plots_of(LINES)
    assert (plot.title, plot.unit, plot.base) == ("start-up", "ms", 10.0)
    assert [point.count for point in plot.points] == [1000, 10_000]


def test_a_point_is_the_median_of_ratios() -> None:
    """A machine that was slow for a while was slow for both of a pair."""
    (plot,) = plots_of(LINES)
    assert plot.points[0] == Point(1000, 1.0, 1.0, 1.0)
    assert plot.points[1] == Point(10_000, 1.5, 1.25, 2.25)


def test_the_upright_axis_begins_at_nothing_and_ends_above_all() -> None:
    """A line that looks flat is flat: nothing below it is cut off."""
    (plot,) = plots_of(LINES)
    assert plot.top == 3.0
    assert plot.down(0.0) - plot.down(1.0) == pytest.approx(plot.down(2.0) - plot.down(3.0))
    assert plot.down(0.0) > plot.down(3.0) > 0
    assert plots_of(LINES[1:])[0].top == 2.0


def test_each_decade_has_the_same_width() -> None:
    """Else a million would leave no room for the others."""
    (plot,) = plots_of([*LINES, record("growth-start-100000", "start-up, 100,000 blobs", [1.0, 1.0], [1.0, 1.0])])
    first, second, third = (plot.across(point.count) for point in plot.points)
    assert round(second - first, 6) == round(third - second, 6) > 0


def test_a_picture_is_a_document_with_a_point_for_each_row() -> None:
    """It can be read by whoever reads XML."""
    document = ElementTree.fromstring(picture_of(plots_of(LINES)))
    assert document.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(document.findall(".//{*}circle")) == 2


def test_the_picture_in_the_docs_is_that_of_the_data_beside_it() -> None:
    """And the data are of all rows that there are."""
    lines = DATA.read_text().splitlines()
    assert {json.loads(line)["row"] for line in lines} == {row.name for row in GROWTH}
    plots = plots_of(lines)
    assert {len(plot.points) for plot in plots} == {4}
    assert PICTURE.read_text() == picture_of(plots)
