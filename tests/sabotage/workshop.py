"""Copies of the tree in which one thing is broken, and the tests that are run there.

The program itself knows nothing of all this: there is no switch in it. A break is a patch, and whoever changes the lines
that it breaks brings the patch up to date.
"""

from __future__ import annotations

import enum
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.sabotage.breaks import Break

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).resolve().parent / "patches"

PATIENCE = 300.0
"""Seconds after which the tests of one break are ended: one that hangs would hold up everything."""

_COMPILED = "__pycache__"
_ENDED_BADLY = re.compile(r"^(?:FAILED|ERROR) (\S+::\S.*?)(?: - .*)?$", re.MULTILINE)
"""A line of pytest's summary. Modules that cannot even be imported have no test in their line, and prove nothing."""


class Verdict(enum.Enum):
    """What came of a break."""

    RED = "red"
    GREEN = "GREEN"
    MISFIT = "DOES NOT APPLY"
    STUCK = "HANGS"
    UNFIT = "DOES NOT RUN"
    """The tests could not even begin: what does not start breaks nothing in particular."""


class CannotRun(Exception):
    """Tests that could not be run, or not to their end; the text is what pytest had to say."""


@frozen
class Outcome:
    """A break, what came of it, and how long that took."""

    sabotage: Break
    verdict: Verdict
    seconds: float
    green: tuple[str, ...] = ()
    """The tests that did not notice."""


def patch_of(sabotage: Break) -> Path:
    """Give the patch that makes a break."""
    return PATCHES / f"{sabotage.name}.patch"


def applies(sabotage: Break, tree: Path = ROOT) -> bool:
    """Whether a patch fits a tree; nothing is changed."""
    return _git_apply(sabotage, tree, "--check")


def copy_tree(to: Path) -> None:
    """Copy the working tree, as it is now, without what git ignores; but with what Python has compiled, to save time.

    Python compares the time of a source with the one in what it compiled: a copy keeps it, and a patch does not.
    """
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = [
        Path(name) for name in set(listed.split("\0")) - {""} if (ROOT / name).is_file()
    ]  # removed ones are listed, too
    for directory in {name.parent for name in names}:
        (to / directory).mkdir(parents=True, exist_ok=True)
        if (ROOT / directory / _COMPILED).is_dir():
            shutil.copytree(ROOT / directory / _COMPILED, to / directory / _COMPILED)
    for name in names:
        shutil.copy2(ROOT / name, to / name)


def commit() -> str:
    """Give the name of the commit that the working tree is based on."""
    return _git("rev-parse", "HEAD").strip()


def is_checkout() -> bool:
    """Whether there is a git repository around the tests; a source archive is none, and then nothing of this can be done."""
    return shutil.which("git") is not None and (ROOT / ".git").exists()


def failures_in(tree: Path, tests: Iterable[str]) -> Sequence[str]:
    """Run tests in a tree, and give those that failed. Raises `CannotRun`, and `TimeoutExpired` after so many seconds."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    done = subprocess.run(
        [*command, "--tb=no", "-rfE", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    failed = _ENDED_BADLY.findall(done.stdout)
    if done.returncode != (1 if failed else 0):
        raise CannotRun(done.stdout)
    return failed


def commit_all(breaks: Iterable[Break], sound: Path, place: Path) -> Iterator[Outcome]:
    """Commit several, as many at once as there are processors; give the outcomes in the order of the breaks."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda sabotage: commit_sabotage(sabotage, sound, place), breaks)


def commit_sabotage(sabotage: Break, sound: Path, place: Path) -> Outcome:
    """Break a copy of a `sound` tree, made at `place`, and say whether every test of the break turned red."""
    began = time.monotonic()
    tree = place / sabotage.name
    shutil.copytree(sound, tree)
    try:
        verdict, green = _verdict(sabotage, tree)
    finally:
        shutil.rmtree(tree)
    return Outcome(sabotage, verdict, time.monotonic() - began, green)


def _verdict(sabotage: Break, tree: Path) -> tuple[Verdict, tuple[str, ...]]:
    if not _git_apply(sabotage, tree):
        return Verdict.MISFIT, ()
    try:
        failed = failures_in(tree, sabotage.tests)
    except subprocess.TimeoutExpired:
        return Verdict.STUCK, ()
    except CannotRun:
        return Verdict.UNFIT, ()
    green = unnoticed(sabotage.tests, failed)
    return (Verdict.GREEN if green else Verdict.RED), green


def unnoticed(tests: Sequence[str], failed: Iterable[str]) -> tuple[str, ...]:
    """Give those of some tests that are not among the failed, not even with one of their cases."""
    names = {test.partition("[")[0] for test in failed}
    return tuple(test for test in tests if test not in names)


def _git_apply(sabotage: Break, tree: Path, *options: str) -> bool:
    """Apply a patch to a tree, which need not be a repository; say whether it fitted."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    command = ["git", "apply", *options, str(patch_of(sabotage))]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False).returncode == 0


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
