"""A worker's tie to its parent: the parent's end, however sudden, is the end of the standard input."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from sos.services.worker_process import SERVING


class Lifeline(Protocol):
    """Tells the parent that this worker serves, and waits until the parent lets go, or until somebody cuts it here."""

    def __init__(self) -> None:
        """Begin tied."""
        self.when_cut: Deferred[None] = Deferred()

    def say_serving(self) -> None:
        """Say that this worker takes connections and can be signalled."""
        assert self.transport is not None
        self.transport.write(SERVING)

    def cut(self) -> None:
        """Let the worker end; once more makes no difference."""
        if not self.when_cut.called:
            self.when_cut.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Let the worker end: nobody is there any more."""
        self.cut()
