"""A port that is opened here and served elsewhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sos.services.inherited import is_listening
from sos.services.listener import CannotListen
from sos.services.shared_port import SharedPort


@implementer(IStreamServerEndpoint)
class RealSockets:
    """An endpoint with Twisted's own ports on real sockets, under a reactor that looks at none of them."""

    def __init__(self, reactor: Any, path: str | None = None) -> None:
        self._reactor = reactor
        self._path = path

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Open a port."""
        port: tcp.Port = tcp.Port(0, protocolFactory, interface="127.0.0.1", reactor=self._reactor)
        if self._path is not None:
            port = unix.Port(self._path.encode(), protocolFactory, reactor=self._reactor)
        port.startListening()
        return succeed(port)


@implementer(IStreamServerEndpoint)
class NoSocket:
    """An endpoint with something that is no socket."""

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Open it."""
        return succeed(object())


class SharedPortTests(SynchronousTestCase):
    """A port whose socket one worker has inherited."""

    def setUp(self) -> None:
        """Make the reactor."""
        self.reactor = MemoryReactorClock()

    def opened(self, path: str | None = None) -> tuple[SharedPort, socket.socket]:
        """Open a port, and let a worker inherit it."""
        port = SharedPort("uploads", "http://127.0.0.1:0", RealSockets(self.reactor, path))
        port.privilegedStartService()
        port.startService()
        inherited = socket.socket(fileno=os.dup(port.descriptor))
        self.addCleanup(inherited.close)
        return port, inherited

    def test_it_listens_and_accepts_nothing(self) -> None:
        """The reactor never looks at it: a connection accepted here would be answered by nobody."""
        port, _ = self.opened()
        self.assertTrue(is_listening(port.descriptor))
        self.assertEqual(self.reactor.getReaders(), [])

    def test_its_end_does_not_disturb_who_else_listens(self) -> None:
        """Twisted's port would shut the socket down for all."""
        port, inherited = self.opened()
        ours = port.descriptor
        stopped = port.stopService()
        self.assertFalse(is_listening(ours))
        os.dup2(0, ours)  # a number that is free is soon somebody else's, and nobody but them may close it
        self.reactor.advance(0)
        self.successResultOf(stopped)
        os.close(ours)
        with socket.create_connection(inherited.getsockname(), 30):
            inherited.accept()[0].close()

    def test_the_file_of_a_unix_socket_goes_with_it(self) -> None:
        """Whoever comes later is told that nobody is there."""
        path = self.mktemp()
        port, _ = self.opened(path)
        self.assertTrue(Path(path).is_socket())
        stopped = port.stopService()
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertFalse(Path(path).exists())

    def test_what_is_no_socket_is_refused(self) -> None:
        """With what would do."""
        port = SharedPort("uploads", "carrier-pigeon:", NoSocket())
        with self.assertRaisesRegex(CannotListen, "cannot share carrier-pigeon:.*use tcp:"):
            port.privilegedStartService()
