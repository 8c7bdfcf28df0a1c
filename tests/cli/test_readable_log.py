"""The log for people: one line an event, whatever the event holds."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from sos.cli.readable_log import ReadableLog, printable


def written(level: Any, text: str, verbose: bool = False, namespace: str = "sos.web.upload", **fields: Any) -> str:
    """Log one event and give what was written."""
    stream = StringIO()
    Logger(namespace, observer=LogPublisher(ReadableLog(stream, verbose))).emit(level, text, **fields)
    return stream.getvalue()


def test_an_event_is_a_line_with_a_time_and_a_sentence() -> None:
    """There is no namespace and no level in it."""
    line = written(LogLevel.info, "Copied {blob_id}", blob_id="abc")
    assert line.endswith(" Copied abc\n")
    assert line[:2] == "20" and line.count(" ") == 2


def test_what_is_not_well_says_so() -> None:
    """A warning and an error begin with the word."""
    assert " warning: Low\n" in written(LogLevel.warn, "Low")
    assert " error: Gone\n" in written(LogLevel.critical, "Gone")


def test_twisted_is_heard_when_it_warns() -> None:
    """What it says of its factories is noise."""
    assert written(LogLevel.info, "Starting factory", namespace="twisted.internet.protocol") == ""
    assert written(LogLevel.debug, "Detail", verbose=True, namespace="sosumi") == ""
    assert "Could not accept" in written(LogLevel.warn, "Could not accept", namespace="twisted.internet.tcp")


def test_details_are_for_those_who_ask() -> None:
    """Debugging shows with --verbose alone."""
    assert written(LogLevel.debug, "Detail") == ""
    assert written(LogLevel.debug, "Detail", verbose=True).endswith(" Detail\n")


def test_a_field_can_neither_end_a_line_nor_steer_a_terminal() -> None:
    """What clients send is in these fields."""
    line = written(LogLevel.info, "Refused {name}", name="a\r\nb\x1b[2J\u202ec\x7f")
    assert line.endswith(" Refused a\\r\\nb\\x1b[2J\\u202ec\\x7f\n")
    assert line.count("\n") == 1


def test_a_surprise_has_its_traceback_set_in() -> None:
    """So each line at the left is an event."""
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        failure = Failure()
    lines = written(LogLevel.critical, "A round failed", log_failure=failure).splitlines()
    assert lines[0].endswith(" error: A round failed")
    assert len(lines) > 2 and all(line.startswith("    ") for line in lines[1:])
    assert any("ValueError: broken" in line for line in lines)


@pytest.mark.parametrize("text", ["plain", "Grüße", "日本"])
def test_what_can_be_printed_stays(text: str) -> None:
    """Not only ASCII can."""
    assert printable(text) == text
