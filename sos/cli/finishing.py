"""Commands that do their work and end: each failure is a sentence, each end has its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from sos.cli.foreground import FAILED, log_to_stderr
from sos.cli.readable_log import printable
from sos.words.errors import SOSError

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it: 128 and the number of SIGINT."""

Work = Callable[[Any], Coroutine[Any, Any, int]]
"""The work of a command: it is given the reactor, and gives the exit status."""


def run_to_its_end(work: Work, verbose: bool) -> NoReturn:
    """Do the work of a command and exit."""
    log_to_stderr(verbose)
    react(partial(finish, work=work))


def do_without_reactor(work: Callable[[], int]) -> NoReturn:
    """Do work that blocks, and waits for nothing but disks, and exit."""
    try:
        status = work()
        sys.stdout.flush()
    except (KeyboardInterrupt, SOSError, OSError) as error:
        status = _told(error)
    raise SystemExit(status)


async def finish(reactor: Any, work: Work) -> None:
    """Do the work; raises `SystemExit` where its status is not 0.

    A signal stops the reactor; the work is cancelled then, so that it leaves nothing behind, and the reactor waits until it
    has tidied up: a store that is open has threads.
    """
    working = Deferred.fromCoroutine(work(reactor))
    over: Deferred[None] = Deferred()

    def cancel() -> Deferred[None]:
        working.cancel()
        return over

    reactor.addSystemEventTrigger("before", "shutdown", cancel)
    try:
        status = await working
        sys.stdout.flush()
    except (CancelledError, SOSError, OSError) as error:
        status = _told(error)
    finally:
        over.callback(None)
    if status:
        raise SystemExit(status)


def _told(error: BaseException) -> int:
    """Say why the work did not come to its end, if anybody does not know, and give the exit status."""
    if isinstance(error, (KeyboardInterrupt, CancelledError)):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        _forget_output()
    else:
        complain(str(error))
    return FAILED


def complain(sentence: str) -> None:
    """Say to whoever runs the command what went wrong."""
    print(f"sos: {printable(sentence)}", file=sys.stderr)


def _forget_output() -> None:
    """Let what is still to be written go nowhere: its reader has left (``sos ls | head``), which is no surprise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
