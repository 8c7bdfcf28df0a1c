"""Lines between an api and its members: they can be cut at a byte, go silent, lose the answers, or not be there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError  # noqa: A004
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support_wire import Network

ADDRESS = IPv4Address("TCP", "127.0.0.1", 50_000)
HEAD_END = b"\r\n\r\n"
WRITE = b"POST /blob/"
"""What the head of a write to a member has in it."""
BLOB = b"octet-stream"
"""What the head of an answer with a blob has in it."""


class Gate:
    """What one direction of a line lets through: everything, everything up to a byte, or nothing for now."""

    def __init__(self) -> None:
        self.is_held = False
        self.passed = 0
        self.passing_heads = 0
        """Messages of that kind that pass before the one whose bytes `break_after` counts."""
        self._waiting: list[tuple[End, bytes | Failure]] = []
        self._left: int | None = None
        self._is_in_head = False
        self._having = b""
        self._then: Callable[[End], None]

    def break_after(self, count: int, then: Callable[[End], None], having: bytes = b"") -> None:
        """Let so many bytes of the next body pass whose head has something in it, then do something to the connection."""
        self._left = count
        self._having = having
        self._is_in_head = True
        self._then = then

    def hold(self) -> None:
        """Let nothing pass, as a network does that drops packets."""
        self.is_held = True

    def release(self) -> None:
        """Let all pass again, first what was sent meanwhile: TCP sends it again."""
        self.is_held = False
        waiting, self._waiting = self._waiting, []
        for end, thing in waiting:
            if isinstance(thing, Failure):
                end.lose(thing)
            else:
                self._pass(end, thing)

    def forget(self) -> None:
        """Let all pass again, and lose what was sent meanwhile."""
        self.is_held = False
        waiting, self._waiting = self._waiting, []
        for end, thing in waiting:
            if isinstance(thing, Failure):
                end.lose(thing)

    def let(self, count: int) -> None:
        """Let so many of the bytes pass that wait."""
        while count and self._waiting and isinstance(self._waiting[0][1], bytes):
            end, data = self._waiting.pop(0)
            assert isinstance(data, bytes)
            piece, rest = data[:count], data[count:]
            if rest:
                self._waiting.insert(0, (end, rest))
            count -= len(piece)
            self._pass(end, piece)

    def take(self, end: End, data: bytes) -> None:
        """Pass on what may pass."""
        if self.is_held:
            self._waiting.append((end, data))
        elif self._left is None:
            self._pass(end, data)
        else:
            self._take_counted(end, data, self._left)

    def end(self, end: End, reason: Failure) -> None:
        """Pass on that the other side has closed: a line that brings nothing does not bring this either."""
        if self.is_held:
            self._waiting.append((end, reason))
        else:
            end.lose(reason)

    def _take_counted(self, end: End, data: bytes, left: int) -> None:
        at = 0
        if self._is_in_head:
            at = data.find(HEAD_END) + len(HEAD_END)
            if at < len(HEAD_END):
                self._pass(end, data)
                return
            if self._having not in data[:at] or self.passing_heads:
                self.passing_heads -= self._having in data[:at]
                self._pass(end, data)
                return
            self._is_in_head = False
        allowed = data[: at + left]
        self._left = left - (len(allowed) - at)
        if self._left:
            self._pass(end, allowed)
            return
        self._left = None
        self._pass(end, allowed)
        self._then(end)
        if data[len(allowed) :]:
            self.take(end, data[len(allowed) :])

    def _pass(self, end: End, data: bytes) -> None:
        self.passed += len(data)
        end.deliver(data)


@implementer(IProtocol)
class End:
    """Stands before a protocol and lets through what a gate lets through."""

    factory = None

    def __init__(self, protocol: IProtocol, gate: Gate) -> None:
        self.transport: Any = None
        self._protocol = protocol
        self._gate = gate
        self.is_lost = False
        self._is_broken = False

    def makeConnection(self, transport: Any) -> None:
        """Connect the protocol."""
        self.transport = transport
        self._protocol.makeConnection(transport)

    def connectionMade(self) -> None:
        """Do nothing: the protocol was told."""

    def dataReceived(self, data: bytes) -> None:
        """Ask the gate."""
        self._gate.take(self, data)

    def connectionLost(self, reason: Failure) -> None:
        """Ask the gate, unless it is this side that has closed."""
        if self.transport.disconnecting:
            self.lose(reason)
        else:
            self._gate.end(self, reason)

    def lose(self, reason: Failure) -> None:
        """Tell the protocol that its connection is gone, once."""
        if not self.is_lost:
            self.is_lost = True
            self._protocol.connectionLost(reason)

    def deliver(self, data: bytes) -> None:
        """Give bytes to the protocol, unless its connection is gone."""
        if data and not self.is_lost and not self._is_broken:
            self._protocol.dataReceived(data)

    def abort(self) -> None:
        """Reset the connection: nothing more arrives, whatever is on its way."""
        if not self.is_lost:
            self._is_broken = True
            self.transport.abortConnection()


@implementer(IStreamClientEndpoint)
class Line:
    """The way to one member."""

    def __init__(self, network: Network, server: IProtocolFactory) -> None:
        """Lead to a server."""
        self.server = server
        self.to_member = Gate()
        self.to_api = Gate()
        self.connects = 0
        self._network = network
        self._how = "up"
        self._ends: list[End] = []

    @property
    def open_connections(self) -> int:
        """The number of connections that the api has not let go of."""
        return sum(end.transport is not None and end.transport.connected for end in self._ends[1::2])

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, or fail as the line stands."""
        self.connects += 1
        if self._how == "dropped":
            return Deferred()
        address: IAddress = ADDRESS
        client = protocolFactory.buildProtocol(address)
        server = None if self._how == "refused" else self.server.buildProtocol(address)
        if server is None or client is None:
            return fail(ConnectionRefusedError())
        there, here = End(server, self.to_member), End(client, self.to_api)
        pairs = zip(self._ends[::2], self._ends[1::2], strict=True)
        self._ends = [end for pair in pairs if not all(end.is_lost for end in pair) for end in pair] + [there, here]
        self._network.join(here, there)
        return succeed(client)

    # Faults

    def refuse(self) -> None:
        """Be killed: open connections break, and new ones are refused."""
        self._how = "refused"
        self.to_member.is_held = self.to_api.is_held = False
        self._break()

    def drop(self) -> None:
        """Be cut off: nothing comes through, and no new connection is made."""
        self._how = "dropped"
        self.go_silent()

    def reset(self) -> None:
        """Break open connections, and each new one with its first byte."""
        self._how = "up"
        self.to_member.break_after(0, self._reset_again)
        self._break()

    def go_silent(self) -> None:
        """Take connections, and let nothing through: the process is stopped, or the cable is out."""
        self.to_member.hold()
        self.to_api.hold()

    def kill_after(self, count: int) -> None:
        """Break the connection when so many bytes of the next upload have arrived, and refuse from then on."""
        self.to_member.break_after(count, lambda end: self.refuse(), WRITE)

    def go_silent_after(self, count: int) -> None:
        """Fall silent when so many bytes of the next upload have arrived."""
        self.to_member.break_after(count, lambda end: self.go_silent(), WRITE)

    def heal(self) -> None:
        """Be whole again. What was under way over it is lost, as after a restart."""
        self._how = "up"
        self.to_member = self._renewed(self.to_member)
        self.to_api = self._renewed(self.to_api)
        self._break()

    def come_back(self) -> None:
        """Be whole again, and bring what was on its way."""
        self._how = "up"
        self.to_member.release()
        self.to_api.release()

    def _reset_again(self, end: End) -> None:
        end.abort()
        self.to_member.break_after(0, self._reset_again)

    def _break(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            end.abort()

    def _renewed(self, gate: Gate) -> Gate:
        gate.forget()
        new = Gate()
        new.passed = gate.passed
        return new
