"""A long body that is hashed as it passes, and never ends well with wrong bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from sos.http.passed_body import SeenBody


class Hash(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Give the digest of all bytes so far."""


class VerifiedBody(SeenBody):
    """Passes a body on piece by piece, one piece behind: the last is held back until all bytes have the right digest.

    So whoever counts bytes, as HTTP does, never sees a complete body with wrong bytes in it.
    """

    def __init__(self, body: IBodyProducer, made: Hash, expected: bytes, wrong: Callable[[], Exception]) -> None:
        """Hash a body by `made`; where the digest is not the expected one, fail with what `wrong` gives."""
        super().__init__(body)
        self._hash = made
        self._expected = expected
        self._wrong = wrong
        self._held = b""
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last."""
        self._consumer = consumer
        self._body.startProducing(self).addCallbacks(self._finish, self._fail)
        return self._done

    def stopProducing(self) -> None:
        """Write nothing more, ever."""
        self._consumer = None
        self._held = b""
        self._body.stopProducing()

    # What the other body calls

    def write(self, data: bytes) -> None:
        """Hold a piece, and pass on the one before."""
        self._hash.update(data)
        held, self._held = self._held, data
        if held and self._consumer is not None:
            self._consumer.write(held)

    def _finish(self, _: object) -> None:
        if self._consumer is None:
            return
        if self._hash.digest() != self._expected:
            self._fail(Failure(self._wrong()))
            return
        consumer, self._consumer = self._consumer, None
        if self._held:
            consumer.write(self._held)
        self._done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if self._consumer is not None:
            self._consumer = None
            self._done.errback(failure)
