"""Making new connections, within the deadline, with a sentence for each way in which that fails."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import error as errors
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from sos.http.connection import Connection, Home
from sos.http.deadlines import Deadlines
from sos.http.departures import Departures
from sos.http.origins import Connector, Origin
from sos.words.errors import ServerUnavailable

_CLOSED = "this client was closed"
_WHY: dict[type[Exception], str] = {
    errors.ConnectionRefusedError: "it refused the connection",
    errors.DNSLookupError: "its name cannot be resolved",
    errors.NoRouteError: "there is no way to it",
    errors.TimeoutError: "there is no way to it",
}


class Dialer:
    """Makes connections whose home is a pool."""

    def __init__(self, connect: Connector, clock: IReactorTime, deadlines: Deadlines, home: Home) -> None:
        """Reach origins through `connect`."""
        self._endpoint_of = connect
        self._clock = clock
        self._deadlines = deadlines
        self._home = home
        self._departures = Departures(clock)
        self._connecting: dict[Deferred[Connection], None] = {}  # in their order, so that a run can be had again
        self._is_closed = False

    async def dial(self, origin: Origin) -> Connection:
        """Connect to an origin. Raises `ServerUnavailable`."""
        if self._is_closed:
            raise ServerUnavailable(str(origin), _CLOSED)
        connecting = self._begun(origin)
        self._connecting[connecting] = None
        deadline = self._clock.callLater(self._deadlines.connect, connecting.cancel)
        try:
            return await connecting
        except CancelledError:
            if deadline.active() and not self._is_closed:
                raise CancelledError from None  # by whoever asked
            why = _CLOSED if self._is_closed else f"there was no connection within {self._deadlines.connect:g} s"
            raise ServerUnavailable(str(origin), why) from None
        except Exception as error:  # whatever a socket, a resolver or TLS comes up with: there is no connection
            raise ServerUnavailable(str(origin), _why(error)) from None
        finally:
            self._connecting.pop(connecting, None)
            if deadline.active():
                deadline.cancel()

    def _begun(self, origin: Origin) -> Deferred[Connection]:
        """Begin to connect. Called off, it fails with `CancelledError`, whatever the endpoint makes of that.

        An endpoint that is called off while it looks up a name says that there is no such name: a client that leaves at the
        wrong moment would make its member look as if it had failed.
        """

        def call_off(wanted: Deferred[Connection]) -> None:
            wanted.errback(CancelledError())
            attempt.cancel()

        def end(result: Any) -> None:
            if not wanted.called:
                wanted.callback(result)
            elif isinstance(result, Connection):
                result.drop()

        wanted: Deferred[Connection] = Deferred(call_off)
        attempt = self._endpoint_of(origin).connect(_Connections(lambda: self._make(origin)))
        attempt.addBoth(end)
        return wanted

    def _make(self, origin: Origin) -> Connection:
        return Connection(origin, self._clock, self._deadlines, self._home, self._departures)

    def close(self) -> None:
        """Make no more connections, and give up those under way."""
        self._is_closed = True
        for connecting in list(self._connecting):
            connecting.cancel()


class _Connections(Factory):
    """Makes the protocols."""

    noisy = False

    def __init__(self, make: Any) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        connection: Connection = self._make()
        return connection


def _why(error: Exception) -> str:
    for kind, words in _WHY.items():
        if isinstance(error, kind):
            return words
    if isinstance(error, errors.ConnectError):  # its text may be that of another failure, with all its lines
        why = "it broke while it was made" if error.osError is None else os.strerror(error.osError)
        return f"no connection ({why})"
    return f"no connection ({type(error).__name__}: {error})"
