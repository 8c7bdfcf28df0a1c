"""A span out of a longer body, or a body that must have just so many bytes."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from sos.http.passed_body import SeenBody
from sos.words.errors import BlobTruncated, ServerUnavailable


class CutBody(SeenBody):
    """Passes on `length` bytes of another body, from its byte `start` on.

    Where a `rest` behind them is to be expected, the other body is stopped; else one more byte is a fault of the server,
    and nothing of it is passed on.
    """

    def __init__(self, body: IBodyProducer, start: int, length: int, has_rest: bool, server: str) -> None:
        """Cut a body that comes from a server."""
        super().__init__(body)
        self.length = length
        self._skip = start
        self._left = length
        self._has_rest = has_rest
        self._server = server
        self._consumer: IConsumer | None = None
        self._is_over = False
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last, and fails with `BlobTruncated` or `ServerUnavailable`."""
        self._consumer = consumer
        self._body.startProducing(self).addCallbacks(self._finish, self._fail)
        return self._done

    def stopProducing(self) -> None:
        """Write nothing more, ever."""
        self._is_over = True
        self._body.stopProducing()

    # What the other body calls

    def write(self, data: bytes) -> None:
        """Pass on what of a piece lies within the span."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        piece = data[skipped : skipped + self._left]
        is_over = skipped + len(piece) < len(data)
        self._left -= len(piece)
        if piece and self._consumer is not None and not self._is_over:
            self._consumer.write(piece)
        if self._is_over:  # the consumer stopped us within its write
            return
        if is_over and not self._has_rest:
            self.stopProducing()
            self._done.errback(ServerUnavailable(self._server, f"it sent more than the {self.length} bytes of its answer"))
        elif self._has_rest and not self._left:
            self.stopProducing()
            self._done.callback(None)

    def _finish(self, _: object) -> None:
        if self._left:
            self._fail(Failure(BlobTruncated(f"{self._server} sent {self._left} bytes too few of {self.length}.")))
        elif not self._is_over:
            self._is_over = True
            self._done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._is_over = True
            self._done.errback(failure)
