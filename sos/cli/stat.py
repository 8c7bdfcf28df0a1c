"""``sos stat``: what each member knows of an object.

Its exit status: 0 every member of its group has it, and all members answered; 1 copies are missing, members are out of reach
or hold different bytes; 3 no member has it. (2 is a command line that cannot be understood, as with all commands.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from sos.cli.command_options import InspectionOptions, flag, one_id
from sos.cli.finishing import run_to_its_end
from sos.cli.members import members_of
from sos.decisions.whereabouts import Verdict
from sos.usecases.inspection import whereabouts_of
from sos.words.blob import BlobID

STATUS_OF = {Verdict.WHOLE: 0, Verdict.INCOMPLETE: 1, Verdict.ABSENT: 3}
"""The exit statuses."""


class StatOptions(InspectionOptions):
    """The options of ``sos stat``."""

    synopsis = "Usage: sos stat ID [options]"
    longdesc = "The exit status is 0 where all copies are there, 1 where some are not, and 3 where no member has it."
    optFlags = [flag("json", "Print JSON.")]  # noqa: RUF012
    object_id: BlobID

    def parseArgs(self, *arguments: str) -> None:
        """Take the ID."""
        self.object_id = one_id(arguments)


def stat(arguments: Sequence[str]) -> NoReturn:
    """Show what each member knows of an object, and exit."""
    options = StatOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(show, options=options), bool(options["verbose"]))


async def show(reactor: Any, options: StatOptions) -> int:
    """Ask all members, print what they know, and give the exit status."""
    async with members_of(options, reactor) as stores:
        found = await whereabouts_of(options.object_id, options.topology, stores)
    print(json.dumps(found.shape, indent=2) if options["json"] else "\n".join(found.lines))
    return STATUS_OF[found.verdict]
