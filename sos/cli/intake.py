"""``sos import``: take the files of a data directory, as the ancestor kept them, into a store.

Its exit status: 0 all that is there was taken, or is held already; 1 something was not taken as it is, which a sentence
names. It can be run again at any time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from twisted.internet.task import deferLater

from sos.cli.backup import DATA, one_directory
from sos.cli.command_options import TransferOptions, flag
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED, PRIVATE
from sos.cli.own_store import own_store
from sos.cli.progress import IProgressShown, progress_of_objects
from sos.decisions.sizes import size_text
from sos.option_values import parameter, path_of, reserve_of
from sos.settings import StoreSettings
from sos.store.flat_files import FlatDirectory
from sos.store.room import Reserve
from sos.usecases.intake import Intake, Rules
from sos.words.interfaces import StoreStatus


class ImportOptions(TransferOptions):
    """The options of ``sos import``."""

    synopsis = "Usage: sos import DIR [options]"
    longdesc = "DIR has a file for each object, named by its digest, and its metadata, if any, beside it in ID.json."
    optFlags = [  # noqa: RUF012
        flag("any-id", "Take names that are no digests, too: nobody can say whether their bytes are the right ones."),
        flag("verify", "Read and compare what is in the store already, too."),
    ]
    optParameters = [  # noqa: RUF012
        parameter("store", f"The directory of the store ({DATA}); a missing or empty one becomes a new store.", path_of),
        parameter("reserve", "Room on the disk that is not used: 2%, 10GiB (1%, at least 64MiB).", reserve_of),
    ]
    source: Path

    def parseArgs(self, *arguments: str) -> None:
        """Take the directory."""
        self.source = one_directory(arguments)

    def rules_for(self, status: StoreStatus) -> Rules:
        """Give what is asked for; of an empty store nobody has to ask each time whether it holds something already."""
        is_empty = not (status.blobs or status.deleted or status.damaged)
        return Rules(takes_any_id=bool(self["any-id"]), passes_over=not (self["verify"] or is_empty))


def import_files(arguments: Sequence[str]) -> NoReturn:
    """Take the files of a directory, and exit."""
    options = ImportOptions()
    options.parseOptions(arguments)
    os.umask(PRIVATE)
    run_to_its_end(partial(work, options=options), bool(options["verbose"]))


async def work(reactor: Any, options: ImportOptions) -> int:
    """Take the files into the store, and give the exit status."""
    FlatDirectory(options.source).check()
    settings = StoreSettings(reserve=options.value("reserve", Reserve()))
    async with own_store(options.value("store", DATA), settings, reactor) as store:
        progress = progress_of_objects(sys.stderr, not options["quiet"])
        directory = FlatDirectory(options.source)
        turn = partial(deferLater, reactor, 0)
        rules = options.rules_for(store.status())
        intake = Intake(store, directory, rules, time.time, complain, progress.advance, turn)
        return await taken(intake, progress)


async def taken(intake: Intake, progress: IProgressShown) -> int:
    """Take everything, say how much it was, and give the exit status; what is cut short is told of, too."""
    progress.begin("import", None)
    try:
        await intake.run()
    finally:
        progress.end()
        counts = intake.counts
        print(
            f"Imported {counts['taken']} objects ({size_text(counts['bytes'])}); {counts['there']} were there already,"
            f" {counts['newer']} are held newer or deleted, {counts['complaints']} complaints."
        )
    return FAILED if counts["complaints"] else 0
