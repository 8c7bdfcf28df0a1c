"""A list of names as a body: read page by page, sent no faster than the client drains it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from sos.words.blob import BlobID, Kind
from sos.words.interfaces import IBlobEnumerator

PAGE = 1000
"""Names read at a time: a read of the store is short, and so is what waits in memory (about 42 KiB)."""


@implementer(IBodyProducer)
class NamesBody:
    """Writes a JSON array of names. No read of the store stays open between its pages."""

    length = UNKNOWN_LENGTH

    def __init__(
        self,
        store: IBlobEnumerator,
        prefix: str = "",
        after: str = "",
        limit: int | None = None,
        kind: Kind | None = None,
    ) -> None:
        """List what `IBlobEnumerator` gives, at most `limit` names in all."""
        self._store = store
        self._prefix = prefix
        self._after = after
        self._left = limit
        self._kind = kind
        self._before = "["
        self._is_paused = False
        self._is_reading = False
        self._reading: Deferred[None] | None = None
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write page after page; the Deferred fires after the last."""
        self._consumer = consumer
        self._go_on()
        return self._done

    def pauseProducing(self) -> None:
        """Read nothing until resumed."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        self._go_on()

    def stopProducing(self) -> None:
        """Read nothing more, ever."""
        self._consumer = None
        if self._reading is not None:
            self._reading.cancel()

    def _go_on(self) -> None:
        if not self._is_reading and self._consumer is not None and not self._done.called:
            self._is_reading = True
            self._reading = Deferred.fromCoroutine(self._write_pages())
            self._reading.addErrback(self._fail)

    async def _write_pages(self) -> None:
        try:
            while not self._is_paused and self._consumer is not None:
                if not await self._write_page(self._consumer):
                    self._consumer = None
                    self._done.callback(None)
        finally:
            self._is_reading = False

    async def _write_page(self, consumer: IConsumer) -> bool:
        """Write the next page, or the end of the array; say whether there may be more."""
        count = PAGE if self._left is None else min(PAGE, self._left)
        page = await self._store.enumerate(self._prefix, self._after, count, self._kind) if count else ()
        if not page:
            consumer.write(b"[]" if self._before == "[" else b"]")
            return False
        names = '","'.join(page)
        consumer.write(f'{self._before}"{names}"'.encode("ascii"))
        self._before = ","
        self._after = BlobID(page[-1])
        if self._left is not None:
            self._left -= len(page)
        return True

    def _fail(self, failure: Failure) -> Any:
        if self._consumer is not None:
            self._consumer = None
            self._done.errback(failure)
