"""Answers: the head, and a body that is poured as it comes or stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer


@define(eq=False)
class Answer:
    """What a server answered to a request; whoever gets it pours the body, or stops it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """Header lines in the order of the wire, names in lower case."""
    length: int | None
    """Bytes that the body has, or of a HEAD: that it would have. None where the server does not say."""
    body: IBodyProducer
    """Stopped before its end, it drops the connection."""
    was_early: bool = False
    """The head came before the whole body of the request was out: then a 2xx acknowledges nothing."""
    sent: int = 0
    """Bytes of the request's body that went out."""
    _fields: dict[bytes, bytes] = field(init=False)

    @_fields.default
    def _first_of_each_name(self) -> dict[bytes, bytes]:
        return dict(reversed(self.headers))

    def header(self, name: bytes) -> bytes | None:
        """Give the value of a header by its lower-case name, of several the first; None where there is none."""
        return self._fields.get(name)


class Flow(Protocol):
    """What the body of an answer asks of the connection that it comes from."""

    def pause(self) -> None:
        """Read nothing more from the server for now."""

    def resume(self) -> None:
        """Read on."""

    def drop(self) -> None:
        """Let the connection go: the rest of the answer is not wanted."""


class _NoFlow:
    """Stands for the connection of a body that needs nothing of it any more."""

    def pause(self) -> None:
        """Do nothing."""

    resume = drop = pause


_NO_FLOW: Flow = _NoFlow()


@implementer(IBodyProducer)
class AnswerBody:
    """The body of an answer that is still coming. It holds the pieces of one segment at most, for a paused consumer.

    The connection gives it pieces and then either `finish`es or `fail`s it; the consumer may pause, resume and stop it at
    any time, from within its own `write` too.
    """

    def __init__(self, flow: Flow, length: int | None) -> None:
        """Make a body whose pieces come from a connection."""
        self.length: int | object = UNKNOWN_LENGTH if length is None else length
        self._flow = flow
        self._pieces: deque[bytes] = deque()
        self._consumer: IConsumer | None = None
        self._is_paused = False
        self._is_writing = False
        self._has_all = False
        self._is_over = False
        self._failure: Failure | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    @property
    def is_flowing(self) -> bool:
        """Whether pieces that come now are wanted now."""
        return self._consumer is not None and not self._is_paused

    # The connection's side

    def take(self, pieces: Iterable[bytes]) -> None:
        """Pass on pieces that came."""
        self._pieces.extend(pieces)
        self._push()

    def finish(self, pieces: Iterable[bytes]) -> None:
        """Pass on the last pieces. The connection serves others from now on."""
        self._flow = _NO_FLOW
        self._has_all = True
        self.take(pieces)

    def fail(self, failure: Failure) -> None:
        """Say that the rest will never come."""
        self._flow = _NO_FLOW
        self._failure = failure
        if self._consumer is not None:
            self._end()

    # The consumer's side

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write what came and what comes; the Deferred fires after the last byte, or fails with `ServerUnavailable`."""
        self._consumer = consumer
        if self._failure is not None:
            self._end()
        else:
            self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """Write nothing, and read nothing from the server, until resumed."""
        self._is_paused = True
        self._flow.pause()

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        self._push()
        if self.is_flowing:
            self._flow.resume()

    def stopProducing(self) -> None:
        """Write nothing more, ever; the connection is dropped if there is more to come."""
        flow, self._flow = self._flow, _NO_FLOW
        self._is_over = True
        self._consumer = None
        self._pieces.clear()
        flow.drop()

    def _push(self) -> None:
        if self._is_writing:  # a consumer may resume us from within its write
            return
        self._is_writing = True
        try:
            while self._pieces and self._consumer is not None and not self._is_paused:
                self._consumer.write(self._pieces.popleft())
        finally:
            self._is_writing = False
        if self._has_all and not self._pieces and self._consumer is not None:
            self._end()

    def _end(self) -> None:
        """Fire, once: with what went wrong, or with nothing."""
        if self._is_over:
            return
        self._is_over = True
        self._consumer = None
        self._pieces.clear()
        if self._failure is None:
            self._done.callback(None)
        else:
            self._done.errback(self._failure)
