"""A body whose first bytes have come: whoever offers it to a client knows that its source does more than promise."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.http.bodies import PushedBody


async def begun(body: IBodyProducer, least: int = 1) -> IBodyProducer:
    """Wait for the first bytes of a body, `least` of them or all, and give a body of all of them.

    Raises what the body fails with before them. A body that waits for nothing is given back as it is. Cancelling stops
    the body.
    """
    if isinstance(body, PushedBody):
        return body
    waiting = BegunBody(body, least)
    await waiting.begin()
    return waiting


@implementer(IConsumer, IBodyProducer)
class BegunBody:
    """Takes the first bytes of another body, pauses that, and goes on when somebody wants the bytes."""

    def __init__(self, body: IBodyProducer, least: int = 1) -> None:
        """Stand before a body that nobody has begun, and take `least` bytes of it at first."""
        self.length = body.length
        self._body = body
        self._first: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._missing = least
        self._pieces: deque[bytes] = deque()
        self._consumer: IConsumer | None = None
        self._is_paused = False
        self._is_pushing = False
        self._is_stopped = False
        self._ending: Failure | bool | None = None
        """How the other body has ended: with a failure, or well; None while it goes on."""

    def begin(self) -> Deferred[None]:
        """Take bytes until enough have come, or the body has ended; the Deferred fires then, or fails with the body."""
        self._body.startProducing(self).addCallbacks(lambda _: self._end(True), self._end)
        return self._first

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last."""
        self._consumer = consumer
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """Write nothing until resumed."""
        self._is_paused = True
        if self._ending is None:
            self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        self._push()
        if self._ending is None and not self._is_paused and not self._is_stopped:
            self._body.resumeProducing()

    def stopProducing(self) -> None:
        """Write nothing more, ever."""
        if not self._is_stopped:
            self._is_stopped = True
            self._pieces.clear()
            self._body.stopProducing()

    # What the other body calls

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: the consumer has us."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Pass a piece on; the first ones wait for their consumer."""
        if self._is_stopped:
            return
        self._pieces.append(data)
        if self._consumer is None:
            self._missing -= len(data)
            if self._missing <= 0:
                self._body.pauseProducing()
                self._say_begun(None)
        else:
            self._push()

    # Inside

    def _end(self, ending: Failure | bool) -> None:
        if self._is_stopped:
            return
        self._ending = ending
        self._say_begun(ending if isinstance(ending, Failure) else None)
        self._push()

    def _say_begun(self, failure: Failure | None) -> None:
        if self._first.called:
            return
        if failure is None:
            self._first.callback(None)
        else:
            self._is_stopped = True
            self._first.errback(failure)

    def _push(self) -> None:
        """Write what is there, unless paused; behind the last piece, say how it ended."""
        if self._is_pushing or self._consumer is None:
            return
        self._is_pushing = True
        try:
            while self._pieces and not self._is_paused:
                self._consumer.write(self._pieces.popleft())
        finally:
            self._is_pushing = False
        if self._ending is not None and not self._pieces and not self._is_stopped:
            self._is_stopped = True
            if isinstance(self._ending, Failure):
                self._done.errback(self._ending)
            else:
                self._done.callback(None)
