"""The way out of a connection: past its transport into the socket where that is a plain one, else through the transport.

A transport of Twisted collects what is written, and sends it when the reactor says that the socket takes bytes. It nearly
always does. So an answer is given to the socket itself, at the end of the reactor's turn or before: that saves two system
calls and an event, and the transport gets what the socket did not take.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import ISSLTransport

from sos.http.departures import Departures

_AT_ONCE = 64 * 1024
"""Bytes that do not wait for the end of the turn: what makes pieces without end has to learn when the socket is full."""


class Outlet(Protocol):
    """Where bytes go that nothing waits before: neither in the transport nor in here."""

    takes_files: bool

    def write(self, data: bytes) -> None:
        """Send bytes, soon."""

    def send(self, data: bytes) -> None:
        """Send bytes now, behind those that were to be sent soon."""

    def flush(self) -> None:
        """Send now what was to be sent soon: the connection is about to be closed."""

    def forget(self) -> None:
        """Send nothing more: the connection is gone."""

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send bytes of an open file, as many as can be sent now; once that fails, `takes_files` is False."""

    def wait(self) -> None:
        """Have the transport resume its producer when more can be sent."""


class SocketOutlet:
    """Out of a plain socket."""

    __slots__ = ("_clogged", "_departures", "_socket", "_transport", "_waiting", "takes_files")

    def __init__(self, transport: Any, departures: Departures, clogged: Callable[[], None]) -> None:
        """Send through a transport's socket; `clogged` hears when it did not take all, and the transport has the rest."""
        self.takes_files = True
        self._transport = transport
        self._socket: socket.socket = transport.socket
        self._departures = departures
        self._clogged = clogged
        self._waiting = b""

    def write(self, data: bytes) -> None:
        """Send bytes when they depart; at once where they are many."""
        is_first = not self._waiting
        self._waiting += data
        if len(self._waiting) >= _AT_ONCE:
            self.flush()
        elif is_first:
            self._departures.add(self)

    def send(self, data: bytes) -> None:
        """Send bytes now: whoever gets them can begin while we go on with this turn."""
        self._waiting += data
        self.flush()

    def flush(self) -> None:
        """Send what waits. What is not taken is the transport's to send, or to find out why it cannot be."""
        data, self._waiting = self._waiting, b""
        if not data:
            return
        try:
            sent = self._socket.send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            self._transport.write(data[sent:])
            self._clogged()

    def forget(self) -> None:
        """Send nothing more, and hold on to nobody."""
        self._waiting = b""
        self._clogged = _ignore
        self.takes_files = False

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send bytes of an open file. Whoever calls has flushed."""
        try:
            sent = os.sendfile(self._socket.fileno(), descriptor, at, most)
        except BlockingIOError:
            return 0
        except OSError:  # of the file, the file system or the socket: whoever reads and writes will see which
            sent = 0
        self.takes_files = sent > 0  # nothing was sent of a file that is shorter than it should be
        return sent

    def wait(self) -> None:
        """Watch the socket as the transport does that has something to send."""
        self._transport.producerPaused = True
        self._transport.startWriting()


class TransportOutlet:
    """Out of any other transport: TLS has to encrypt first, and tests have no sockets."""

    __slots__ = ("send", "write")

    takes_files = False

    def __init__(self, transport: Any) -> None:
        """Send through a transport, which pauses its producer by itself."""
        self.write = self.send = transport.write

    def flush(self) -> None:
        """Do nothing: nothing waits in here."""

    forget = wait = flush

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send nothing."""
        return 0


def _ignore() -> None:
    """Stand for a connection that is gone."""


def outlet_of(transport: Any, departures: Departures, clogged: Callable[[], None]) -> Outlet:
    """Give the shortest way out of a connection."""
    if hasattr(transport, "socket") and not ISSLTransport.providedBy(transport):
        return SocketOutlet(transport, departures, clogged)
    return TransportOutlet(transport)
