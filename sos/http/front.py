"""The HTTP front: a listening port's factory, which serves a tree of twisted.web resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.web.resource import IResource
from zope.interface import implementer

from sos.http.channel import Channel
from sos.http.departures import Departures
from sos.http.dispatch import Dispatcher
from sos.http.head import Refused
from sos.http.limits import Limits
from sos.http.outgoing import Stamp
from sos.http.request import Request

_TURNED_AWAY = Refused(503, "This server has as many connections as it takes; try again later.", ((b"Retry-After", b"5"),))


@implementer(IProtocolNegotiationFactory)
class Front(Factory):
    """Makes the connections of a port, counts them, and ends them in good order."""

    noisy = False

    def __init__(
        self,
        root: IResource,
        clock: IReactorTime,
        wall: Callable[[], float],
        limits: Limits = Limits(),
        on_answer: Callable[[Request], None] | None = None,
    ) -> None:
        """Serve `root`. `wall` gives unix seconds, for dates; `on_answer` hears of each request that has ended."""
        self.clock = clock
        self.limits = limits
        self.stamp = Stamp(wall)
        self.departures = Departures(clock)
        self.is_draining = False
        self.dispatch = Dispatcher(root, limits.collected_body).dispatch
        self._on_answer = on_answer
        self._channels: dict[Channel, None] = {}  # in their order, so that a run can be had again
        self._of_address: Counter[str] = Counter()
        self._waiting: list[Deferred[None]] = []

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._channels)

    def buildProtocol(self, addr: IAddress | None) -> Channel | None:
        """Make the protocol of a new connection; beyond the limits one that only says so, and far beyond none."""
        limits = self.limits
        if self.is_draining or addr is None or len(self._channels) >= 2 * limits.connections:
            return None
        host = _host_of(addr)
        is_full = len(self._channels) >= limits.connections or self._of_address[host] >= limits.connections_an_address
        channel = Channel(self, addr, _TURNED_AWAY if is_full else None)
        channel.factory = self
        self._channels[channel] = None
        self._of_address[host] += 1
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 over TLS. A factory that offers nothing fails the handshake of every client that asks."""
        return [b"http/1.1"]

    def drain(self) -> Deferred[None]:
        """Keep no connection alive: close the idle ones now, the others behind the answer they are at.

        The Deferred fires when all are closed. Whoever cannot wait that long calls `drop`.
        """
        self.is_draining = True
        for channel in list(self._channels):
            channel.drain()
        if not self._channels:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def drop(self) -> None:
        """Abort all connections that are left."""
        self.is_draining = True
        for channel in list(self._channels):
            channel.abort()

    def answered(self, request: Request) -> None:
        """Note that a request has ended, well or not."""
        if self._on_answer is not None:
            self._on_answer(request)

    def closed(self, channel: Channel) -> None:
        """Note that a connection is gone."""
        self._channels.pop(channel, None)
        host = _host_of(channel.peer)
        self._of_address[host] -= 1
        if not self._of_address[host]:
            del self._of_address[host]
        if not self._channels:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)


def _host_of(address: IAddress) -> str:
    """Give what connections of one client have in common; clients on a unix socket are one."""
    return str(getattr(address, "host", ""))
