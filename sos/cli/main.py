"""The ``sos`` command: picks the subcommand, and turns what is wrong with the arguments into a sentence."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata

from attrs import frozen
from twisted.python import usage

from sos.cli.replicate import replicate
from sos.cli.servers import api_server, blob_server
from sos.options import SOSOptions, version_line

MISUSED = 2
"""The exit status of a command line that cannot be understood."""


@frozen
class Command:
    """A subcommand: what it is for, and what runs it. It returns when it has done its work, or exits by itself."""

    sentence: str
    run: Callable[[Sequence[str]], None]


class VersionOptions(SOSOptions):
    """The options of ``sos version``."""

    synopsis = "Usage: sos version [options]"


def version(arguments: Sequence[str]) -> None:
    """Print the version of sos; where it is verbose, also of what it stands on."""
    options = VersionOptions()
    options.parseOptions(arguments)
    print(version_line())
    if options["verbose"]:
        print(f"Python {platform.python_version()}, Twisted {metadata.version('twisted')}")


def _in_its_module(name: str, function: str | None = None) -> Callable[[Sequence[str]], None]:
    """Give a command that is imported when it runs: a server need not load what draws tables."""

    def run(arguments: Sequence[str]) -> None:
        getattr(import_module(f"sos.cli.{name}"), function or name)(arguments)

    return run


COMMANDS: Mapping[str, Command] = {
    "blob-server": Command("Run a blob server: it keeps bytes under names.", blob_server),
    "api-server": Command("Run an api server: clients upload to it and fetch from it.", api_server),
    "replicate": Command("Make the members of each group hold the same blobs, once, now.", replicate),
    "put": Command("Upload files, and print their IDs.", _in_its_module("put")),
    "get": Command("Download an object.", _in_its_module("get")),
    "rm": Command("Delete objects.", _in_its_module("rm")),
    "ls": Command("List all objects.", _in_its_module("ls")),
    "stat": Command("Show what each blob server knows of an object.", _in_its_module("stat")),
    "verify": Command("Show whether the members of each group hold the same.", _in_its_module("verify")),
    "scrub": Command("Have the blob servers read again all that they hold, now.", _in_its_module("scrub")),
    "status": Command("Show how the blob servers are.", _in_its_module("status")),
    "backup": Command("Back up a store, while it is served or not.", _in_its_module("backup")),
    "import": Command("Take the files of a data directory into a store.", _in_its_module("intake", "import_files")),
    "export": Command("Write all objects into a directory, each a file.", _in_its_module("export")),
    "sweep": Command("Remove the chunks that no object needs any more, now.", _in_its_module("sweep")),
    "version": Command("Show the version.", version),
}
_HELP = frozenset({"help", "-h", "-help", "--help"})
_VERSION = frozenset({"-version", "--version"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; give the exit status."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["help"]
    if name in _HELP:
        if not rest:
            print(overview(), end="")
            return 0
        name, rest = rest[0], ["--help"]
    command = COMMANDS.get("version" if name in _VERSION else name)
    if command is None:
        return _refuse("sos", f"{name!r} is none of its commands: {', '.join(COMMANDS)}.")
    try:
        command.run(rest)
    except usage.UsageError as error:
        return _refuse(f"sos {name}", f"{error}")
    return 0


def overview() -> str:
    """Give the list of the subcommands."""
    rows = [f"  {name:<12} {command.sentence}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Simple Object Storage: files go in over HTTP, come back over HTTP, and live on several hosts.",
            "",
            "Usage: sos COMMAND [options]",
            "",
            *rows,
            "",
            "sos COMMAND --help tells more; twistd sos --help shows the same services as a daemon.",
            "",
        ]
    )


def _refuse(program: str, sentence: str) -> int:
    print(f"{program}: {sentence}\nTry: {program} --help", file=sys.stderr)
    return MISUSED
