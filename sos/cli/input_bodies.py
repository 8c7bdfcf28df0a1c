"""What is sent: files, and streams that end some time, as bodies; hashed and counted as they pass."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IReadDescriptor
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from sos.http.bodies import PIECE, FileBody
from sos.http.passed_body import SeenBody
from sos.words.errors import BadInput

STANDARD_INPUT = "-"


def open_body(name: str, reactor: Any) -> IBodyProducer:
    """Open a file, or the standard input. What has a length is a body with that length. Raises `BadInput`."""
    try:
        descriptor = os.dup(0) if name == STANDARD_INPUT else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        kind = os.fstat(descriptor)
    except (OSError, ValueError) as error:
        raise BadInput(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISREG(kind.st_mode):
        start = os.lseek(descriptor, 0, os.SEEK_CUR)  # of the standard input some may have been read
        return FileBody(descriptor, start, max(0, kind.st_size - start))
    if stat.S_ISDIR(kind.st_mode):
        os.close(descriptor)
        raise BadInput("it is a directory; name the files in it")
    return StreamBody(descriptor, reactor)


@implementer(IBodyProducer, IReadDescriptor)
class StreamBody:
    """What comes through a pipe, a terminal or a socket: read when there is something, so that the rest need not wait."""

    length = UNKNOWN_LENGTH

    def __init__(self, descriptor: int, reactor: Any) -> None:
        """Own the descriptor: it is closed at the end."""
        self._descriptor = descriptor
        self._reactor = reactor
        self._consumer: IConsumer | None = None
        self._is_over = False
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write what comes; the Deferred fires at its end."""
        self._consumer = consumer
        self.resumeProducing()
        return self._done

    def pauseProducing(self) -> None:
        """Read nothing until resumed."""
        if not self._is_over:
            self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        """Go on."""
        if not self._is_over:
            self._reactor.addReader(self)

    def stopProducing(self) -> None:
        """Read nothing more, ever."""
        if not self._is_over:
            self._reactor.removeReader(self)
            self._is_over = True
            os.close(self._descriptor)

    # What the reactor calls

    def fileno(self) -> int:
        """Give the descriptor to wait for."""
        return -1 if self._is_over else self._descriptor

    def logPrefix(self) -> str:
        """Name it."""
        return "input"

    def doRead(self) -> None:
        """Read what is there."""
        try:
            piece = os.read(self._descriptor, PIECE)
        except BlockingIOError:
            return
        except OSError:
            self.stopProducing()
            self._done.errback()
            return
        if piece and self._consumer is not None:
            self._consumer.write(piece)
        else:
            self._end()

    def connectionLost(self, reason: Failure) -> None:
        """End: a pipe whose writer has left, and in which nothing is left, is said to be lost and not to be read."""
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self.stopProducing()
            self._done.callback(None)


class MeasuredBody(SeenBody):
    """Passes a body on, and measures what passes: both digests that an api may name objects by, and the bytes."""

    def __init__(self, body: IBodyProducer, passed: Callable[[int], None]) -> None:
        """Measure a body; `passed` is told how many bytes went by."""
        super().__init__(body)
        self.size = 0
        self.is_complete = False
        """Whether all of it has passed."""
        self._passed = passed
        self._digests = (hashlib.sha1(), hashlib.sha256())
        self._consumer: IConsumer | None = None

    @property
    def names(self) -> frozenset[str]:
        """The IDs that these bytes can have."""
        return frozenset(digest.hexdigest() for digest in self._digests)

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last."""
        self._consumer = consumer
        producing: Deferred[None] = self._body.startProducing(self)
        return producing.addCallback(self._finish)

    # What the body calls

    def write(self, data: bytes) -> None:
        """Measure a piece and pass it on."""
        for digest in self._digests:
            digest.update(data)
        self.size += len(data)
        self._passed(len(data))
        assert self._consumer is not None
        self._consumer.write(data)

    def _finish(self, _: object) -> None:
        self.is_complete = True
