"""``sos ls``: the names of all objects, straight from the members.

Its exit status: 0; 1 where a member was out of reach, so that names may be missing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from twisted.python import usage

from sos.cli.command_options import InspectionOptions, flag
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.members import members_of
from sos.cli.progress import IProgressShown, progress_of_objects
from sos.decisions import wire
from sos.decisions.reconcile import Listed
from sos.decisions.topology import Server
from sos.decisions.whereabouts import shown
from sos.option_values import parameter
from sos.usecases.catalogue import Catalogue
from sos.usecases.inspection import why_of
from sos.words.blob import Entry, blob_id
from sos.words.interfaces import IBlobStore


def prefix_of(text: str) -> str:
    """Read the beginning of an ID, which may be empty. Raises `BadInput`."""
    return str(blob_id(text.encode("utf-8", "surrogateescape"))) if text else ""


class LsOptions(InspectionOptions):
    """The options of ``sos ls``."""

    synopsis = "Usage: sos ls [options]"
    optFlags = [  # noqa: RUF012
        flag("long", "Show size, number of copies, ID, type and name of each.", "l"),
        flag("quiet", "Show no progress.", "q"),
    ]
    optParameters = [parameter("prefix", "List the IDs that begin with this.", prefix_of)]  # noqa: RUF012

    def parseArgs(self, *arguments: str) -> None:
        """Refuse arguments."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is too much: it lists all objects, or those of --prefix.")


def ls(arguments: Sequence[str]) -> NoReturn:
    """List all objects, and exit."""
    options = LsOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(show, options=options), bool(options["verbose"]))


async def show(reactor: Any, options: LsOptions) -> int:
    """List what the members have, and give the exit status."""
    # lines that scroll by are progress enough
    is_wanted = bool(options["long"]) and not options["quiet"] and not sys.stdout.isatty()
    async with members_of(options, reactor) as stores:
        progress = progress_of_objects(sys.stderr, is_wanted)
        return await print_names(stores, options.value("prefix", ""), bool(options["long"]), progress)


async def print_names(stores: Mapping[Server, IBlobStore], prefix: str, is_long: bool, progress: IProgressShown) -> int:
    """Print the names as they come, name the members that failed at the end, and give the exit status."""
    catalogue = Catalogue(stores, prefix)
    progress.begin("ls", None)
    try:
        async for page in catalogue.pages():
            if is_long:
                async for listed, entry in catalogue.entries(page):
                    print(row_of(listed, entry))
                    progress.advance(1)
            else:
                print("\n".join(listed.blob_id for listed in page))
    finally:
        progress.end()
    for server, error in catalogue.failures.items():
        complain(f"{server} is out of reach: {why_of(error)}; what it alone has is not listed.")
    return FAILED if catalogue.failures else 0


def row_of(listed: Listed[Server], entry: Entry | None) -> str:
    """Give the line of an object. Its columns are apart by white space, and only the last may have some in it."""
    size = "-" if entry is None or entry.size is None else f"{entry.size}"
    kind = name = None
    if entry is not None:
        kind, name = entry.metadata.value(wire.MIME_TYPE), entry.metadata.value(wire.ORIG_FILENAME)
    kind_text = "".join(shown(kind or b"").split()) or "-"
    return f"{size:>12} {len(listed.holders):>2} {listed.blob_id} {kind_text} {shown(name or b'') or '-'}"
