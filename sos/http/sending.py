"""Sending: the body of one request on its way out, framed, counted, and no faster than the server takes it."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.http.bodies import PIECE
from sos.http.outlet import Outlet
from sos.words.errors import BlobTruncated, DigestMismatch


class SendingObserver(Protocol):
    """Who wants to know how a body gets on."""

    def body_moved(self) -> None:
        """Notice that a piece went out, or that the server takes pieces again."""

    def body_sent(self) -> None:
        """Notice that all of the body went out."""

    def body_failed(self, failure: Failure) -> None:
        """Notice that the body cannot be had, or is not as long as was said."""


@implementer(IConsumer, IPushProducer)
class Sending:
    """Stands between the body, whose consumer it is, and the transport, whose producer it is.

    The head goes out with the first piece: a small request is one write. A long body goes by the outlet, as long as that
    takes all: a transport would copy it, and come back to the reactor for every 128 KiB.
    """

    def __init__(
        self,
        transport: Any,
        outlet: Outlet,
        head: bytes,
        body: IBodyProducer,
        length: int | None,
        observer: SendingObserver,
    ) -> None:
        """Send a body of `length` bytes behind a head that says so, or as chunks where `length` is None."""
        self.sent = 0
        self.is_paused = False
        self.is_finished = False
        self._transport = transport
        self._outlet = outlet
        self._is_long = length is None or length > PIECE
        self._head = head
        self._body = body
        self._length = length
        self._observer = observer
        self._is_behind = False
        self._is_stopped = False
        self._pouring: Deferred[None] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every byte of the body went out; the body itself may not have noticed yet."""
        return self.is_finished or self.sent == self._length

    def start(self) -> None:
        """Pour the body."""
        self.registerProducer(self._body, True)
        self._pouring = self._body.startProducing(self)
        self._pouring.addCallbacks(self._finish, self._fail)
        if self._head and not self._is_stopped:
            self._write(b"")

    def stop(self) -> None:
        """Send nothing more of it, and let go of the body; what the transport was given may still go out."""
        if not self._is_stopped:
            self._is_stopped = True
            if not self.is_finished:
                self._transport.unregisterProducer()
                self._body.stopProducing()

    def clogged(self) -> None:
        """Notice that the outlet has left bytes to the transport: all that follows waits until that is rid of them."""
        self._is_behind = True
        if not self._is_stopped:
            self._outlet.wait()
            self.pauseProducing()

    # The body's consumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the place between the body and the transport."""
        self._transport.registerProducer(self, True)

    def unregisterProducer(self) -> None:
        """Do nothing: the body's Deferred says when it has ended."""

    def write(self, data: bytes) -> None:
        """Send a piece."""
        if self._is_stopped or not data:
            return
        if self._length is not None and self.sent + len(data) > self._length:
            self.stop()
            self._observer.body_failed(Failure(DigestMismatch(f"The body has more than the {self._length} bytes declared.")))
            return
        self.sent += len(data)
        self._observer.body_moved()
        self._write(data if self._length is not None else b"%x\r\n%b\r\n" % (len(data), data))

    # The transport's producer

    def pauseProducing(self) -> None:
        """Let the body wait: the server does not take what was sent."""
        self.is_paused = True
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Let the body go on."""
        self.is_paused = self._is_behind = False
        self._observer.body_moved()
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        """Let go of the body: the transport is gone, and says so to its protocol, too."""
        self.stop()

    @property
    def _goes_past_transport(self) -> bool:
        return self._is_long and not self._is_behind

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self._goes_past_transport:
            if head:
                self._outlet.write(head)
            self._outlet.write(data)
        elif len(data) > PIECE:  # joining would copy a whole chunk
            self._transport.writeSequence([head, data])
        else:
            self._transport.write(head + data)

    def _finish(self, _: object) -> None:
        if self._is_stopped:
            return
        if self._length is not None and self.sent < self._length:
            error = BlobTruncated(f"The body ended after {self.sent} of {self._length} bytes.")
            self._fail(Failure(error))
            return
        if self._goes_past_transport:
            self._outlet.flush()
        self.is_finished = True
        self._observer.body_sent()
        if self._length is None:
            self._write(b"0\r\n\r\n")
        elif self._head:
            self._write(b"")
        self._transport.unregisterProducer()

    def _fail(self, failure: Failure) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            self._transport.unregisterProducer()
            self._observer.body_failed(failure)
