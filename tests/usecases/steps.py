"""Steps: what happens at once happens in an order that a test picks, one step at a time, and the same order every time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.words.blob import BlobID, Entry, Kind, Span, Version
from sos.words.errors import SOSError
from sos.words.interfaces import (
    IBlobRemover,
    IBlobStore,
    IDigested,
    ILocalReplica,
    OpenBlob,
    Received,
    Removed,
    StoreSummary,
)

T = TypeVar("T")


class Steps:
    """What may happen next: a request reaches a store, a thread does its work, an answer arrives."""

    def __init__(self) -> None:
        self.is_free = False
        """Whether everything happens at once, as in a test without steps."""
        self._waiting: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    async def turn(self) -> None:
        """Wait for a turn of one's own."""
        if self.is_free:
            return
        turn: Deferred[None] = Deferred()
        self._waiting.append(lambda: turn.callback(None))  # one whose turn was cancelled may get it all the same
        await turn

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """Stand in for a thread, whose work takes a turn."""
        await self.turn()
        return call(*arguments)

    def take(self, choice: int) -> None:
        """Let one of those that wait go on."""
        self._waiting.pop(choice % len(self._waiting))()

    def take_all(self, chance: random.Random, most: int | None = None) -> int:
        """Take steps by chance until nothing waits, or so many; give how many that were."""
        taken = 0
        while self._waiting and taken != most:
            self.take(chance.randrange(len(self._waiting)))
            taken += 1
        return taken

    def set_free(self) -> None:
        """Let everything happen at once from now on, first what waits."""
        self.is_free = True
        while self._waiting:
            self.take(0)

    def hold(self) -> None:
        """Take steps one by one again."""
        assert not self._waiting
        self.is_free = False


@implementer(IBlobStore, IBlobRemover, IDigested)
class Stepped:
    """A member as one writer or replicator sees it: a request is a step, and so is its answer."""

    def __init__(self, store: ILocalReplica, steps: Steps) -> None:
        self.stored = 0
        """Writes that went well."""
        self.bytes_in = 0
        self._store = store
        self._steps = steps

    async def _answer(self, verb: str, *arguments: Any) -> Any:
        await self._steps.turn()
        try:
            answer = await getattr(self._store, verb)(*arguments)
        except SOSError:
            await self._steps.turn()
            raise
        await self._steps.turn()
        return answer

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        return await self._answer("fetch", blob_id, span)  # type: ignore[no-any-return]

    async def stat(self, blob_id: BlobID) -> Entry:
        return await self._answer("stat", blob_id)  # type: ignore[no-any-return]

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        received: Received = await self._answer("receive", entry, body)
        self.stored += 1
        self.bytes_in += received.entry.size or 0
        return received

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        return await self._answer("enumerate", prefix, after, limit, kind)  # type: ignore[no-any-return]

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        return await self._answer("remove", blob_id, version, is_stray)  # type: ignore[no-any-return]

    async def summary(self) -> StoreSummary:
        return await self._answer("summary")  # type: ignore[no-any-return]

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        return await self._answer("digests", part)  # type: ignore[no-any-return]

    async def entries(self, bucket: int, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        return await self._answer("entries", bucket, after, limit)  # type: ignore[no-any-return]

    async def strays(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        return await self._answer("strays", after, limit)  # type: ignore[no-any-return]

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        return await self._answer("fetch_past_expiry", blob_id)  # type: ignore[no-any-return]

    async def renew(self, entry: Entry) -> Received:
        return await self._answer("renew", entry)  # type: ignore[no-any-return]

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        await self._answer("forget", blob_id, version)

    async def old_tombstones(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        return await self._answer("old_tombstones", after, limit)  # type: ignore[no-any-return]

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        return await self._answer("drop_tombstones", tombstones)  # type: ignore[no-any-return]

    async def note_round(self, number: int, group: str) -> None:
        await self._answer("note_round", number, group)

    async def suspect(self, blob_id: BlobID) -> None:
        await self._answer("suspect", blob_id)
