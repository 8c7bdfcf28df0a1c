"""What can be said of the sabotage at each commit: the patches fit, and four of them by turns turn their tests red.

``make sabotage`` tries all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sabotage.breaks import BREAKS, Break
from tests.sabotage.workshop import (
    PATCHES,
    ROOT,
    Verdict,
    applies,
    commit,
    commit_all,
    commit_sabotage,
    copy_tree,
    is_checkout,
    unnoticed,
)

SHARE = 4
"""Breaks tried at a commit: each costs about three seconds of a core, most of them for starting pytest."""

needs_git = pytest.mark.skipif(not is_checkout(), reason="patches are applied by git, to what is under git")


def share_of(commit_name: str) -> Sequence[Break]:
    """Give the breaks whose turn it is: the name of a commit is as good as a lot, and the same at the next attempt."""
    first = int(commit_name[:12], 16)
    return [BREAKS[(first + number) % len(BREAKS)] for number in range(SHARE)]


@needs_git
def test_every_patch_applies() -> None:
    """Whoever changes the lines that a patch breaks brings the patch up to date; else it would prove nothing any more."""
    assert not [sabotage.name for sabotage in BREAKS if not applies(sabotage)]


def test_each_break_has_its_patch() -> None:
    """And each patch its line in the table."""
    assert sorted(patch.stem for patch in PATCHES.glob("*.patch")) == sorted(sabotage.name for sabotage in BREAKS)


def test_every_test_that_is_named_is_there() -> None:
    """One that was given another name would be missed only by those who try all."""
    named = {test for sabotage in BREAKS for test in sabotage.tests + sabotage.watched}
    gone = [test for test in named if not is_there(*test.split("::"))]
    assert not gone


def is_there(module: str, *names: str) -> bool:
    """Whether a module has a test, and the class around it."""
    path = ROOT / module
    return path.is_file() and all(re.search(rf"^ *(class|def) {name}\b", path.read_text(), re.MULTILINE) for name in names)


@needs_git
def test_a_patch_that_does_not_fit_is_found(tmp_path: Path) -> None:
    """It is no break, and must not pass for one."""
    assert not applies(BREAKS[0], tmp_path)
    (tmp_path / "sound").mkdir()
    outcome = commit_sabotage(BREAKS[0], tmp_path / "sound", tmp_path)
    assert outcome.verdict is Verdict.MISFIT


def test_each_named_test_has_to_notice() -> None:
    """By itself, or in one of its cases; one with a longer name is another."""
    tests = ("t.py::test_a", "t.py::test_b", "t.py::Case::test_c")
    assert unnoticed(tests, ["t.py::test_a[1-x]", "t.py::test_b", "t.py::Case::test_c"]) == ()
    assert unnoticed(tests, ["t.py::test_ab", "t.py::test_b_too"]) == tests


@pytest.mark.slow
@needs_git
def test_some_breaks_turn_their_tests_red(tmp_path: Path) -> None:
    """Others at each commit, so that all have their turn."""
    sound = tmp_path / "sound"
    copy_tree(sound)
    outcomes = commit_all(share_of(commit()), sound, tmp_path)
    assert not [outcome for outcome in outcomes if outcome.verdict is not Verdict.RED]
