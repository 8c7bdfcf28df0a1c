"""``make sabotage [BREAK=name]``: breaks the program in one place after the other, and wants to see a test turn red."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from tests.sabotage.breaks import BREAKS, Break
from tests.sabotage.workshop import Outcome, Verdict, commit_all, copy_tree, failures_in


def chosen(names: Sequence[str]) -> Sequence[Break]:
    """Give the breaks with these names, or all of them, each with all of its tests. Raises `KeyError`."""
    by_name = {sabotage.name: sabotage for sabotage in BREAKS}
    breaks = [by_name[name] for name in names] if names else BREAKS
    if shutil.which("strace") is None:
        sys.stdout.write("SKIPPED: there is no strace here, so the tests that watch a server by it are left out.\n")
        return breaks
    return [evolve(sabotage, tests=sabotage.tests + sabotage.watched) for sabotage in breaks]


def run(breaks: Sequence[Break]) -> bool:
    """Try breaks one after the other, say what came of each; say whether all turned red."""
    with tempfile.TemporaryDirectory(prefix="sos-sabotage-") as directory:
        place = Path(directory)
        sound = place / "sound"
        copy_tree(sound)
        tests = sorted({test for sabotage in breaks for test in sabotage.tests})
        failed = failures_in(sound, tests)
        if failed:
            sys.stdout.write("Nothing is broken yet, and these fail:\n" + "".join(f"  {test}\n" for test in failed))
            return False
        sys.stdout.write(f"{len(breaks)} breaks; their {len(tests)} tests are green without them.\n")
        outcomes = [_told(outcome) for outcome in commit_all(breaks, sound, place)]
    unseen = [outcome.sabotage.name for outcome in outcomes if outcome.verdict is not Verdict.RED]
    sys.stdout.write(f"Not red: {', '.join(unseen)}\n" if unseen else "All are red.\n")
    return not unseen


def _told(outcome: Outcome) -> Outcome:
    sys.stdout.write(line_of(outcome))
    sys.stdout.flush()
    return outcome


def line_of(outcome: Outcome) -> str:
    """Say what came of a break: its name, its row, the verdict, the seconds; then the tests, one a line."""
    sabotage = outcome.sabotage
    head = f"{sabotage.name:36} {sabotage.row:10} {outcome.verdict.value:14} {outcome.seconds:5.1f} s"
    tests = [f"    {'green: ' if test in outcome.green else ''}{test}" for test in sabotage.tests]
    return "\n".join([head, *tests]) + "\n"


def main() -> int:
    """Read BREAK from the environment; the exit status says whether everything turned red."""
    try:
        breaks = chosen((os.environ.get("BREAK") or "").split())
    except KeyError as error:
        sys.stdout.write(f"There is no break {error}; there are {', '.join(sabotage.name for sabotage in BREAKS)}.\n")
        return 2
    return 0 if run(breaks) else 1


if __name__ == "__main__":
    sys.exit(main())
