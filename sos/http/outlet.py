"""The way out of a connection: straight into the socket where nothing waits before it, else through the transport.

A transport of Twisted collects what is written, and sends it when the reactor comes round and says that the socket takes
bytes. It nearly always does: so an answer is given to the socket at once, which saves two system calls and a turn of the
reactor, and the transport gets what the socket did not take.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from twisted.internet.interfaces import ISSLTransport


class Outlet(Protocol):
    """Where the bytes of answers go. Whoever writes does so only while nothing waits in the transport."""

    takes_files: bool

    def write(self, data: bytes) -> bool:
        """Send bytes, and say whether it is known that some of them wait in the transport."""

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send bytes of an open file, as many as can be sent now; once that fails, `takes_files` is False."""

    def wait(self) -> None:
        """Have the transport resume its producer when more can be sent."""


class SocketOutlet:
    """Out of a plain socket."""

    def __init__(self, transport: Any) -> None:
        """Send through a transport's socket."""
        self.takes_files = True
        self._transport = transport
        self._socket = transport.socket

    def write(self, data: bytes) -> bool:
        """Send bytes; where they are not all taken, the transport waits, or finds out what is wrong."""
        try:
            sent = self._socket.send(data)
        except OSError:
            sent = 0
        if sent == len(data):
            return False
        self._transport.write(data[sent:])
        return True

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send bytes of an open file."""
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

    takes_files = False

    def __init__(self, transport: Any) -> None:
        """Send through a transport."""
        self._transport = transport

    def write(self, data: bytes) -> bool:
        """Send bytes; the transport pauses its producer by itself when too many wait."""
        self._transport.write(data)
        return False

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send nothing."""
        return 0

    def wait(self) -> None:
        """Do nothing."""


def outlet_of(transport: Any) -> Outlet:
    """Give the shortest way out of a connection."""
    if hasattr(transport, "socket") and not ISSLTransport.providedBy(transport):
        return SocketOutlet(transport)
    return TransportOutlet(transport)
