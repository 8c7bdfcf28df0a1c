"""``sos sweep``: what it asks for, what it prints, and the exit status."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError

from sos.cli.sweep import SweepOptions, run_sweep
from sos.options import ReplicateOptions
from sos.usecases.sweep import SweepReport
from sos.words.blob import BlobID
from sos.words.interfaces import Swept
from tests.support import success_of

ABC = BlobID("abc")


def options_of(*arguments: str) -> SweepOptions:
    """Read a command line that names a server."""
    options = SweepOptions()
    options.parseOptions(["-blob-server=http://localhost:4001", *arguments])
    return options


def coming_to(report: SweepReport, *expected: Any) -> Callable[..., Deferred[SweepReport]]:
    """Make a sweep that must be asked for in a certain way, and comes to `report`."""

    def sweep_once(
        options: ReplicateOptions, needed: int | None, ignored: Collection[BlobID], is_rehearsal: bool, reactor: Any
    ) -> Deferred[SweepReport]:
        assert (needed, set(ignored), is_rehearsal) == expected
        return succeed(report)

    return sweep_once


def test_it_says_what_was_removed(capsys: pytest.CaptureFixture[str]) -> None:
    """In one sentence."""
    report = SweepReport(manifests=3, chunks=2000, swept=Swept(12, 5 * 2**20))
    assert success_of(run_sweep(MemoryReactorClock(), options_of(), coming_to(report, None, set(), False))) == 0
    assert capsys.readouterr() == ("Removed 12 of 2,000 copies of chunks (5 MiB).\n", "")


def test_a_dry_run_says_what_would_be_removed(capsys: pytest.CaptureFixture[str]) -> None:
    """And what it may ignore is handed on, as is the number of copies."""
    report = SweepReport(is_rehearsal=True, chunks=4, swept=Swept(1, 10))
    options = options_of("--dry-run", "--ignore=abc", "-ignore", "def", "--min-copies=2")
    sweeping = run_sweep(MemoryReactorClock(), options, coming_to(report, 2, {ABC, BlobID("def")}, True))
    assert success_of(sweeping) == 0
    assert capsys.readouterr().out == "Would remove 1 of 4 copies of chunks (10 B).\n"


def test_what_hinders_it_is_said_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1."""
    report = SweepReport(hindrances=["a manifest may hide."], failures=["http://a:1: connection refused"])
    assert success_of(run_sweep(MemoryReactorClock(), options_of(), coming_to(report, None, set(), False))) == 1
    assert capsys.readouterr() == ("", "sos: a manifest may hide.\nsos: http://a:1: connection refused\n")


@pytest.mark.parametrize("argument", ["--ignore=A/b", "--min-copies=0", "abc"])
def test_a_mistake_is_named(argument: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(UsageError, match=argument.partition("=")[0].strip("-")):
        options_of(argument)
