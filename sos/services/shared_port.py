"""A port that is opened here and served elsewhere: in the workers that inherit its socket."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory

from sos.services.listener import CannotListen, Listening


class SharedPort(Listening):
    """Opens an endpoint and accepts nothing on it.

    When it ends, only this process lets go of the socket: the workers that still listen on it are not disturbed. Twisted's
    port would shut the socket down, for all of them, and their ports would spin on it. So its socket is taken from it.
    """

    def __init__(self, what: str, address: str, endpoint: IStreamServerEndpoint) -> None:
        """Open an endpoint; people are told what it is for, and the address that was asked for."""
        factory = Factory()  # never asked for a protocol
        factory.noisy = False
        super().__init__(what, address, endpoint, factory)
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The listening socket."""
        assert self._descriptor is not None, "it is open from the start of the service on"
        return self._descriptor

    def opened(self, port: IListeningPort) -> None:
        """Take the socket before the reactor looks at it for the first time. Raises `CannotListen`."""
        stop_reading, its_socket = getattr(port, "stopReading", None), getattr(port, "socket", None)
        if stop_reading is None or its_socket is None:
            self._failure = CannotListen(
                f"Workers cannot share {self._address}, for it is no socket; use tcp:, ssl: or unix:."
            )
            return
        super().opened(port)
        stop_reading()
        self._descriptor = its_socket.detach()

    def stopService(self) -> Deferred[None]:
        """Let go of the socket; a unix socket's file goes with it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        return super().stopService()
