"""A network in memory: real protocols on both sides, no sockets, no reactor, and everything within one call.

Bytes that a protocol writes wait in a queue. The outermost call that wrote moves them, piece by piece, until everything is
quiet; whatever is written meanwhile is moved by that same loop. So protocols do not call each other ever deeper. The one
thing that no reactor does is this: the outermost write of all may be answered before it returns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError  # noqa: A004
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from sos.http.origins import Origin
from tests.paired_transport import PairedTransport

PIECE = 64 * 1024
"""Bytes that a protocol gets at a time, as in Twisted."""


class Network:
    """Moves bytes between the transports that were joined in it."""

    def __init__(self, piece: int = PIECE) -> None:
        """Deliver at most `piece` bytes at a time; 1 shows what depends on the borders of segments."""
        self.piece = piece
        self.transports: list[MemoryTransport] = []
        self._is_pumping = False

    def join(self, client: IProtocol, server: IProtocol) -> None:
        """Connect two protocols."""
        left, right = MemoryTransport(self, client), MemoryTransport(self, server)
        left.peer, right.peer = right, left
        self.transports += [left, right]
        server.makeConnection(right)
        client.makeConnection(left)

    def pump(self) -> None:
        """Move bytes until everything is quiet, unless somebody further out is doing it."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while any(transport.move() for transport in list(self.transports)):
                pass
        finally:
            self._is_pumping = False
        self.transports = [transport for transport in self.transports if not transport.is_gone]


class MemoryTransport(PairedTransport):
    """One end of a connection in memory."""

    def __init__(self, network: Network, protocol: IProtocol) -> None:
        """Make an end whose `peer` is set right afterwards."""
        super().__init__(protocol)
        self.peer: MemoryTransport
        self._network = network
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._reason: Exception | None = None

    # What protocols call

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer."""
        if not self.connected or self.disconnecting or not data:
            return
        self._waiting.append(bytes(data))
        self._size += len(data)
        self._has_queued(self._size)
        self._network.pump()

    def loseConnection(self) -> None:
        """Close once everything that was written has arrived."""
        self.disconnecting = True
        self._network.pump()

    def abortConnection(self) -> None:
        """Close at once, and forget what was on its way."""
        if self.connected:
            self.disconnecting = True
            self._waiting.clear()
            self._lose(ConnectionAborted())
            self.peer._waiting.clear()
            self.peer._lose(ConnectionLost())
            self._network.pump()

    def _can_ask(self) -> None:
        self._network.pump()

    def _can_close(self) -> None:
        self._network.pump()

    def _can_deliver(self) -> None:
        self._network.pump()

    # What the network calls

    def move(self) -> bool:
        """Do the next thing that is to be done here; say whether there was one."""
        if self.is_gone:
            return False
        if self._reason is not None:
            return self._end(self._reason)
        if self._waiting and self.peer._is_reading:
            self._deliver()
            return True
        if not self._waiting and self.producer is not None:
            return self._ask_for_more()
        if not self._waiting and self.disconnecting and self.producer is None:
            self._lose(ConnectionDone())
            self.peer._lose(ConnectionDone())
            return True
        return False

    def _deliver(self) -> None:
        data = self._waiting.popleft()
        piece, rest = data[: self._network.piece], data[self._network.piece :]
        if rest:
            self._waiting.appendleft(rest)
        self._size -= len(piece)
        self.peer.protocol.dataReceived(piece)

    def _ask_for_more(self) -> bool:
        if not self._is_streaming:
            self.producer.resumeProducing()
            return True
        if self._is_producer_paused:
            self._is_producer_paused = False
            self.producer.resumeProducing()
            return True
        return False

    def _lose(self, reason: Exception) -> None:
        if self.connected:
            self.connected = False
            self._reason = reason

    def _end(self, reason: Exception) -> bool:
        """Hand over what had arrived before the end, then say the end; as a socket does."""
        if self.peer._waiting and isinstance(reason, ConnectionDone) and not self.disconnecting:
            if self._is_reading:
                self.peer._deliver()
            return self._is_reading
        self.is_gone = True
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))
        return True


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Reaches a server in memory, or refuses the connection where there is none."""

    def __init__(self, network: Network, server: IProtocolFactory | None) -> None:
        """Reach the server that a factory makes protocols for."""
        self._network = network
        self._server = server

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect at once."""
        address: IAddress = IPv4Address("TCP", "127.0.0.1", 50_000)
        server = None if self._server is None else self._server.buildProtocol(address)
        client = protocolFactory.buildProtocol(address)
        if server is None or client is None:
            return fail(ConnectionRefusedError())
        self._network.join(client, server)
        return succeed(client)


class ScriptedConnection:
    """A connection to a server that does what the test says, and nothing else."""

    def __init__(self, protocol: IProtocol) -> None:
        """Connect the client's protocol."""
        self.transport = StringTransport()
        self.protocol = protocol
        self._is_lost = False
        protocol.makeConnection(self.transport)

    @property
    def sent(self) -> bytes:
        """What the client sent since the last `forget`."""
        sent: bytes = self.transport.value()
        return sent

    @property
    def is_dropped(self) -> bool:
        """Whether the client let the connection go."""
        return self.transport.disconnecting

    @property
    def producer(self) -> Any:
        """What the client registered with its transport."""
        return self.transport.producer

    @property
    def is_paused(self) -> bool:
        """Whether the client reads nothing for now."""
        return self.transport.producerState == "paused"

    def forget(self) -> None:
        """Begin `sent` anew."""
        self.transport.clear()

    def feed(self, data: bytes, piece: int | None = None) -> None:
        """Send bytes to the client, so many at a time."""
        step = piece or len(data) or 1
        for start in range(0, len(data), step):
            if not self.is_dropped:
                self.protocol.dataReceived(data[start : start + step])

    def close(self, reason: Exception | None = None) -> None:
        """End the connection, once."""
        if not self._is_lost:
            self._is_lost = True
            if self.transport.producer is not None:
                self.transport.producer.stopProducing()
            self.protocol.connectionLost(Failure(reason or ConnectionDone()))


@implementer(IStreamClientEndpoint)
class ScriptedServer:
    """A server for the clients of one test; `connections` are those that were made to it, oldest first."""

    def __init__(self) -> None:
        """Accept every connection at once."""
        self.connections: list[ScriptedConnection] = []
        self.refusal: Exception | None = None
        self.pending: Deferred[IProtocol] | None = None

    def __call__(self, origin: Origin) -> IStreamClientEndpoint:
        """Be the connector for every origin."""
        return self

    @property
    def last(self) -> ScriptedConnection:
        """The newest connection."""
        return self.connections[-1]

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, refuse, or let the client wait."""
        if self.pending is not None:
            return self.pending
        if self.refusal is not None:
            return fail(self.refusal)
        protocol = protocolFactory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50_000))
        assert protocol is not None
        self.connections.append(ScriptedConnection(protocol))
        return succeed(protocol)


def memory_connector(
    servers: dict[str, IProtocolFactory], network: Network | None = None
) -> Callable[[Origin], IStreamClientEndpoint]:
    """Reach servers in memory, by the URL of each; every other refuses the connection.

    ``Client(memory_connector({"http://a:1": site}), Clock())`` is a client whose requests are answered within the call.
    The dictionary may be changed afterwards: a server taken out is down, but its open connections live on.
    """
    network = network or Network()

    def connect(origin: Origin) -> IStreamClientEndpoint:
        return MemoryEndpoint(network, servers.get(str(origin)))

    return connect
