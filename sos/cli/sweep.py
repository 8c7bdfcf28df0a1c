"""``sos sweep``: remove the chunks that no object needs any more, now.

Its exit status: 0 everything was looked at; 1 something stood in the way, which a sentence names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, NoReturn

from sos.cli.command_options import flag
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.decisions.sizes import size_text
from sos.option_values import coerced, count_of, parameter
from sos.options import ReplicateOptions
from sos.usecases.sweep import SweepReport
from sos.words.blob import BlobID, blob_id

SweepOnce = Callable[[ReplicateOptions, int | None, Collection[BlobID], bool, Any], Awaitable[SweepReport]]
"""Sweeps the servers of the options. Takes the copies that an upload needs, the manifests to ignore, whether only to count,
and the reactor."""


class SweepOptions(ReplicateOptions):
    """The options of ``sos sweep``."""

    synopsis = "Usage: sos sweep [options]"
    longdesc = (
        "Nothing is removed while a group is out of reach, or the list of an object's chunks cannot be read. The exit status"
        " is 0 where everything was looked at, else 1."
    )
    optFlags = [flag("dry-run", "Say what would be removed, and leave it.", "n")]  # noqa: RUF012
    optParameters = [  # noqa: RUF012
        parameter("min-copies", "Durable copies that acknowledge an upload, as the apis have it.", count_of)
    ]

    def __init__(self) -> None:
        """Begin with nothing given."""
        super().__init__()
        self.ignored: set[BlobID] = set()

    def opt_ignore(self, object_id: str) -> None:
        """Do without the list of chunks of this object, which is lost; may be given several times."""
        self.ignored.add(coerced("ignore", lambda text: blob_id(text.encode("utf-8", "surrogateescape")))(object_id))


def sweep(arguments: Sequence[str]) -> NoReturn:
    """Sweep once, and exit."""
    options = SweepOptions()
    options.parseOptions(arguments)
    from sos.service import sweep_once

    run_to_its_end(partial(run_sweep, options=options, sweep_once=sweep_once), bool(options["verbose"]))


async def run_sweep(reactor: Any, options: SweepOptions, sweep_once: SweepOnce) -> int:
    """Sweep, say what it came to, and give the exit status."""
    is_rehearsal = bool(options["dry-run"])
    report = await sweep_once(options, options["min-copies"], options.ignored, is_rehearsal, reactor)
    for sentence in (*report.hindrances, *report.failures):
        complain(sentence)
    if not report.hindrances:
        print(sentence_of(report))
    return 0 if report.is_complete else FAILED


def sentence_of(report: SweepReport) -> str:
    """Say what was removed, or would be."""
    verb = "Would remove" if report.is_rehearsal else "Removed"
    swept = report.swept
    return f"{verb} {swept.chunks:,} of {report.chunks:,} copies of chunks ({size_text(swept.size)})."
