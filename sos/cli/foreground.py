"""The foreground: a service that runs until the terminal or the service manager ends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner

from sos.cli.readable_log import ReadableLog
from sos.words.errors import SOSError

FAILED = 1
"""The exit status of a command that could not do its work."""

PRIVATE = 0o077
"""What a store writes is nobody else's to read (the umask of the systemd units, too)."""


def run(make: Callable[[Any], IService], banner: str, verbose: bool) -> NoReturn:
    """Make a service with the reactor, run it until a signal ends it, and exit: 0 after that, `FAILED` if it cannot start.

    The banner is printed once the service listens, so whoever waits for it can connect.
    """
    os.umask(PRIVATE)
    log_to_stderr(verbose)
    react(partial(serve, make=make, banner=banner))


def log_to_stderr(verbose: bool) -> None:
    """Begin to log, for people to read."""
    globalLogBeginner.beginLoggingTo([ReadableLog(sys.stderr, verbose)], redirectStandardIO=False)


async def serve(reactor: Any, make: Callable[[Any], IService], banner: str) -> None:
    """Start a service and wait for ever; the reactor stops it before it stops itself."""
    try:
        service = make(reactor)
        service.privilegedStartService()
        service.startService()
    except SOSError as error:
        print(error, file=sys.stderr)
        raise SystemExit(FAILED) from None
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(banner, end="", flush=True)
    await Deferred()
