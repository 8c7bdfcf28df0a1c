"""``sos backup``: a copy of a store, made while it is served, on which a blob server can be started.

Its exit status: 0; 1 where something is damaged, in the store or in the backup, which a sentence names, or where there is
no new backup. Then an earlier one in the same directory is as it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from twisted.python import usage

from sos.cli.command_options import TransferOptions, flag
from sos.cli.finishing import complain, do_without_reactor
from sos.cli.foreground import FAILED, PRIVATE
from sos.cli.progress import IProgressShown, progress_of_bytes
from sos.cli.readable_log import printable
from sos.decisions.sizes import size_text
from sos.option_values import coerced, parameter, path_of
from sos.store.backup import back_up
from sos.store.backup_check import check_backup

DATA = Path("data")
"""The directory of a store, where none is named: that of a blob server."""


class BackupOptions(TransferOptions):
    """The options of ``sos backup``."""

    synopsis = "Usage: sos backup DIR [options]"
    longdesc = "DIR is missing, empty, or has an earlier backup of the same store: then only what is new is copied."
    optFlags = [flag("verify", "Make no backup; read the one in DIR, and say what is wrong with it.")]  # noqa: RUF012
    optParameters = [parameter("store", f"The directory of the store ({DATA}).", path_of)]  # noqa: RUF012
    place: Path

    def parseArgs(self, *arguments: str) -> None:
        """Take the directory."""
        self.place = one_directory(arguments)

    def postOptions(self) -> None:
        """See that all options mean something. Raises `UsageError`."""
        if self["verify"] and self["store"] is not None:
            raise usage.UsageError("--verify reads the backup alone; leave --store out.")


def one_directory(arguments: Sequence[str]) -> Path:
    """Read the one argument of a command that is about a directory. Raises `UsageError`."""
    if len(arguments) != 1:
        raise usage.UsageError("One DIR is wanted, and no more.")
    return coerced("DIR", path_of)(arguments[0])


def backup(arguments: Sequence[str]) -> NoReturn:
    """Back a store up, or check a backup, and exit."""
    options = BackupOptions()
    options.parseOptions(arguments)
    os.umask(PRIVATE)
    do_without_reactor(partial(work, options, progress_of_bytes(sys.stderr, not options["quiet"])))


def work(options: BackupOptions, progress: IProgressShown) -> int:
    """Do what the options ask for, and give the exit status."""
    try:
        sentence, complaints = _verified(options, progress) if options["verify"] else _backed_up(options, progress)
    finally:
        progress.end()
    for complaint in complaints:
        complain(complaint)
    print(sentence)
    return FAILED if complaints else 0


def _backed_up(options: BackupOptions, progress: IProgressShown) -> tuple[str, Sequence[str]]:
    done = back_up(options.value("store", DATA), options.place, progress)
    return (
        f"Backed up {done.blobs} blobs ({size_text(done.size)}) into {printable(str(options.place))}:"
        f" {done.linked} files linked, {done.copied} copied, {done.removed} removed.",
        done.complaints,
    )


def _verified(options: BackupOptions, progress: IProgressShown) -> tuple[str, Sequence[str]]:
    found = check_backup(options.place, progress)
    before = f", {found.damaged_before} were damaged when they were backed up" if found.damaged_before else ""
    return f"{found.blobs} blobs ({size_text(found.size)}) are sound, {len(found.faults)} faults{before}.", found.faults
