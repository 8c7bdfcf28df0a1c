"""The client over real sockets: the few facts that no transport in memory shows."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from sos.http.bodies import BytesSource, collect
from sos.http.client import Client
from sos.http.gathering import WORTH_A_TURN
from sos.http.origins import Connector, Origin, tcp_connector
from sos.words.errors import ServerUnavailable
from tests.support import ScriptedConsumer

reactor: Any = installed

LONG = 64 * 1024 * 1024
MOST_IN_FLIGHT = 16 * 1024 * 1024
"""What two sockets and two transports may hold at most; the kernel decides how much of it they do."""


class Producer(Protocol):
    """Answers each request with a body of zeros, as fast as the client takes it."""

    factory: Any
    transport: Any

    def connectionMade(self) -> None:
        """Remember the newest."""
        self.factory.newest = self
        self.written = 0
        self.got = b""
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Answer at the end of a head."""
        self.got += data
        if self.got.endswith((b"\r\n\r\n", b"!")):
            self.got = b""
            length = self.factory.length
            self.left = length
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
            self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Write the next piece."""
        piece = bytes(min(self.left, 65_536))
        self.left -= len(piece)
        self.written += len(piece)
        self.transport.write(piece)
        if not self.left:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """Do nothing."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Say so."""
        self.lost.callback(None)


@asynccontextmanager
async def served(
    length: int, certificate: PrivateCertificate | None = None, protocol: type[Protocol] = Producer
) -> AsyncIterator[tuple[Any, int]]:
    """Listen, on whatever port is free."""
    factory: Any = Factory.forProtocol(protocol)
    factory.length = length
    if certificate is None:
        endpoint: Any = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    else:
        endpoint = SSL4ServerEndpoint(reactor, 0, certificate.options(), interface="127.0.0.1")
    port = await endpoint.listen(factory)
    try:
        yield factory, port.getHost().port
    finally:
        await port.stopListening()


@asynccontextmanager
async def closing(connect: Connector) -> AsyncIterator[Client]:
    """Give a client, and close it."""
    client = Client(connect, reactor)
    try:
        yield client
    finally:
        await client.close()


def certificate_for(host: str) -> PrivateCertificate:
    """Make a certificate that a name signed for itself."""
    certificate: PrivateCertificate = PrivateCertificate.loadPEM(pem_for(host))
    return certificate


def pem_for(host: str) -> bytes:
    """Make such a certificate, and its key before it, as a file holds them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + made.public_bytes(pem)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_request_that_is_called_off_at_once_is_no_failure_of_the_server() -> None:
    """Its name, or its address, is being looked up then."""
    async with served(1) as (_, port), closing(tcp_connector(reactor)) as client:
        origin = Origin.of_url(f"http://127.0.0.1:{port}")
        asking = Deferred.fromCoroutine(client.request(b"GET", origin, b"/"))
        asking.cancel()
        with pytest.raises(CancelledError):
            await asking
        assert (await client.request(b"GET", origin, b"/")).status == 200


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_consumer_that_does_not_drain_stops_the_server() -> None:
    """Only what the sockets hold has moved; when the consumer leaves, so does the connection."""
    async with served(LONG) as (server, port), closing(tcp_connector(reactor)) as client:
        answer = await client.request(b"GET", Origin.of_url(f"http://127.0.0.1:{port}"), b"/")
        consumer = ScriptedConsumer(pause_after=100_000)
        consumer.registerProducer(answer.body, True)
        pouring = answer.body.startProducing(consumer)
        before = -1
        while before < server.newest.written:
            before = server.newest.written
            await deferLater(reactor, 0.05)
        assert 100_000 <= before < MOST_IN_FLIGHT
        assert len(consumer.payload) < 300_000
        pouring.addErrback(lambda failure: failure.trap(CancelledError))
        pouring.cancel()
        await server.newest.lost


class Slowing(Producer):
    """Sends most of its answer at once, and the rest as it is told."""

    def resumeProducing(self) -> None:
        """Write what comes at once."""
        self.transport.unregisterProducer()
        self.transport.write(bytes(self.left // 2))


@implementer(IConsumer)
class Counting:
    """Counts bytes, and says when there are enough."""

    def __init__(self) -> None:
        self.count = 0
        self._wanted = 0
        self._waiting: Deferred[None] = Deferred()

    def write(self, data: bytes) -> None:
        """Count a piece."""
        self.count += len(data)
        if self._wanted and self.count >= self._wanted:
            self._wanted = 0
            self._waiting.callback(None)

    def has(self, count: int) -> Deferred[None]:
        """Wait for so many bytes in all."""
        self._wanted, self._waiting = count, Deferred()
        self.write(b"")
        return self._waiting

    def fail(self, failure: Failure) -> None:
        """Say that no more will come."""
        self._waiting.errback(failure)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Do nothing."""

    def unregisterProducer(self) -> None:
        """Do nothing."""


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_what_a_server_sends_more_slowly_is_not_kept_back_for_long() -> None:
    """Bytes of a long answer are gathered before they are read; where they do not come, what there is has to do."""
    length = 8 * WORTH_A_TURN
    async with served(length, protocol=Slowing) as (server, port), closing(tcp_connector(reactor)) as client:
        answer = await client.request(b"GET", Origin.of_url(f"http://127.0.0.1:{port}"), b"/")
        consumer = Counting()
        pouring = answer.body.startProducing(consumer).addErrback(consumer.fail)
        await consumer.has(length // 2)
        for sent in range(3):
            server.newest.transport.write(b"x" * 10)
            await consumer.has(length // 2 + 10 * (sent + 1))
        server.newest.transport.write(bytes(length // 2 - 30))
        await pouring
        assert consumer.count == length


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_requests_share_a_connection_and_a_closed_server_is_asked_anew() -> None:
    """The pool works on sockets, and a connection that the server aborts is no failure of the next request."""
    async with served(5) as (server, port), closing(tcp_connector(reactor)) as client:
        origin = Origin.of_url(f"http://127.0.0.1:{port}")
        used = []
        for _ in range(3):
            answer = await client.request(b"POST", origin, b"/", source=BytesSource([b"hello!"]))
            assert await collect(answer.body, 10) == bytes(5)
            used.append(server.newest)
        assert used[0] is used[2]
        used[0].transport.abortConnection()
        answer = await client.request(b"GET", origin, b"/")
        assert await collect(answer.body, 10) == bytes(5)
        assert server.newest is not used[0]


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_tls_checks_chain_and_name() -> None:
    """A server under its own name and a known certificate is taken; another name, or an unknown certificate, is not."""
    certificate = certificate_for("localhost")
    authority = Certificate.loadPEM(certificate.dumpPEM())
    async with served(200_000, certificate) as (_, port):
        async with closing(tcp_connector(reactor, authority)) as client:
            for _ in range(2):
                answer = await client.request(
                    b"POST", Origin.of_url(f"https://localhost:{port}"), b"/", source=BytesSource([b"!"])
                )
                assert await collect(answer.body, 10**6) == bytes(200_000)
            with pytest.raises(ServerUnavailable):
                await client.request(b"GET", Origin.of_url(f"https://127.0.0.1:{port}"), b"/")
        async with closing(tcp_connector(reactor)) as client:
            with pytest.raises(ServerUnavailable):
                await client.request(b"GET", Origin.of_url(f"https://localhost:{port}"), b"/")


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_port_where_nobody_listens_refuses() -> None:
    """The sentence says so."""
    async with served(0) as (_, port):
        pass
    async with closing(tcp_connector(reactor)) as client:
        with pytest.raises(ServerUnavailable, match="refused"):
            await client.request(b"GET", Origin.of_url(f"http://127.0.0.1:{port}"), b"/")
