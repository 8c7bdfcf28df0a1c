"""Bodies: the one type that moves bytes, and how to pour them.

A body is Twisted's `IBodyProducer`, registered with its consumer as a push producer. It is used once. When its consumer
says ``stopProducing`` the Deferred of ``startProducing`` never fires, as Twisted has it: whoever waits for it is cancelled
by whoever stopped it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.words.errors import BlobTooLarge, BlobTruncated
from sos.words.interfaces import IBodySource, IFileConsumer

PIECE = 64 * 1024
"""Bytes read from a file at a time: what Twisted reads from a socket at most, and the size of its write buffer."""

FILE_PIECE = 1024 * 1024
"""Bytes that go from a file to a socket in one call. It blocks where they are not in memory: for 10 ms at 100 MB/s."""


async def pour(body: IBodyProducer, consumer: IConsumer) -> None:
    """Move a whole body into a consumer, no faster than the consumer drains."""
    consumer.registerProducer(body, True)
    await body.startProducing(consumer)
    consumer.unregisterProducer()  # not in a finally: a request whose client left has nothing to unregister from


async def collect(body: IBodyProducer, limit: int) -> bytes:
    """Take a whole body into memory. Raises `BlobTooLarge`, and stops the body, once it passes `limit` bytes."""
    if isinstance(body, BytesBody) and body.length <= limit:
        body.stopProducing()
        return b"".join(body.pieces)
    pieces: list[bytes] = []
    await take_pieces(body, limit, pieces.append)
    return b"".join(pieces)


async def take_pieces(body: IBodyProducer, limit: int, take: Callable[[bytes], object]) -> None:
    """Hand each piece of a body to a function, as it comes.

    Raises `BlobTooLarge`, and stops the body, once it passes `limit` bytes; at once where it says its length.
    """
    if isinstance(body.length, int) and body.length > limit:
        body.stopProducing()
        raise BlobTooLarge(f"The body has {body.length} bytes; at most {limit} are taken.")
    taker = _Taker(limit, take)
    taker.finished = body.startProducing(taker)
    try:
        taker.stop_if_over()
        await taker.finished
    except CancelledError:
        if not taker.is_over:
            raise
    if taker.is_over:
        raise BlobTooLarge(f"The body has more than {limit} bytes; no more are taken.")


@implementer(IBodyProducer)
class PushedBody:
    """A body that knows its pieces without waiting for anything: pushes them until it is paused, or until it is stopped.

    A subclass gives the pieces, and closes what they come from.
    """

    _consumer: IConsumer | None = None
    _done: Deferred[None] | None = None
    _is_paused = False
    _is_pushing = False

    def __init__(self, length: int) -> None:
        """Make a body of `length` bytes."""
        self.length = length

    def next_piece(self) -> bytes:
        """Give the next bytes, none at the end; an exception fails the body."""
        raise NotImplementedError

    def push_piece(self, consumer: IConsumer) -> bool:
        """Write the next bytes; False at the end. An exception fails the body."""
        piece = self.next_piece()
        if piece:
            consumer.write(piece)
        return bool(piece)

    def close(self) -> None:
        """Let go of what the pieces come from. Called once: at the end, at a failure, or when stopped."""

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Push all pieces; the Deferred fires when the last was written."""
        done: Deferred[None] = Deferred(lambda _: self.stopProducing())
        if not self._is_stopped:
            self._consumer = consumer
            self._done = done
        self._push()
        return done

    def pauseProducing(self) -> None:
        """Push nothing until resumed."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        self._push()

    def stopProducing(self) -> None:
        """Push nothing more, ever."""
        if not self._is_stopped:
            self._stop()

    @property
    def _is_stopped(self) -> bool:
        return self._consumer is _NOBODY

    def _stop(self) -> None:
        self._consumer = _NOBODY
        self._done = None  # it knows us: the pieces would stay in memory until the collector of cycles comes by
        self.close()

    def _push(self) -> None:
        if self._is_pushing or self._done is None:  # a consumer may resume us from within its write
            return
        self._is_pushing = True
        try:
            self._push_until_paused(self._done)
        finally:
            self._is_pushing = False

    def _push_until_paused(self, done: Deferred[None]) -> None:
        while not self._is_paused and self._consumer is not None and not self._is_stopped:
            try:
                has_more = self.push_piece(self._consumer)
            except Exception:  # whatever the bytes come from: the one who pours has to know, not the reactor
                self._stop()
                done.errback()
                return
            if not has_more:
                self._stop()
                done.callback(None)
                return


class BytesBody(PushedBody):
    """A body whose pieces are in memory."""

    def __init__(self, *pieces: bytes) -> None:
        """Make a body of the pieces, in their order; empty ones are left out."""
        super().__init__(sum(map(len, pieces)))
        self.pieces = list(filter(None, pieces))
        """All of them: who has a body of bytes can have another."""
        self._pushed = 0

    def next_piece(self) -> bytes:
        """Give the next piece as it came."""
        if self._pushed == len(self.pieces):
            return b""
        self._pushed += 1
        return self.pieces[self._pushed - 1]


class FileBody(PushedBody):
    """A span of an open file. It owns the descriptor, so a blob that is replaced meanwhile can still be read to its end."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        """Make a body of `length` bytes from `start`; the descriptor is closed with the body."""
        super().__init__(length)
        self.descriptor = descriptor
        self.start = start
        self._at = start
        self._stop_at = start + length

    def next_piece(self) -> bytes:
        """Read the next bytes. Raises `BlobTruncated` where the file is shorter than its entry says."""
        wanted = min(PIECE, self._stop_at - self._at)
        piece = os.pread(self.descriptor, wanted, self._at)
        if not piece and wanted:
            raise BlobTruncated(f"A blob's file ends at byte {self._at} instead of {self._stop_at}.")
        self._at += len(piece)
        return piece

    def push_piece(self, consumer: IConsumer) -> bool:
        """Let the consumer take the next bytes out of the file, if it can; else read and write them.

        What the consumer takes is not looked at: whoever reads a blob checks its digest, and so does the scrub.
        """
        if self._at < self._stop_at and IFileConsumer.providedBy(consumer) and consumer.takes_files:
            self._at += consumer.take_from_file(self.descriptor, self._at, min(FILE_PIECE, self._stop_at - self._at))
            return True
        return super().push_piece(consumer)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


@implementer(IBodySource)
@frozen
class BytesSource:
    """Pieces in memory that can be sent as often as needed."""

    pieces: Sequence[bytes]

    @property
    def size(self) -> int:
        """The number of bytes of each body."""
        return sum(map(len, self.pieces))

    def body(self) -> BytesBody:
        """Make a fresh body."""
        return BytesBody(*self.pieces)


@implementer(IConsumer)
class _Taker:
    """Hands on what it gets, up to a limit; beyond it, the body is stopped."""

    def __init__(self, limit: int, take: Callable[[bytes], object]) -> None:
        self.finished: Deferred[None] | None = None
        self._room = limit
        self._take = take

    @property
    def is_over(self) -> bool:
        return self._room < 0

    def stop_if_over(self) -> None:
        """Cancel the body's Deferred, which stops the body."""
        if self.is_over and self.finished is not None:
            self.finished.cancel()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: memory never has to wait."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        self._room -= len(data)
        if self.is_over:
            self.stop_if_over()
        else:
            self._take(data)


@implementer(IConsumer)
class _Nobody:
    """Stands for the consumer of a body that was stopped."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Do nothing."""


_NOBODY = _Nobody()
