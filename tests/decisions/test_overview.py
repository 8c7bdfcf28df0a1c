"""The cells of the table that ``sos status`` shows."""

from __future__ import annotations

import pytest
from attrs import evolve

from sos.decisions.condition import Condition
from sos.decisions.overview import COLUMNS, age_text, rows_of
from sos.decisions.reports import NO_LIMIT
from tests.decisions.test_condition import WELL, down, group_of, old, up


def test_each_member_has_a_row_and_a_group_its_name_once() -> None:
    """What is not known is a dash."""
    condition = Condition((group_of(up("a", round_age=30.0), down("b")), group_of(old("c"))))
    rows = list(rows_of(condition))
    assert rows == [
        ("g", "http://a", "up", "3", "1000 B", "100 GiB", "1,000,000", "0", "1.0.0", "30 s", "-"),
        ("", "http://b", "down: it refused the connection", "-", "-", "-", "-", "-", "-", "-", "-"),
        ("g", "http://c", "up", "-", "-", "-", "-", "-", "-", "-", "-"),
    ]
    assert {len(row) for row in rows} == {len(COLUMNS)}


def test_a_file_system_that_counts_no_inodes_has_a_dash() -> None:
    """A number of 19 digits would tell nobody anything."""
    member = evolve(up("a"), report=evolve(WELL, free_inodes=NO_LIMIT))
    assert next(rows_of(Condition((group_of(member),))))[6] == "-"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d"), (9e6, "104 d")]
)
def test_an_age_has_the_largest_unit_of_which_there_are_two(seconds: float, text: str) -> None:
    """So it is never far off."""
    assert age_text(seconds) == text
