"""A simulated network: connections with latency and bandwidth between hosts that lose each other.

Everything that happens is an event on the one fake clock, and all chance comes from one generator: a seed replays exactly.
What TCP does is kept: bytes arrive in order, once, and not at all behind a break; a full buffer pauses its producer; a
process that dies resets its connections; a host that loses its power says nothing, and its peers have to find out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random

from attrs import define
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError  # noqa: A004
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.paired_transport import PairedTransport

WINDOW = 256 * 1024
"""Bytes on their way, and in the receiver's buffers, in one direction: what Linux keeps for a connection at first."""

PIECE = 64 * 1024
"""Bytes that a protocol gets at a time, as in Twisted."""

ADDRESS = IPv4Address("TCP", "127.0.0.1", 50_000)


@define
class Path:
    """The way from one host to another, as it is now."""

    latency: float = 0.0005
    """Seconds."""
    jitter: float = 0.0005
    bandwidth: float = 100e6
    """Bytes a second."""
    loss: float = 0.0
    """The share of packets that are lost; each costs the time until it is sent again."""
    is_cut: bool = False
    """Whether nothing comes through for now. What was sent meanwhile comes when it is whole again, as TCP has it."""


@define
class Host:
    """A machine: it listens while its process runs."""

    name: str
    factory: IProtocolFactory | None = None
    is_powered: bool = True


class Network:
    """Hosts, the paths between them, and their connections."""

    def __init__(self, clock: Clock, chance: Random) -> None:
        """Begin with no hosts."""
        self.clock = clock
        self.chance = chance
        self.hosts: dict[str, Host] = {}
        self.wires: list[Wire] = []
        self._paths: dict[tuple[str, str], Path] = {}

    def host(self, name: str) -> Host:
        """Give the host of a name."""
        return self.hosts.setdefault(name, Host(name))

    def path(self, source: str, target: str) -> Path:
        """Give the way from one host to another."""
        return self._paths.setdefault((source, target), Path())

    def paths(self) -> Iterable[Path]:
        """Give all ways that were used so far."""
        return self._paths.values()

    def endpoint(self, source: str, target: str) -> IStreamClientEndpoint:
        """Reach one host from another."""
        return _Endpoint(self, source, target)

    def heal(self) -> None:
        """Make all paths whole and quick; what waited comes through."""
        for path in self.paths():
            path.latency, path.jitter, path.bandwidth, path.loss, path.is_cut = 0.0005, 0.0005, 100e6, 0.0, False
        self.look_again()

    def look_again(self) -> None:
        """Let wires go on whose path has changed."""
        for wire in list(self.wires):
            wire.look_again()

    def kill(self, name: str, *, says_so: bool = True) -> None:
        """End a process. Its kernel resets its connections, unless the power went with it."""
        host = self.host(name)
        host.factory, host.is_powered = None, says_so
        for wire in list(self.wires):
            wire.host_died(name, says_so)

    def cut_at(self, name: str, count: int) -> None:
        """Break the next connection of a host that moves so many more bytes, just there."""
        for wire in self.wires:
            if name in wire.names:
                wire.bytes_left = count
                return

    def delay(self, path: Path, size: int) -> float:
        """Say how long some bytes take over a path."""
        seconds = path.latency + path.jitter * self.chance.random() + size / path.bandwidth
        while path.loss and self.chance.random() < path.loss:
            seconds += 0.2
        return seconds


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """One host's way to the port of another."""

    def __init__(self, network: Network, source: str, target: str) -> None:
        self._network = network
        self._source = source
        self._target = target

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect after a round trip, or be refused; where nothing comes through, there is no answer at all."""
        if not self._network.host(self._source).is_powered:
            return fail(ConnectionRefusedError())
        knock = _Knock(self._network, self._source, self._target, protocolFactory)
        return knock.connecting


class _Knock:
    """One try to connect."""

    def __init__(self, network: Network, source: str, target: str, factory: IProtocolFactory) -> None:
        self._network = network
        self._names = source, target
        self._there, self._back = network.path(source, target), network.path(target, source)
        self._factory = factory
        self.connecting: Deferred[IProtocol] = Deferred(lambda _: self._waiting.cancel())
        seconds = network.delay(self._there, 60) + network.delay(self._back, 60)
        self._waiting = network.clock.callLater(seconds, self._arrive)

    def _arrive(self) -> None:
        target = self._network.host(self._names[1])
        if self._there.is_cut or self._back.is_cut or not target.is_powered:
            self._waiting = self._network.clock.callLater(1.0, self._arrive)  # tried again, until whoever waits gives up
            return
        server = None if target.factory is None else target.factory.buildProtocol(ADDRESS)
        client = None if server is None else self._factory.buildProtocol(ADDRESS)
        if server is None or client is None:
            self.connecting.errback(ConnectionRefusedError())
            return
        Wire(self._network, (self._names[0], client), (self._names[1], server))
        if not self.connecting.called:
            self.connecting.callback(client)


class Wire:
    """A connection: two ends, and what is between them."""

    def __init__(self, network: Network, left: tuple[str, IProtocol], right: tuple[str, IProtocol]) -> None:
        self.network = network
        self.names = (left[0], right[0])
        self.bytes_left: int | None = None
        self._ends = End(self, *left), End(self, *right)
        self._ends[0].peer, self._ends[1].peer = self._ends[1], self._ends[0]
        network.wires.append(self)
        right[1].makeConnection(self._ends[1])
        left[1].makeConnection(self._ends[0])

    def look_again(self) -> None:
        """Let both ends send what they may."""
        for end in self._ends:
            end.send()

    def host_died(self, name: str, says_so: bool) -> None:
        """Let the ends at a host die. With its power gone, the other end hears nothing."""
        for end in self._ends:
            if end.name == name:
                end.die()
                if says_so:
                    end.peer.be_reset()

    def spend(self, size: int) -> int:
        """Say how many of some bytes still pass before the wire breaks."""
        if self.bytes_left is None:
            return size
        passing = min(size, self.bytes_left)
        self.bytes_left -= passing
        return passing

    def snap(self) -> None:
        """Break, for both."""
        for end in self._ends:
            end.be_reset()

    def forget_if_over(self) -> None:
        """Leave the network when both ends are gone."""
        if all(end.is_gone for end in self._ends) and self in self.network.wires:
            self.network.wires.remove(self)


class End(PairedTransport):
    """One end of a connection: the transport of its protocol."""

    def __init__(self, wire: Wire, name: str, protocol: IProtocol) -> None:
        super().__init__(protocol)
        self.peer: End
        self.name = name
        self._wire = wire
        self._network = wire.network
        self._is_dead = False
        self._out: deque[bytes] = deque()
        self._out_size = 0
        self._flying = 0
        """Bytes that have left, and have not been taken by the protocol at the other end."""
        self._free_at = 0.0
        self._in: deque[bytes | Exception] = deque()
        self._has_sent_end = False
        self._is_delivering = False

    # What protocols call

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer."""
        if not self.connected or self.disconnecting or not data:
            return
        self._out.append(bytes(data))
        self._out_size += len(data)
        self.send()
        self._has_queued(self._out_size)

    def loseConnection(self) -> None:
        """Close once everything that was written has left."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._network.clock.callLater(0, self.send)

    def abortConnection(self) -> None:
        """Close at once, and forget what waits."""
        if self.connected:
            self.disconnecting = True
            self._out.clear()
            self._fly(0, lambda: self.peer.be_reset())
            self._end(ConnectionAborted())

    def _can_ask(self) -> None:
        self._network.clock.callLater(0, self._ask_for_more)

    def _can_close(self) -> None:
        if self.disconnecting:
            self._network.clock.callLater(0, self.send)

    def _can_deliver(self) -> None:
        self._network.clock.callLater(0, self._deliver)

    # What the network calls

    def send(self) -> None:
        """Send what the window and the path allow; behind the last byte, the end."""
        while self._out and self.connected and not self._path.is_cut and self._flying < WINDOW:
            data = self._out.popleft()
            piece, rest = data[:PIECE], data[PIECE:]
            if rest:
                self._out.appendleft(rest)
            self._out_size -= len(piece)
            self._flying += len(piece)
            self._send_piece(piece)
        if self._out_size == 0 and self.connected:
            self._ask_for_more()
            if self.disconnecting and self.producer is None and not self._has_sent_end and not self._path.is_cut:
                self._has_sent_end = True
                self._fly(0, lambda: self.peer.take(ConnectionDone()))
                self._end(ConnectionDone())

    def _send_piece(self, piece: bytes) -> None:
        passing = self._wire.spend(len(piece))
        is_broken = passing < len(piece)

        def arrive() -> None:
            if piece[:passing]:
                self.peer.take(piece[:passing])
            if is_broken:
                self._wire.snap()

        self._fly(len(piece), arrive)

    def _fly(self, size: int, arrive: Callable[[], None]) -> None:
        """Have something happen at the other end, behind all that was sent before, when the path lets it through."""
        clock = self._network.clock
        self._free_at = max(self._free_at, clock.seconds() + self._network.delay(self._path, size))

        def landed() -> None:
            if self._path.is_cut:
                clock.callLater(0.2, landed)  # sent again, until it comes through
            elif not self.peer._is_dead:
                arrive()

        clock.callLater(self._free_at - clock.seconds(), landed)

    def take(self, thing: bytes | Exception) -> None:
        """Get what has arrived: bytes, or the end."""
        self._in.append(thing)
        self._deliver()

    def be_reset(self) -> None:
        """Learn that the connection is broken."""
        if self.connected and not self._is_dead:
            self._in.clear()
            self._end(ConnectionLost())

    def die(self) -> None:
        """Stop being: the process of this end has ended, and no code of it runs any more."""
        self._is_dead = True
        self.connected = False
        self.is_gone = True
        self._wire.forget_if_over()

    @property
    def _path(self) -> Path:
        return self._network.path(self.name, self.peer.name)

    def _deliver(self) -> None:
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            while self._in and self._is_reading and not self._is_dead and not self.is_gone:
                thing = self._in.popleft()
                if isinstance(thing, Exception):
                    self._end(thing)
                else:
                    self.peer._flying -= len(thing)
                    self.protocol.dataReceived(thing)
        finally:
            self._is_delivering = False
        if not self.peer.is_gone:
            self._network.clock.callLater(0, self.peer.send)

    def _ask_for_more(self) -> None:
        if self.producer is None or not self.connected:
            return
        if not self._is_streaming:
            self.producer.resumeProducing()
        elif self._is_producer_paused:
            self._is_producer_paused = False
            self.producer.resumeProducing()

    def _end(self, reason: Exception) -> None:
        if self.is_gone:
            return
        self.connected = False
        self.is_gone = True
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self._wire.forget_if_over()
        self.protocol.connectionLost(Failure(reason))
