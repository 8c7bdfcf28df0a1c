"""``sos replicate``: one round of replication, now."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NoReturn, TextIO

from twisted.internet.task import react
from zope.interface import implementer

from sos.cli.foreground import FAILED, log_to_stderr
from sos.decisions.printouts import mirrored_blob, missing_blob, round_of, server_table
from sos.options import ReplicateOptions
from sos.usecases.copying import Round
from sos.usecases.replication import SilentReporter
from sos.words.blob import BlobID
from sos.words.interfaces import IRoundReporter

PERSON_NEEDED = 3
"""The exit status when all was done that could be, and something is left that no round can settle."""

MOST_NAMED = 5
"""IDs named in one sentence; the log names all."""

ReplicateOnce = Callable[[ReplicateOptions, IRoundReporter, Any], Awaitable[Round]]
"""Runs a round over the servers of the options, with the reactor that is its last argument."""


@implementer(IRoundReporter)
class PrintingReporter:
    """Prints what a round does, as the ancestor does with ``-verbose``."""

    def __init__(self, stream: TextIO) -> None:
        """Print to `stream`."""
        self._stream = stream

    def group_begins(self, name: str, members: Sequence[str]) -> None:
        """Print a group and its members."""
        self._stream.write(round_of(name, members))

    def blob_is_missing(self, blob_id: BlobID, server: str) -> None:
        """Print that a member lacks a blob."""
        self._stream.write(missing_blob(blob_id, server))

    def copy_begins(self, blob_id: BlobID, source: str, target: str) -> None:
        """Print that a blob is copied."""
        self._stream.write(mirrored_blob(blob_id, source, target))


def replicate(arguments: Sequence[str]) -> NoReturn:
    """Run one round and exit: 0 when every member was reached and every copy made, `FAILED` otherwise.

    `PERSON_NEEDED` when all that is wrong is nothing that another round could do better.
    """
    options = ReplicateOptions()
    options.parseOptions(arguments)
    from sos.service import replicate_once

    log_to_stderr(bool(options["verbose"]))
    react(partial(run_round, options=options, replicate_once=replicate_once))


async def run_round(reactor: Any, options: ReplicateOptions, replicate_once: ReplicateOnce) -> None:
    """Run a round and say what went wrong; raises `SystemExit` where something did."""
    reporter: IRoundReporter = SilentReporter()
    if options["verbose"]:
        print(server_table(options.topology), end="")
        reporter = PrintingReporter(sys.stdout)
    outcome = await replicate_once(options, reporter, reactor)
    sys.stdout.flush()
    complaints, reports = complaints_of(outcome), reports_of(outcome)
    if complaints or reports:
        print("\n".join([*complaints, *reports]), file=sys.stderr)
        raise SystemExit(FAILED if complaints else PERSON_NEEDED)


def complaints_of(outcome: Round) -> Sequence[str]:
    """Give a sentence for each member that was out of reach, and one for the copies that could not be made."""
    complaints = [
        why if server.url in why else f"{server.url} is out of reach: {why}" for server, why in outcome.unreachable.items()
    ]
    if outcome.failed:
        complaints.append(f"{outcome.failed} copies could not be made; the next round tries again.")
    return complaints


def reports_of(outcome: Round) -> Sequence[str]:
    """Give a sentence for what nobody but a person can settle."""
    names = sorted(outcome.reported)
    if not names:
        return []
    shown = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    return [f"No round can settle {shown}: other bytes, damage in every copy, or perhaps deleted; see the log above."]
