"""The table, its remarks and its JSON lines."""

from __future__ import annotations

import json

from benchmarks.figures import Goal, Measured
from benchmarks.table import Line, table_of

GET = Line("get", "blob GET", "/s", "nginx", Goal(0.28))
MEASURED = GET.with_measured(Measured((10_000.0, 20_000.0, 30_000.0), (40_000.0, 40_000.0, 40_000.0), ("all well",)))


def test_a_row_shows_medians_and_the_spread_of_the_ratio() -> None:
    """The reference is named with its figure."""
    assert MEASURED.cells == ("get", "blob GET", "20,000 /s", "nginx 40,000 /s", "0.50 (0.25 - 0.75)", ">= 0.28", "met")


def test_a_row_without_a_reference_has_no_ratio() -> None:
    """Its figure stands alone."""
    alone = Line("rss", "growth", "MiB", "", Goal(64, at_most=True, of_ratio=False)).with_measured(Measured((12.0,)))
    assert alone.cells == ("rss", "growth", "12.0 MiB", "-", "-", "<= 64.0", "met")


def test_a_row_that_could_not_be_measured_says_why() -> None:
    """The sentence stands below the table, and there is no figure to mistake for one."""
    missing = GET.with_complaint("wrk is not installed.")
    assert missing.cells == ("get", "blob GET", "", "", "not measured", ">= 0.28", "")
    assert missing.remarks == ["get: wrk is not installed."]


def test_a_row_that_was_wrong_has_no_figures() -> None:
    """Whatever was measured before the wrong answer is worth nothing."""
    wrong = GET.with_complaint("WRONG. It lied.", is_wrong=True)
    assert wrong.cells[4] == "WRONG"
    assert json.loads(wrong.record({}))["is_wrong"] is True


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """It is a simple table of reStructuredText; figures are aligned to the right."""
    table = table_of([MEASURED, GET.with_complaint("No.")])
    assert table == (
        "===  ========  =========  ===============  ====================  =======  ===\n"
        "row  what            sos        reference  ratio (least - most)  goal\n"
        "===  ========  =========  ===============  ====================  =======  ===\n"
        "get  blob GET  20,000 /s  nginx 40,000 /s  0.50 (0.25 - 0.75)    >= 0.28  met\n"
        "get  blob GET                              not measured          >= 0.28\n"
        "===  ========  =========  ===============  ====================  =======  ===\n"
        "\n"
        "- get: all well\n"
        "- get: No.\n"
    )


def test_a_record_holds_every_value_and_the_run() -> None:
    """Plots are made of the single values, not of the rounded ones."""
    record = json.loads(MEASURED.record({"cores": 2}))
    assert record["sos"] == [10_000.0, 20_000.0, 30_000.0]
    assert record["reference"] == [40_000.0] * 3
    assert record["ratio"] == [0.5, 0.25, 0.75]
    assert (record["row"], record["verdict"], record["run"]) == ("get", "met", {"cores": 2})
