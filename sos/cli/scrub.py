"""``sos scrub``: the members read again all that they hold, now.

Its exit status: 0 all is well; 1 something was damaged, or a member could not be asked. (2 is a command line that cannot be
understood, as with all commands.) What is damaged is set apart; the next round of replication brings good bytes back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from sos.cli.command_options import InspectionOptions, flag
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.members import members_of
from sos.cli.progress import progress_of_members
from sos.usecases.scrubbing import scrub_all


class ScrubOptions(InspectionOptions):
    """The options of ``sos scrub``."""

    synopsis = "Usage: sos scrub [options]"
    longdesc = "The exit status is 0 where all is well, and 1 where something was damaged, or a member is out of reach."
    optFlags = [flag("quiet", "Show no progress.", "q")]  # noqa: RUF012


def scrub(arguments: Sequence[str]) -> NoReturn:
    """Have all members make a pass, and exit."""
    options = ScrubOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(show, options=options), bool(options["verbose"]))


async def show(reactor: Any, options: ScrubOptions) -> int:
    """Ask all members for a pass, print what each of them found, and give the exit status."""
    progress = progress_of_members(sys.stderr, not options["quiet"], options.topology.servers)
    try:
        async with members_of(options, reactor) as stores:
            outcomes = await scrub_all(options.topology, stores, reactor, progress.moved)
    finally:
        progress.end()
    for outcome in outcomes:
        if outcome.standing is None:
            complain(outcome.sentence)
        else:
            print(outcome.sentence)
    return 0 if all(outcome.is_clean for outcome in outcomes) else FAILED
