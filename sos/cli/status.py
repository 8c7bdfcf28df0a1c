"""``sos status``: how the members are, and what that means.

Its exit status: 0 healthy; 1 degraded: something is wrong with a member, or with the command itself; 3 at risk: one more
loss loses data, or uploads fail already. (2 is a command line that cannot be understood, as with all commands.)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sos.cli.command_options import InspectionOptions, flag
from sos.cli.finishing import run_to_its_end
from sos.cli.members import members_of
from sos.concurrently import concurrently
from sos.decisions.condition import Condition, GroupCondition, MemberCondition, Verdict
from sos.decisions.overview import COLUMNS, NUMBERS, rows_of
from sos.decisions.reports import report_of
from sos.decisions.topology import Server, Topology
from sos.remote import RemoteStore
from sos.usecases.inspection import why_of
from sos.words.errors import BadInput, SOSError

STATUS_OF = {Verdict.HEALTHY: 0, Verdict.DEGRADED: 1, Verdict.AT_RISK: 3}
"""The exit statuses."""

WIDE = 200
"""Columns where there is no terminal: nothing is folded, so that scripts find a member and its state in one line."""


class StatusOptions(InspectionOptions):
    """The options of ``sos status``."""

    synopsis = "Usage: sos status [options]"
    longdesc = "The exit status is 0 where all is well, 1 where it is degraded, and 3 where one more loss is one too many."
    optFlags = [flag("json", "Print JSON.")]  # noqa: RUF012


def status(arguments: Sequence[str]) -> NoReturn:
    """Show how the members are, and exit."""
    options = StatusOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(show, options=options), bool(options["verbose"]))


async def show(reactor: Any, options: StatusOptions) -> int:
    """Ask all members, print what they say, and give the exit status."""
    async with members_of(options, reactor) as stores:
        condition = await condition_of(options.topology, stores)
    if options["json"]:
        print(json.dumps(condition.shape, indent=2))
    else:
        print_table(condition, sys.stdout)
    return STATUS_OF[condition.verdict]


async def condition_of(topology: Topology, stores: Mapping[Server, RemoteStore]) -> Condition:
    """Ask all members how they are, side by side."""
    members = await concurrently(ask(server, stores[server]) for server in topology.servers)
    found = dict(zip(topology.servers, members, strict=True))
    return Condition(
        tuple(GroupCondition(group, tuple(found[server] for server in group.members)) for group in topology.groups)
    )


async def ask(server: Server, store: RemoteStore) -> MemberCondition:
    """Ask one member how it is; one of the old contract can only be asked for a sign of life."""
    try:
        shape = await store.status()
        if shape is not None:
            return MemberCondition(server, report_of(shape))
        await store.alive()
    except BadInput as error:
        return MemberCondition(server, why_down=str(error))
    except SOSError as error:
        return MemberCondition(server, why_down=why_of(error))
    return MemberCondition(server)


def print_table(condition: Condition, stream: TextIO) -> None:
    """Print the members, and what is wrong in one sentence."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else WIDE)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    for row in rows_of(condition):
        table.add_row(*map(Text, row))
    console.print(table)
    console.print(Text(condition.sentence), soft_wrap=True)
