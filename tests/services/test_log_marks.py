"""The lines that a worker's log goes through."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogLevel

from sos.services.log_marks import marked, read_marked


@pytest.mark.parametrize("level", list(LogLevel.iterconstants()))
def test_a_level_survives(level: Any) -> None:
    """Whichever it is, and whatever the line says."""
    assert read_marked(marked(level, "<4>a < b")) == (level, "<4>a < b")


def test_a_warning_is_marked_as_the_service_manager_has_it() -> None:
    """So a worker's log means the same without its parent."""
    assert marked(LogLevel.warn, "Low") == "<4>Low"


@pytest.mark.parametrize("line", ["", "Fatal Python error", "<9>x", "<4", "x <4>y"])
def test_a_line_without_a_mark_is_a_warning(line: str) -> None:
    """The log did not write it: something is wrong."""
    assert read_marked(line) == (LogLevel.warn, line)
