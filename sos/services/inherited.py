"""Inherited sockets: an endpoint of a worker listens as its string says, but on a socket that the parent has opened."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

_NO_FILE = b"\0"
"""The name of a socket without a file, as far as Twisted looks at it."""

_OF_SERVICE_MANAGER = "systemd:"


def inherited_endpoint(reactor: Any, endpoint: str, descriptor: int) -> IStreamServerEndpoint:
    """Make the endpoint of a string that listens on an inherited socket; the descriptor is closed once it is taken over."""
    heir = Heir(reactor, descriptor)
    if endpoint.startswith(_OF_SERVICE_MANAGER):  # its descriptors were counted for the parent, and are gone
        return PlainEndpoint(heir)
    return serverFromString(heir, endpoint)  # type: ignore[no-any-return]


class Heir:
    """Stands in for the reactor where an endpoint listens: on whatever address it wants to, it gets the inherited socket.

    So the string of the endpoint keeps all its other meaning, such as the key and the certificate of ``ssl:``.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        """Hand out one socket, once."""
        self._reactor = reactor
        self._descriptor = descriptor

    def listenTCP(self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = "") -> IListeningPort:
        """Serve the inherited socket."""
        return self.take_over(factory)

    def listenSSL(
        self, port: int, factory: IProtocolFactory, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Serve the inherited socket with TLS."""
        return self.take_over(TLSMemoryBIOFactory(contextFactory, False, factory))

    def listenUNIX(
        self, address: str, factory: IProtocolFactory, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> IListeningPort:
        """Serve the inherited socket. Its file and its lock are the parent's."""
        return self.take_over(factory, backlog)

    def take_over(self, factory: IProtocolFactory, backlog: int = 50) -> IListeningPort:
        """Serve the inherited socket, and keep one descriptor of it."""
        os.set_blocking(self._descriptor, False)
        with socket.socket(fileno=self._descriptor) as inherited:
            if inherited.family == socket.AF_UNIX:
                port: tcp.Port = InheritedUNIXPort(_another(inherited), factory, backlog, self._reactor)
            else:
                port = InheritedTCPPort(_another(inherited), factory, self._reactor)
        port.startListening()
        return port


def _another(inherited: socket.socket) -> socket.socket:
    """Give another socket object for a socket; its own `dup` would let it block, for all who share it."""
    return socket.fromfd(inherited.fileno(), inherited.family, inherited.type)


@implementer(IStreamServerEndpoint)
class PlainEndpoint:
    """Listens on an inherited socket, with nothing between it and the factory."""

    def __init__(self, heir: Heir) -> None:
        """Listen on the heir's socket."""
        self._heir = heir

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Serve the socket."""
        return execute(self._heir.take_over, protocolFactory)


class OneAtATime:
    """Takes one connection each time the reactor looks, and leaves the others to whoever else is looking.

    Twisted's port takes up to a hundred. Where a proxy opens its connections in one go, the first worker to wake up would
    have them all, and keep them (measured: 64 of 64).
    """

    @property
    def numberAccepts(self) -> int:
        """How many connections to take at most."""
        return 1

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        """Heed no experience: Twisted's port counts what came last time."""


class InheritedTCPPort(OneAtATime, tcp.Port):
    """A TCP socket that other processes listen on, too. What `adoptStreamPort` makes of it takes more than its share."""

    def __init__(self, listening: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        """Serve a socket that listens already."""
        super().__init__(0, factory, interface=listening.getsockname()[0], reactor=reactor)
        self._preexistingSocket = listening


class InheritedUNIXPort(OneAtATime, unix.Port):
    """A unix socket that other processes listen on, too.

    What `adoptStreamPort` makes of such a socket opens its file to everybody (mode 666), and at its end removes the file
    and shuts the socket down for all.
    """

    _shouldShutdown = False

    def __init__(self, listening: socket.socket, factory: IProtocolFactory, backlog: int, reactor: Any) -> None:
        """Serve a socket that listens already; Twisted's port sets its backlog again."""
        super().__init__(_NO_FILE, factory, backlog, reactor=reactor)
        self._preexistingSocket = listening


def is_listening(descriptor: int) -> bool:
    """Whether a descriptor is a socket that listens."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as inherited:
            return bool(inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
