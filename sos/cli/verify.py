"""``sos verify``: whether the members of each group hold the same, as their digests say.

Its exit status: 0 every group is equal; 1 a group is not, or a member could not be asked. (2 is a command line that cannot
be understood, as with all commands.) Members may differ for as long as uploads go on: a round makes them equal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from sos.cli.command_options import InspectionOptions, flag
from sos.cli.finishing import run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.members import members_of
from sos.usecases.inspection import agreement_of


class VerifyOptions(InspectionOptions):
    """The options of ``sos verify``."""

    synopsis = "Usage: sos verify [options]"
    longdesc = "The exit status is 0 where the members of each group hold the same, and 1 where not, or one is out of reach."
    optFlags = [flag("json", "Print JSON.")]  # noqa: RUF012


def verify(arguments: Sequence[str]) -> NoReturn:
    """Compare the members of each group, and exit."""
    options = VerifyOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(show, options=options), bool(options["verbose"]))


async def show(reactor: Any, options: VerifyOptions) -> int:
    """Ask all members for one digest, print what they say, and give the exit status."""
    async with members_of(options, reactor) as stores:
        agreement = await agreement_of(options.topology, stores)
    print(json.dumps(agreement.shape, indent=2) if options["json"] else "\n".join(agreement.lines))
    return 0 if agreement.is_equal else FAILED
