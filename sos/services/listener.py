"""Listening: a front on an endpoint, from the start of the service to its clean end."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger

from sos.http.front import Front
from sos.words.errors import SOSError

PATIENCE = 5.0
"""Seconds that requests under way get to end when the service stops; systemd allows 90."""


class CannotListen(SOSError):
    """A port that cannot be listened on: the sentence says which, and what to do."""


class Listening(Service):
    """Opens an endpoint when it starts, and closes it when it ends."""

    _log = Logger()

    def __init__(self, what: str, address: str, endpoint: IStreamServerEndpoint, factory: IProtocolFactory) -> None:
        """Open an endpoint for a factory; people are told what it is for, and the address that was asked for."""
        self._what = what
        self._address = address
        self._endpoint = endpoint
        self._factory = factory
        self._port: IListeningPort | None = None
        self._failure: SOSError | None = None

    @property
    def port(self) -> IListeningPort | None:
        """What is listened on, None before the start and after the stop."""
        return self._port

    def privilegedStartService(self) -> None:
        """Listen while root's rights are still there. Raises `CannotListen`."""
        super().privilegedStartService()
        listening: Deferred[IListeningPort] = self._endpoint.listen(self._factory)
        listening.addCallbacks(self.opened, self._cannot_listen)
        if self._failure is not None:
            raise self._failure

    def startService(self) -> None:
        """Listen, unless that was done before. Raises `CannotListen`."""
        super().startService()
        if self._port is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """Take no more connections."""
        super().stopService()
        return Deferred.fromCoroutine(self.close())

    async def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            stopped = self._port.stopListening()
            self._port = None
            if isinstance(stopped, Deferred):
                await stopped

    def opened(self, port: IListeningPort) -> None:
        """Take the open port, and say where it is."""
        self._port = port
        self._log.info("Listening for {what} on {address}", what=self._what, address=_readable(port.getHost()))

    def _cannot_listen(self, failure: object) -> None:
        error = getattr(failure, "value", failure)
        reason = error.socketError if isinstance(error, CannotListenError) else error
        self._failure = CannotListen(
            f"Cannot listen for {self._what} on {self._address}: {getattr(reason, 'strerror', None) or reason}. "
            "Stop what uses the port, or choose another."
        )


class ListeningService(Listening):
    """Serves a front on an endpoint. What is answered when it stops is answered to its end, within `PATIENCE`."""

    def __init__(
        self,
        what: str,
        address: str,
        endpoint: IStreamServerEndpoint,
        front: Front,
        clock: IReactorTime,
        is_shared: bool = False,
    ) -> None:
        """Serve `front` on an endpoint. Where others share the port, whoever opened it has said where it is."""
        super().__init__(what, address, endpoint, front)
        self._front = front
        self._clock = clock
        self._is_shared = is_shared

    def opened(self, port: IListeningPort) -> None:
        """Take the open port, and say where it is unless that was said."""
        if self._is_shared:
            self._port = port
        else:
            super().opened(port)

    async def close(self) -> None:
        """Close the port, and wait for the requests under way."""
        await super().close()
        overdue = self._clock.callLater(PATIENCE, self._front.drop)
        try:
            await self._front.drain()
        finally:
            if overdue.active():
                overdue.cancel()


def _readable(address: object) -> str:
    """Write an address as people do."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    return f"[{address.host}]:{address.port}" if isinstance(address, IPv6Address) else str(address)
