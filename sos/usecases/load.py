"""A load: bytes on their way to several members, in memory once until the slowest of them has ended."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from sos.words.blob import Entry
from sos.words.errors import BlobNotFound, Unsupported
from sos.words.interfaces import IBlobStore, IBodySource, IDigested, Received


class Load:
    """Brings bytes to members, or renews what they hold. As a context it is held; with the last hold its memory is free."""

    def __init__(
        self,
        source: IBodySource,
        freed: Callable[[], None] = lambda: None,
        heard: Callable[[bool], None] = lambda was_there: None,
    ) -> None:
        """Bring what a source gives; `freed` is called when nobody needs that any more.

        `heard` is told whether the bytes were at a member already, as soon as that is known; True is the last word.
        """
        self._source = source
        self._freed = freed
        self._heard = heard
        self._was_there = False
        self._holders = 0

    def __enter__(self) -> Load:
        """Hold it."""
        self.hold()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End a hold."""
        self.let_go()

    def hold(self) -> None:
        """Hold it until it is let go of as often as that."""
        self._holders += 1

    def let_go(self) -> None:
        """End a hold."""
        self._holders -= 1
        if not self._holders:
            self._freed()

    async def send(self, store: IBlobStore, entry: Entry) -> Received:
        """Send the bytes. Raises what `IBlobReceiver.receive` raises."""
        with self:
            return await store.receive(entry, self._source.body())

    async def renew_or_send(self, store: IBlobStore, entry: Entry) -> Received:
        """Renew the entry where its bytes are there and sound, else send them. Raises what `send` raises."""
        with self:
            renewed = await self._renewed(store, entry)
            if renewed is not None:
                return renewed
            return await store.receive(entry, self._source.body())

    async def _renewed(self, store: IBlobStore, entry: Entry) -> Received | None:
        digested = IDigested(store, None)
        if digested is None:
            return None
        try:
            received = await digested.renew(entry)
        except (BlobNotFound, Unsupported):  # an old server has to be sent the bytes, and says that it has them
            if not self._was_there:
                self._heard(False)
            return None
        self._was_there = True
        self._heard(True)
        return received
