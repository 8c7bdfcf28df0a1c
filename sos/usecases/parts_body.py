"""The body of an object that is poured part by part, each of them verified in memory before its first byte leaves.

While one part is poured the next are fetched, if there is memory for them. A consumer that does not read for a while may
lose all: the bytes are dropped when others need the memory, and fetched again when the consumer goes on, from where it was.

The parts are poured by one coroutine. It waits in three places: for the consumer, for memory, and for a part; whoever stops
the body cancels it there. While it waits for memory it holds none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.usecases.lender import Lender, Share
from sos.usecases.whole_blobs import Part, Pieces
from sos.words.errors import SOSError

AHEAD = 3
"""Parts that are fetched while one is poured. With one, its hashing would be waited for each time, and two come in beside
each other and are hashed at the same time; with three there is always something to pour: 620 MB/s went through an api where
it had been 550 with two, and with four it was not more."""

Fetch = Callable[[Part], Awaitable[Pieces]]
"""Gives the verified bytes of a part. Raises `Unavailable` where nobody has them."""


@implementer(IBodyProducer)
class PartsBody:
    """Pours the spans of parts, one after the other."""

    def __init__(self, parts: Iterator[Part], length: int, fetch: Fetch, lender: Lender) -> None:
        """Pour `length` bytes in all, fetched by `fetch` into memory that `lender` gives."""
        self.length = length
        self._parts = parts
        self._fetch = fetch
        self._lender = lender
        self._part = next(parts, None)
        self._following = deque(islice(parts, AHEAD))
        self._poured = 0  # bytes of the part
        self._held: _Held | None = None
        self._ahead: deque[_Held] = deque()  # of those that follow, as far as there was memory
        self._is_paused = False
        self._is_writing = False
        self._is_stopped = False
        self._resumed: Deferred[None] | None = None
        self._pouring: Deferred[None] | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    async def begin(self) -> None:
        """Fetch the first part. Raises `Unavailable`."""
        if self._part is not None:
            await self._hold(self._part)

    def begin_with(self, pieces: Pieces, share: Share) -> None:
        """Take the bytes of the first part, and the memory that they are in."""
        assert self._part is not None
        self._keep(_Held(share, cut(pieces, self._part.span.start, self._part.span.stop)))

    # What the consumer calls

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write the bytes; the Deferred fires after the last, and fails where a part cannot be had."""
        if not self._is_stopped:
            self._pouring = Deferred.fromCoroutine(self._pour(consumer))
            self._pouring.addCallbacks(lambda _: self._end(None), self._end)
        return self._done

    def pauseProducing(self) -> None:
        """Write nothing until resumed."""
        if not self._is_paused:
            self._is_paused = True
            self._let_rest()

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        for held in (*self._ahead, self._held):
            if held is not None:
                held.share.use()
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def stopProducing(self) -> None:
        """Write nothing more, ever, and let go of everything."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._resumed = None
        self._drop_all()
        if self._pouring is not None and not self._is_writing:
            self._pouring.cancel()

    # Pouring

    async def _pour(self, consumer: IConsumer) -> None:
        while self._part is not None and not self._is_stopped:
            if self._is_paused:
                self._resumed = Deferred()
                await self._resumed
            elif self._held is None:
                await self._hold(self._part)
            else:
                self._read_ahead()
                self._write(consumer, self._held.pieces)
                if self._poured == self._part.span.length:
                    self._go_to_next()

    def _write(self, consumer: IConsumer, pieces: deque[bytes]) -> None:
        """Write what there is, until paused or stopped."""
        self._is_writing = True
        try:
            while pieces and not self._is_paused and not self._is_stopped:
                piece = pieces.popleft()
                self._poured += len(piece)
                consumer.write(piece)
        finally:
            self._is_writing = False

    def _go_to_next(self) -> None:
        self._drop_held()
        self._poured = 0
        self._part = self._following.popleft() if self._following else None
        self._following.extend(islice(self._parts, 1))

    def _end(self, failure: Failure | None) -> None:
        """Say how it ended, if anybody is left to hear it."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._drop_all()
        if failure is None:
            self._done.callback(None)
        else:
            self._done.errback(failure)

    # Having the bytes

    async def _hold(self, part: Part) -> None:
        """Get hold of the bytes of the part: those that were fetched ahead, if that went well, or else now."""
        if self._ahead:
            ahead = self._ahead.popleft()
            try:
                await ahead.arrival()
            except SOSError:
                pass  # some time may have passed since
            else:
                self._keep(ahead)
                return
        held = self._fetched(part, self._poured, await self._lender.take(part.size))
        await held.arrival()
        self._keep(held)

    def _read_ahead(self) -> None:
        """Fetch the next parts while this one is poured, as long as nobody has to wait for the memory."""
        for part in islice(self._following, len(self._ahead), None):
            share = self._lender.if_free(part.size)
            if share is None:
                return
            self._ahead.append(self._fetched(part, 0, share))

    def _fetched(self, part: Part, skip: int, share: Share) -> _Held:
        held = _Held(share)
        held.begin(self._fetch(part), part.span.start + skip, part.span.stop)
        return held

    def _keep(self, held: _Held) -> None:
        """Be ready to write the bytes of the part."""
        self._held = held
        if self._is_paused:
            self._let_rest()

    def _let_rest(self) -> None:
        """Let others have the memory if they need it; what was fetched ahead goes first."""
        for ahead in self._ahead:
            ahead.share.rest(self._drop_ahead)
        if self._held is not None:
            self._held.share.rest(self._drop_all)

    def _drop_all(self) -> None:
        self._drop_ahead()
        self._drop_held()

    def _drop_ahead(self) -> None:
        while self._ahead:
            self._ahead.pop().drop()

    def _drop_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.drop()


class _Held:
    """The bytes of a part, here or on their way; their memory counts until they are dropped."""

    def __init__(self, share: Share, pieces: Iterable[bytes] = ()) -> None:
        self.share = share
        self.pieces = deque(pieces)
        self._coming: Deferred[None] = succeed(None)

    def begin(self, fetching: Awaitable[Pieces], start: int, stop: int) -> None:
        """Take the bytes from `start` to `stop` of what is fetched."""
        self._coming = Deferred.fromCoroutine(self._come(fetching, start, stop))

    async def _come(self, fetching: Awaitable[Pieces], start: int, stop: int) -> None:
        # Not as the result of the Deferred: it keeps that, and is part of a cycle that is there until it is collected.
        self.pieces = cut(await fetching, start, stop)

    async def arrival(self) -> None:
        """Wait for the bytes. Where they do not come, or nobody waits any more, they are dropped."""
        has_come = False
        try:
            await self._coming
            has_come = True
        finally:
            if not has_come:
                self.drop()

    def drop(self) -> None:
        self._coming.addErrback(lambda failure: failure.trap(SOSError, CancelledError) and None)
        self._coming.cancel()
        self.pieces.clear()
        self.share.give_back()


def cut(pieces: Pieces, start: int, stop: int) -> deque[bytes]:
    """Give the bytes from `start` to `stop`; pieces that are wanted whole are not copied."""
    wanted: deque[bytes] = deque()
    at = 0
    for piece in pieces:
        begins, at = at, at + len(piece)
        if max(begins, start) < min(at, stop):
            wanted.append(piece[max(0, start - begins) : stop - begins])
    return wanted
