"""``sos replicate``: what it prints, and the exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from zope.interface.verify import verifyObject

from sos.cli.replicate import PrintingReporter, complaints_of, reports_of, run_round
from sos.decisions.topology import Server
from sos.options import ReplicateOptions
from sos.usecases.copying import Round
from sos.words.blob import BlobID
from sos.words.interfaces import IRoundReporter
from tests.support import failure_of, success_of

A = Server("http://localhost:4001")
B = Server("http://localhost:4002")
BLOB = BlobID("cd5bd649")


def options_of(*arguments: str) -> ReplicateOptions:
    """Read a command line that names two servers."""
    options = ReplicateOptions()
    options.parseOptions([f"-blob-server={A},{B}", *arguments])
    return options


def ending_with(outcome: Round) -> Callable[[ReplicateOptions, IRoundReporter, Any], Deferred[Round]]:
    """Make a round that copies one blob and comes to `outcome`."""

    def replicate_once(options: ReplicateOptions, reporter: IRoundReporter, reactor: Any) -> Deferred[Round]:
        reporter.group_begins("default", [server.url for server in options.topology.servers])
        reporter.blob_is_missing(BLOB, A.url)
        reporter.copy_begins(BLOB, B.url, A.url)
        return succeed(outcome)

    return replicate_once


def test_a_good_round_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """That is what cron likes."""
    success_of(run_round(MemoryReactorClock(), options_of(), ending_with(Round(copied=1))))
    assert capsys.readouterr() == ("", "")


def test_a_verbose_round_is_told_as_the_ancestor_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of the servers first."""
    success_of(run_round(MemoryReactorClock(), options_of("-verbose"), ending_with(Round(copied=1))))
    assert capsys.readouterr().out == (
        "\t     group - server\n"
        "\t   default - http://localhost:4001\n"
        "\t   default - http://localhost:4002\n"
        "Syncing group: default\n"
        "\tGroup member: http://localhost:4001\n"
        "\tGroup member: http://localhost:4002\n"
        "\tObject cd5bd649 is missing on http://localhost:4001\n"
        "\t\tMirroring cd5bd649 from http://localhost:4002 to http://localhost:4001\n"
        "\t\t\tFetching :http://localhost:4002/blob/cd5bd649\n"
        "\t\t\tUploading :http://localhost:4001/blob/cd5bd649\n"
    )


def test_a_member_out_of_reach_is_named_and_shows_in_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    """A script sees the status, a person the name."""
    outcome = Round(unreachable={B: f"{B.url} is out of reach: connection refused"})
    error = failure_of(run_round(MemoryReactorClock(), options_of(), ending_with(outcome)))
    assert isinstance(error, SystemExit) and error.code == 1
    assert capsys.readouterr().err == "http://localhost:4002 is out of reach: connection refused\n"


def test_what_only_a_person_can_settle_has_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing failed, and yet not all is well; a member out of reach is said first, and is what the status says."""
    error = failure_of(run_round(MemoryReactorClock(), options_of(), ending_with(Round(reported={BLOB}))))
    assert isinstance(error, SystemExit) and error.code == 3
    assert capsys.readouterr().err.startswith("No round can settle cd5bd649: ")
    outcome = Round(reported={BLOB}, unreachable={B: "timed out"})
    error = failure_of(run_round(MemoryReactorClock(), options_of(), ending_with(outcome)))
    assert isinstance(error, SystemExit) and error.code == 1
    assert capsys.readouterr().err.startswith(f"{B} is out of reach: timed out\nNo round can settle cd5bd649: ")


def test_many_ids_are_not_all_named() -> None:
    """The log has them."""
    (report,) = reports_of(Round(reported={BlobID(f"blob{number}") for number in range(9)}))
    assert "blob0, blob1, blob2, blob3, blob4 and 4 more" in report
    assert reports_of(Round()) == []


def test_each_complaint_names_its_server() -> None:
    """Also where the reason does not; a copy that failed is a complaint of its own."""
    assert complaints_of(Round(unreachable={A: "timed out"}, failed=3)) == [
        "http://localhost:4001 is out of reach: timed out",
        "3 copies could not be made; the next round tries again.",
    ]
    assert complaints_of(Round(copied=5)) == []


def test_the_options_are_read_before_anything_starts(tmp_path: Path) -> None:
    """A key that is none, and a configuration without servers, are errors of usage."""
    with pytest.raises(UsageError, match="cannot be read"):
        options_of(f"--cluster-key-file={tmp_path / 'no'}")
    (tmp_path / "conf").write_text("")
    with pytest.raises(UsageError, match="No blob servers are known"):
        ReplicateOptions().parseOptions([f"--config={tmp_path / 'conf'}"])
    with pytest.raises(UsageError):
        options_of("--store=x")


def test_the_reporter_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It has all that a round tells."""
    assert verifyObject(IRoundReporter, PrintingReporter(open("/dev/null")))  # noqa: PTH123, SIM115
