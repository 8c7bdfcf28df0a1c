"""The log of a worker: what is worth reading goes to the parent, line by line, each with its level."""

from __future__ import annotations

import contextlib

from twisted.logger import LogEvent, LogLevel

from sos.cli.readable_log import ReadableLog
from sos.services.log_marks import marked


class PipedLog(ReadableLog):
    """Writes events for the parent's log, which gives them their time."""

    def write(self, event: LogEvent, sentence: str, traceback: str) -> None:
        """Write an event; a traceback is further lines of the same level."""
        level = event.get("log_level", LogLevel.info)
        lines = [sentence, *traceback.splitlines()]
        with contextlib.suppress(OSError):  # the parent is gone, and so is this process in a moment
            self._stream.write("".join(f"{marked(level, line)}\n" for line in lines))
            self._stream.flush()
