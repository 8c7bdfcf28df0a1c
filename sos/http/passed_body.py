"""A body that passes another one on: what is done with the bytes on the way is the subclass's."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
class PassedBody:
    """Stands between a body and its consumer, and passes on what the consumer asks for. The bytes go past it."""

    def __init__(self, body: IBodyProducer) -> None:
        """Pass this body on."""
        self.length = body.length
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last."""
        producing: Deferred[None] = self._body.startProducing(consumer)
        return producing

    def pauseProducing(self) -> None:
        """Write nothing until resumed."""
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on."""
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        """Write nothing more, ever."""
        self._body.stopProducing()


@implementer(IConsumer)
class SeenBody(PassedBody):
    """Passes a body on through its own hands: a subclass starts it with itself as the consumer, and writes what it gets."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: the consumer has us."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Take a piece."""
        raise NotImplementedError
