"""Listening on sockets that a parent has opened."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from sos.services.inherited import Heir, inherited_endpoint, is_listening
from tests.http.test_client_loopback import certificate_for


class Adopting(MemoryReactorClock):
    """A reactor that writes down which sockets it adopts."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[Any, int, IProtocolFactory]] = []

    def adoptStreamPort(self, fileno: int, addressFamily: int, factory: IProtocolFactory) -> IListeningPort:
        """Write down the address of the socket, and the rest."""
        with socket.socket(fileno=os.dup(fileno)) as adopted:
            self.taken.append((adopted.getsockname(), addressFamily, factory))
        port: IListeningPort = super().adoptStreamPort(fileno, socket.AF_INET, factory)
        return port


class InheritedTests(SynchronousTestCase):
    """Endpoint strings of all kinds on inherited sockets."""

    def setUp(self) -> None:
        """Make the reactor and a factory."""
        self.reactor = Adopting()
        self.factory = Factory()

    def inherited(self, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> tuple[socket.socket, int]:
        """Open a socket as a parent does, and give it with the descriptor that a worker inherits."""
        parents = socket.socket(family)
        self.addCleanup(parents.close)
        parents.bind(address)
        parents.listen()
        return parents, os.dup(parents.fileno())

    def test_a_string_listens_on_what_was_inherited_whatever_address_it_names(self) -> None:
        """The parent has listened there already; the descriptor is not kept twice."""
        for string in ("tcp:0", "tcp:80:interface=10.0.0.1", "haproxy:tcp:80", "systemd:domain=INET:index=7"):
            parents, descriptor = self.inherited()
            self.successResultOf(inherited_endpoint(self.reactor, string, descriptor).listen(self.factory))
            self.assertEqual(self.reactor.taken[-1][:2], (parents.getsockname(), socket.AF_INET))
            self.assertFalse(is_listening(descriptor))
        self.assertIs(self.reactor.taken[0][2], self.factory)
        self.assertIs(self.reactor.taken[3][2], self.factory)
        self.assertIsNot(self.reactor.taken[2][2], self.factory)  # there is the proxy's header before the request

    def test_tls_stays_between_the_socket_and_the_factory(self) -> None:
        """The string's key is the worker's own to read."""
        parents, descriptor = self.inherited()
        Heir(self.reactor, descriptor).listenSSL(443, self.factory, certificate_for("localhost").options())
        [(address, _, factory)] = self.reactor.taken
        self.assertEqual(address, parents.getsockname())
        self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_sixth_version_sockets_are_adopted_as_such(self) -> None:
        """The family is that of the socket."""
        if not socket.has_ipv6:
            self.skipTest("there is no IPv6 here")
        _, descriptor = self.inherited(socket.AF_INET6, ("::1", 0))
        self.successResultOf(inherited_endpoint(self.reactor, r"tcp:0:interface=\:\:1", descriptor).listen(self.factory))
        self.assertEqual(self.reactor.taken[0][1], socket.AF_INET6)

    def test_a_unix_socket_is_still_there_for_the_others_when_one_has_ended(self) -> None:
        """Its file, its mode, and the socket itself."""
        path = Path(self.mktemp())
        parents, descriptor = self.inherited(socket.AF_UNIX, str(path))
        path.chmod(0o600)
        port = self.successResultOf(
            inherited_endpoint(self.reactor, f"unix:{path}:mode=600", descriptor).listen(self.factory)
        )
        self.assertEqual(self.reactor.getReaders(), [port])
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        stopped = port.stopListening()
        self.reactor.advance(0)
        assert stopped is not None
        self.successResultOf(stopped)
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
