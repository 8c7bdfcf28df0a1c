"""Listening on sockets that a parent has opened."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any, cast
from unittest import SkipTest

from twisted.internet.address import IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sos.services.inherited import Heir, inherited_endpoint, is_listening
from tests.http.test_client_loopback import certificate_for


class InheritedTests(SynchronousTestCase):
    """Endpoint strings of all kinds on inherited sockets."""

    def setUp(self) -> None:
        """Make the reactor and a factory."""
        self.reactor = MemoryReactorClock()
        self.protocols: list[Protocol] = []
        self.factory = Factory.forProtocol(self.protocol)
        self.factory.noisy = False

    def protocol(self) -> Protocol:
        """Make the protocol of a connection, and close that behind the test."""
        made = Protocol()
        self.protocols.append(made)
        self.addCleanup(lambda: cast(Any, made.transport).connectionLost(Failure(ConnectionDone())))
        return made

    def inherited(self, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> tuple[socket.socket, int]:
        """Open a socket as a parent does, and give it with the descriptor that a worker inherits."""
        parents = socket.socket(family)
        self.addCleanup(parents.close)
        parents.bind(address)
        parents.listen()
        return parents, os.dup(parents.fileno())

    def listen(self, string: str, descriptor: int) -> Any:
        """Listen as a worker does."""
        port = self.successResultOf(inherited_endpoint(self.reactor, string, descriptor).listen(self.factory))
        self.addCleanup(self.close, port)
        return port

    def close(self, port: Any) -> None:
        """Stop listening."""
        stopped = port.stopListening()
        self.reactor.advance(0)
        if stopped is not None:
            self.successResultOf(stopped)

    def test_a_string_listens_on_what_was_inherited_whatever_address_it_names(self) -> None:
        """The parent has listened there already; the descriptor is not kept twice."""
        for string in ("tcp:0", "tcp:80:interface=10.0.0.1", "systemd:domain=INET:index=7"):
            parents, descriptor = self.inherited()
            port = self.listen(string, descriptor)
            self.assertEqual((port.getHost().host, port.getHost().port), parents.getsockname())
            self.assertIs(port.factory, self.factory)
            self.assertIn(port, self.reactor.getReaders())
            self.assertFalse(is_listening(descriptor))

    def test_what_a_string_puts_before_the_factory_stays(self) -> None:
        """The header of a proxy, or TLS with a key that is the worker's own to read."""
        parents, descriptor = self.inherited()
        port = self.listen("haproxy:tcp:80", descriptor)
        self.assertEqual(port.getHost().port, parents.getsockname()[1])
        self.assertIsNot(port.factory, self.factory)
        parents, descriptor = self.inherited()
        secure: Any = Heir(self.reactor, descriptor).listenSSL(443, self.factory, certificate_for("localhost").options())
        self.addCleanup(self.close, secure)
        self.assertEqual(secure.getHost().port, parents.getsockname()[1])
        self.assertIsInstance(secure.factory, TLSMemoryBIOFactory)

    def test_sixth_version_sockets_are_taken_as_such(self) -> None:
        """The family is that of the socket."""
        try:
            _, descriptor = self.inherited(socket.AF_INET6, ("::1", 0))
        except OSError as error:
            raise SkipTest(f"there is no IPv6 here: {error}") from None
        self.assertIsInstance(self.listen(r"tcp:0:interface=\:\:1", descriptor).getHost(), IPv6Address)

    def test_a_burst_of_connections_is_shared(self) -> None:
        """Each look at the socket takes one of them, however many were there before."""
        parents, descriptor = self.inherited()
        port = self.listen("tcp:0", descriptor)
        clients = [socket.create_connection(parents.getsockname(), 30) for _ in range(5)]
        for client in clients:
            self.addCleanup(client.close)
        for taken in range(1, 4):
            port.doRead()
            self.assertEqual(len(self.protocols), taken)
        for _ in range(2):
            parents.accept()[0].close()

    def test_its_end_does_not_disturb_who_else_listens(self) -> None:
        """A worker that ends leaves the port to the others."""
        parents, descriptor = self.inherited()
        self.close(self.listen("tcp:0", descriptor))
        with socket.create_connection(parents.getsockname(), 30):
            parents.setblocking(True)
            parents.accept()[0].close()

    def test_a_unix_socket_is_still_there_for_the_others_when_one_has_ended(self) -> None:
        """Its file, its mode, and the socket itself."""
        path = Path(self.mktemp())
        parents, descriptor = self.inherited(socket.AF_UNIX, str(path))
        path.chmod(0o600)
        port = self.listen(f"unix:{path}:mode=600", descriptor)
        self.assertEqual(self.reactor.getReaders(), [port])
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.close(port)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            parents.setblocking(True)
            parents.accept()[0].close()

    def test_only_a_socket_that_listens_is_one(self) -> None:
        """A worker that was started by hand has none."""
        with socket.socket() as idle, Path(os.devnull).open() as file:
            self.assertFalse(is_listening(idle.fileno()))
            self.assertFalse(is_listening(file.fileno()))
        self.assertFalse(is_listening(-1))
