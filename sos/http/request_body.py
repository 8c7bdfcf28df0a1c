"""The body of a request as a stream: it flows from the connection into one consumer, no faster than that takes it."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer


class BodySource(Protocol):
    """What brings a body's bytes: the connection."""

    def body_changed(self) -> None:
        """Look again whether the body wants its bytes."""


@implementer(IBodyProducer)
class RequestBody:
    """A body that arrives. It is used once; nothing of it is read from the connection before it is started.

    Its Deferred fails with `BlobTruncated` when the client cuts it or is too slow, `BadInput` when it turns bad, and
    `BlobTooLarge`; then the front has answered, or will. As with all bodies it never fires after ``stopProducing``.
    """

    def __init__(self, source: BodySource, length: int | None) -> None:
        """Wait to be started; `length` is None where only the end of the body will tell it."""
        self.length = length
        self.is_started = False
        self.is_paused = False
        self._source = source
        self._consumer: IConsumer | None = None
        self._is_over = length == 0
        self._failure: Failure | None = None
        self._done: Deferred[None] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether bytes may be delivered now."""
        return self._consumer is not None and not self.is_paused and not self._is_over

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Let the bytes flow; a client that waits for ``100 Continue`` gets it now."""
        if self.is_started:
            raise RuntimeError("The body of a request is used once.")
        self.is_started = True
        self._consumer = consumer
        done: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._done = done
        if self._failure is not None:
            done.errback(self._failure)
        elif self._is_over:
            done.callback(None)
        else:
            self._source.body_changed()
        return done

    def pauseProducing(self) -> None:
        """Let no bytes flow; the client will notice."""
        self.is_paused = True
        self._source.body_changed()

    def resumeProducing(self) -> None:
        """Let them flow again."""
        self.is_paused = False
        self._source.body_changed()

    def stopProducing(self) -> None:
        """Want nothing more: the rest is thrown away behind the answer."""
        if not self._is_over:
            self._is_over = True
            self._consumer = None
            self._source.body_changed()

    def deliver(self, data: bytes) -> None:
        """Hand over bytes of the body. Called by the connection while the body is wanted."""
        if self._consumer is not None:
            self._consumer.write(data)

    def complete(self) -> None:
        """Say that all bytes were delivered."""
        if not self._is_over:
            self._is_over = True
            self._consumer = None
            if self._done is not None:
                self._done.callback(None)

    def fail(self, error: Exception) -> None:
        """Say that the rest will not come."""
        if not self._is_over:
            self._is_over = True
            self._consumer = None
            self._failure = Failure(error)
            if self._done is not None:
                self._done.errback(self._failure)
