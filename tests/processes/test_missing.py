"""A proof that cannot run is skipped on somebody's machine, and fails in continuous integration."""

from __future__ import annotations

import pytest

from tests.processes.missing import MUST_RUN, skip_loudly


def test_what_cannot_run_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so, with the reason."""
    monkeypatch.delenv(MUST_RUN, raising=False)
    with pytest.raises(pytest.skip.Exception, match="SKIPPED: there is no strace"):
        skip_loudly("there is no strace")


def test_what_cannot_run_fails_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that nobody runs any more is found on the day that it stops."""
    monkeypatch.setenv(MUST_RUN, "1")
    with pytest.raises(pytest.fail.Exception, match="there is no strace"):
        skip_loudly("there is no strace")
