"""Failures that are logged while an input is played."""

from __future__ import annotations

from types import TracebackType

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer


@implementer(ILogObserver)
class Trouble:
    """Collects, between its begin and its end, what is logged as a failure."""

    def __init__(self) -> None:
        """Have seen nothing."""
        self.events: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        """Look at an event."""
        if event.get("log_failure") is not None or event.get("isError"):
            self.events.append(f"it logged {event.get('log_format') or event.get('log_text')!r}")

    def __enter__(self) -> Trouble:
        """Begin."""
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End."""
        globalLogPublisher.removeObserver(self)
