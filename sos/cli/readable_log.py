"""A log for people: one line an event, with what happened and when, and nothing about where in the program."""

from __future__ import annotations

from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, formatEvent, formatTime
from zope.interface import implementer

_OURS = "sos"
"""What the namespaces of our own loggers begin with."""

_MARKS = {LogLevel.warn: "warning: ", LogLevel.error: "error: ", LogLevel.critical: "error: "}


@implementer(ILogObserver)
class ReadableLog:
    """Writes events to a stream: our own, and of Twisted's those that warn of something."""

    def __init__(self, stream: TextIO, verbose: bool = False) -> None:
        """Write to `stream`; where it is verbose, what is there for debugging too."""
        self._stream = stream
        self._least = LogLevel.debug if verbose else LogLevel.info

    def __call__(self, event: LogEvent) -> None:
        """Write an event, unless nobody wants to read it."""
        level = event.get("log_level", LogLevel.info)
        if self._is_wanted(level, event.get("log_namespace", "")):
            self.write(event, printable(formatEvent(event) or ""), _traceback(event))

    def write(self, event: LogEvent, sentence: str, traceback: str) -> None:
        """Write an event that somebody wants to read."""
        moment = formatTime(event.get("log_time"))
        self._stream.write(f"{moment} {_MARKS.get(event.get('log_level'), '')}{sentence}\n{traceback}")
        self._stream.flush()

    def _is_wanted(self, level: Any, namespace: str) -> bool:
        if level >= LogLevel.warn:
            return True
        return bool(level >= self._least) and namespace.split(".")[0] == _OURS


def printable(text: str) -> str:
    """Give a text with its controls escaped: what a client sent can neither end a line nor steer a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def _traceback(event: LogEvent) -> str:
    """Give the traceback of a surprise, each line of it set in, so that lines at the left are events."""
    if "log_failure" not in event:
        return ""
    text = eventAsText({**event, "log_format": ""}, includeTimestamp=False, includeSystem=False)
    return "".join(f"    {printable(line)}\n" for line in text.splitlines() if line)
