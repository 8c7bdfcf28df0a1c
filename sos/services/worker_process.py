"""One worker as its parent sees it: a process with a lifeline, a log, and an end.

The worker's standard input is the lifeline. Nothing is ever written to it; when it is closed, by the parent or by the
parent's end, however sudden, the worker ends. On its standard output the worker says once that it serves. Its standard
error is its log (`sos.services.log_marks`), which the parent writes into its own: an inherited standard error would be
``/dev/null`` under a twistd that is a daemon, and its lines would not say which worker wrote them.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from sos.services.log_marks import read_marked

SERVING = b"serving\n"
"""What a worker says once, when it takes connections and knows what a SIGHUP means."""

LONGEST_LINE = 65_536
"""Bytes of one line of a worker's log; a longer one is cut into several."""


class WorkerProcess(ProcessProtocol):
    """A worker's process, from its start to its end."""

    _log = Logger()

    def __init__(self, number: int, on_end: Callable[[str], None]) -> None:
        """Watch the worker of this number; `on_end` hears how it ended."""
        self.number = number
        self.serves = False
        self._on_end = on_end
        self._has_ended = False
        self._is_reload_due = False
        self._rest_of_line = b""
        self._waiting: list[Deferred[None]] = []

    def reload(self) -> None:
        """Let the worker read its configuration again.

        One that is still starting is told when it serves: before that, SIGHUP would end it.
        """
        if self.serves:
            self._signal("HUP")
        else:
            self._is_reload_due = True

    def finish(self) -> None:
        """Let the worker end the requests that it is at, and then itself."""
        assert self.transport is not None
        self.transport.closeStdin()

    def kill(self) -> None:
        """End the worker now."""
        self._signal("KILL")

    def when_ended(self) -> Deferred[None]:
        """Give a Deferred that fires when the process is gone and its log has been read."""
        if self._has_ended:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def outReceived(self, data: bytes) -> None:
        """Note that the worker serves: it says nothing else."""
        if self.serves:
            return
        self.serves = True
        self._log.info("Worker {number} (pid {pid}) serves", number=self.number, pid=getattr(self.transport, "pid", None))
        if self._is_reload_due:
            self._signal("HUP")

    def errReceived(self, data: bytes) -> None:
        """Write the lines of the worker's log into this one."""
        *lines, self._rest_of_line = (self._rest_of_line + data).split(b"\n")
        if len(self._rest_of_line) > LONGEST_LINE:
            lines.append(self._rest_of_line)
            self._rest_of_line = b""
        for line in lines:
            self._write(line)

    def processEnded(self, reason: Failure) -> None:
        """Note the end. All that the worker wrote has been read."""
        self._write(self._rest_of_line)
        self._has_ended = True
        self._on_end(_how(reason))
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def _write(self, line: bytes) -> None:
        level, text = read_marked(line.decode("utf-8", "replace"))
        if text:
            self._log.emit(level, "Worker {number}: {text}", number=self.number, text=text)

    def _signal(self, name: str) -> None:
        assert self.transport is not None
        with contextlib.suppress(ProcessExitedAlready):  # its end is on the way to us
            self.transport.signalProcess(name)


def _how(reason: Failure) -> str:
    """Say how a process ended."""
    number = getattr(reason.value, "signal", None)
    if number is not None:
        return f"was ended by {signal.Signals(number).name}"
    status = getattr(reason.value, "exitCode", None)
    return f"ended with status {status}" if status else "ended"
