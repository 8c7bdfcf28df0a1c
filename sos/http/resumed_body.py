"""A long body that goes on where it broke off, out of another source, without its consumer noticing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from sos.http.passed_body import SeenBody
from sos.words.errors import BlobTruncated, SOSError, Unavailable

Rest = Callable[[int], Awaitable[IBodyProducer]]
"""Gives a body of all that comes behind the first so many bytes. Raises an `SOSError` when nobody has that (any more)."""


class ResumedBody(SeenBody):
    """Passes a body on; what is missing where it breaks off comes from the next one, as often as there is one.

    Whether the pieces belong together is not looked at here: whoever needs to know hashes the whole.
    """

    def __init__(self, body: IBodyProducer, rest: Rest) -> None:
        """Begin with a body, and ask `rest` for another when it fails of what a source can fail of."""
        super().__init__(body)
        self._rest = rest
        self._passed = 0
        self._consumer: IConsumer | None = None
        self._asking: Deferred[IBodyProducer] | None = None
        """Set while the body that was poured is at its end, and the next is not here."""
        self._is_pouring = False
        self._is_paused = False
        self._is_over = False
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last, or fails as the body did that nobody goes on with."""
        self._consumer = consumer
        self._begin()
        return self._done

    def pauseProducing(self) -> None:
        """Write nothing until resumed."""
        self._is_paused = True
        if self._is_pouring:
            self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        if self._is_pouring:
            self._body.resumeProducing()
        elif self._asking is None:
            self._begin()

    def stopProducing(self) -> None:
        """Write nothing more, ever."""
        if self._is_over:
            return
        self._is_over = True
        if self._asking is not None:
            self._asking.cancel()
        else:
            self._body.stopProducing()

    # What the other body calls

    def write(self, data: bytes) -> None:
        """Pass a piece on."""
        self._passed += len(data)
        if self._consumer is not None and not self._is_over:
            self._consumer.write(data)

    # Inside

    def _begin(self) -> None:
        if not self._is_over:
            self._is_pouring = True
            self._body.startProducing(self).addCallbacks(self._finish, self._broke_off)

    def _finish(self, _: object) -> None:
        if not self._is_over:
            self._is_over = True
            self._done.callback(None)

    def _broke_off(self, failure: Failure) -> None:
        self._is_pouring = False
        if self._is_over:
            return
        if failure.check(Unavailable, BlobTruncated) is None:
            self._fail(failure)
            return
        self._asking = Deferred.fromCoroutine(self._ask())
        self._asking.addCallbacks(self._go_on, self._give_up, errbackArgs=(failure,))

    async def _ask(self) -> IBodyProducer:
        return await self._rest(self._passed)

    def _go_on(self, body: IBodyProducer) -> None:
        """Pour the next body; one that comes while the consumer has no room waits until it has."""
        self._asking = None
        self._body = body
        if not self._is_paused:
            self._begin()

    def _give_up(self, nobody: Failure, broken: Failure) -> None:
        """Fail as the body did, unless it is a fault of ours that nobody goes on with it."""
        self._asking = None
        self._fail(broken if nobody.check(SOSError) else nobody)

    def _fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._is_over = True
            self._done.errback(failure)
