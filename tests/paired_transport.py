"""What every transport in memory does: it keeps one producer, and says nothing of interest about addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocol, ITCPTransport
from zope.interface import implementer

BUFFER = 64 * 1024
"""Bytes that wait before a producer is paused, as Twisted's own transports have it."""


@implementer(ITCPTransport)
class PairedTransport:
    """What the ends of connections in memory have in common; when something can go on, a subclass sees to it."""

    def __init__(self, protocol: IProtocol) -> None:
        """Make an end for a protocol."""
        self.protocol = protocol
        self.connected = True
        self.disconnecting = False
        self.is_gone = False
        self.producer: Any = None
        self._is_streaming = True
        self._is_producer_paused = False
        self._is_reading = True

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer."""
        raise NotImplementedError

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Queue pieces for the peer."""
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        """Close once everything that was written has left."""
        raise NotImplementedError

    def abortConnection(self) -> None:
        """Close at once, and forget what waits."""
        raise NotImplementedError

    def loseWriteConnection(self) -> None:
        """Close: nobody here needs half a connection."""
        self.loseConnection()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take a producer."""
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self.producer, self._is_streaming, self._is_producer_paused = producer, streaming, False
        if not streaming:
            self._can_ask()

    def unregisterProducer(self) -> None:
        """Let the producer go."""
        self.producer = None
        self._can_close()

    def pauseProducing(self) -> None:
        """Deliver nothing to the protocol."""
        self._is_reading = False

    def resumeProducing(self) -> None:
        """Deliver again."""
        self._is_reading = True
        self._can_deliver()

    def _can_ask(self) -> None:
        """Be told that the producer can be asked for more."""
        raise NotImplementedError

    def _can_close(self) -> None:
        """Be told that no producer is in the way of closing any more."""
        raise NotImplementedError

    def _can_deliver(self) -> None:
        """Be told that the protocol reads again."""
        raise NotImplementedError

    def _has_queued(self, size: int) -> None:
        """Pause the producer where so much waits."""
        if self.producer is not None and self._is_streaming and size > BUFFER and not self._is_producer_paused:
            self._is_producer_paused = True
            self.producer.pauseProducing()

    def getPeer(self) -> IPv4Address:
        """Say that the peer is on this very host: then no cluster key is needed."""
        return IPv4Address("TCP", "127.0.0.1", 50_000)

    def getHost(self) -> IPv4Address:
        """Say that this is on this very host."""
        return IPv4Address("TCP", "127.0.0.1", 9992)

    def getTcpNoDelay(self) -> bool:
        """Say no."""
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def getTcpKeepAlive(self) -> bool:
        """Say no."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing."""
