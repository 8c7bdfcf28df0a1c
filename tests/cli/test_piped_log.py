"""The log of a worker."""

from __future__ import annotations

from io import StringIO

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure

from sos.cli.piped_log import PipedLog


class Broken(StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        """Fail."""
        raise BrokenPipeError(32, "Broken pipe")


def log_to(stream: StringIO) -> Logger:
    """Log as a part of ours does."""
    return Logger("sos.web.upload", observer=LogPublisher(PipedLog(stream)))


def test_an_event_is_a_line_with_its_level_and_without_a_time() -> None:
    """The parent's log has the time; what a client sent cannot end a line."""
    stream = StringIO()
    log_to(stream).warn("Refused {name}", name="a\nb")
    assert stream.getvalue() == "<4>Refused a\\nb\n"


def test_every_line_of_a_traceback_has_the_level() -> None:
    """So none is taken for something else."""
    stream = StringIO()
    log_to(stream).failure("A round failed", Failure(ValueError("broken")))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "<2>A round failed"
    assert len(lines) > 1 and all(line.startswith("<2>    ") for line in lines[1:])


def test_a_parent_that_is_gone_is_no_fault() -> None:
    """The worker is about to end, and has requests to finish."""
    log_to(Broken()).info("Copied")


def test_what_nobody_wants_to_read_is_not_sent() -> None:
    """As in any log of ours."""
    stream = StringIO()
    log_to(stream).debug("Detail")
    assert stream.getvalue() == ""
