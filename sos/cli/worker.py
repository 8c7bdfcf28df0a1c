"""One worker of an api server: the program that ``--workers`` starts, and nobody else (`sos.services.workers`).

Its arguments are its number and the options of its parent. It reads them, and the files that they name, for itself: so no
secret has to be handed over, and a worker that is started again knows what the files say by then.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import Any, NoReturn

from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.logger import LogLevel, globalLogBeginner
from twisted.python import usage

from sos.cli.piped_log import PipedLog
from sos.options import WorkerOptions
from sos.services.inherited import is_listening
from sos.services.lifeline import Lifeline
from sos.services.log_marks import marked
from sos.settings import DOWNLOAD_DESCRIPTOR, UPLOAD_DESCRIPTOR

MISUSED = 2
"""The exit status of options that cannot be understood any more."""


def main() -> NoReturn:
    """Serve until the parent lets go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent says what it means
    if not all(is_listening(descriptor) for descriptor in (UPLOAD_DESCRIPTOR, DOWNLOAD_DESCRIPTOR)):
        _give_up("A worker inherits open ports from an api server with --workers; it is not started by hand.")
    number, *arguments = sys.argv[1:]
    options = WorkerOptions(int(number))
    try:
        options.parseOptions(arguments)
    except usage.UsageError as error:
        _give_up(str(error))
    globalLogBeginner.beginLoggingTo([PipedLog(sys.stderr, bool(options["verbose"]))], redirectStandardIO=False)
    react(partial(work, options=options))


async def work(reactor: Any, options: WorkerOptions) -> None:
    """Serve the inherited ports until the lifeline is cut; the reactor stops the service before itself."""
    from sos.service import makeService

    lifeline = Lifeline()
    StandardIO(lifeline, reactor=reactor)
    reactor.callWhenRunning(_cut_at_sigterm, lifeline, reactor)
    service = makeService(options, reactor)
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    lifeline.say_serving()
    await lifeline.when_cut


def _cut_at_sigterm(lifeline: Lifeline, reactor: Any) -> None:
    """Take SIGTERM from the reactor.

    A service manager sends it to parent and workers alike, and the parent lets go at the same moment: a reactor that is
    stopped twice logs a failure.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(lifeline.cut))


def _give_up(sentence: str) -> NoReturn:
    print(marked(LogLevel.error, f"sos: {sentence}"), file=sys.stderr)
    sys.exit(MISUSED)


if __name__ == "__main__":
    main()
