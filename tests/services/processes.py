"""Processes that are none: a transport that writes down what is done to a child, and ends when the test says so."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure


class FakeProcess:
    """A child of the parent under test."""

    def __init__(self, pid: int, protocol: Any) -> None:
        self.pid = pid
        self.signals: list[str] = []
        self.is_let_go = False
        self.has_exited = False
        self._protocol = protocol
        protocol.makeConnection(self)

    def closeStdin(self) -> None:
        """Write down that the lifeline was cut."""
        self.is_let_go = True

    def signalProcess(self, name: str) -> None:
        """Write down a signal, or refuse it as the reactor does."""
        if self.has_exited:
            raise ProcessExitedAlready
        self.signals.append(name)

    def writes(self, descriptor: int, data: bytes) -> None:
        """Let the child write."""
        self._protocol.childDataReceived(descriptor, data)

    def serves(self) -> None:
        """Let the child say that it serves."""
        self.writes(1, b"serving\n")

    def ends(self, status: int | None = 0, signal: int | None = None) -> None:
        """Let the child end."""
        self.has_exited = True
        reason = ProcessTerminated(status, signal, 0) if status or signal else ProcessDone(0)
        self._protocol.processEnded(Failure(reason))
