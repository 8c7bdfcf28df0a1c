"""A store whose failures are remembered: it wraps a member's, and tells the health of the members what it sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.http.bodies import BytesBody
from sos.http.passed_body import PassedBody
from sos.words.blob import BlobID, Entry, Kind, Parcel, Span, Version
from sos.words.errors import ServerUnavailable, SOSError
from sos.words.interfaces import IRemoteReplica, OpenBlob, Received, Removed, StoreSummary, Swept

T = TypeVar("T")


@implementer(IRemoteReplica)
class WatchedStore:
    """Passes everything on; a member that is out of reach has failed, one that gives any answer of its own is well."""

    def __init__(self, store: IRemoteReplica, failed: Callable[[], None], answered: Callable[[], None]) -> None:
        """Watch `store`, and tell `failed` or `answered` of what comes back."""
        self._store = store
        self._failed = failed
        self._answered = answered

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        """See `IBlobFetcher`. A body that is not all here is watched too: its member can go away in the middle of it."""
        return self._watched_open(await self._watched(self._store.fetch(blob_id, span)))

    async def stat(self, blob_id: BlobID) -> Entry:
        """See `IBlobFetcher`."""
        return await self._watched(self._store.stat(blob_id))

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        """See `IBlobReceiver`."""
        return await self._watched(self._store.receive(entry, body))

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        """See `IBlobEnumerator`."""
        return await self._watched(self._store.enumerate(prefix, after, limit, kind))

    async def alive(self) -> None:
        """See `IProbed`."""
        await self._watched(self._store.alive())

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        """See `IBlobRemover`."""
        return await self._watched(self._store.remove(blob_id, version, is_stray))

    async def summary(self) -> StoreSummary:
        """See `IDigested`."""
        return await self._watched(self._store.summary())

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        """See `IDigested`."""
        return await self._watched(self._store.digests(part))

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        """See `IDigested`."""
        return await self._watched(self._store.entries(bucket, after, limit, buckets))

    async def strays(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """See `IDigested`."""
        return await self._watched(self._store.strays(after, limit))

    async def renew(self, entry: Entry) -> Received:
        """See `IDigested`."""
        return await self._watched(self._store.renew(entry))

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        """See `IDigested`."""
        return self._watched_open(await self._watched(self._store.fetch_past_expiry(blob_id)))

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        """See `IDigested`."""
        return await self._watched(self._store.fetch_some(blob_ids))

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """See `IDigested`."""
        return await self._watched(self._store.receive_some(parcels))

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        """See `IDigested`."""
        await self._watched(self._store.forget(blob_id, version))

    async def old_tombstones(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """See `IDigested`."""
        return await self._watched(self._store.old_tombstones(after, limit))

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        """See `IDigested`."""
        return await self._watched(self._store.drop_tombstones(tombstones))

    async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """See `ISweepable`."""
        return await self._watched(self._store.of_kind(kind, after, limit))

    async def sweep(self, chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Swept:
        """See `ISweepable`."""
        return await self._watched(self._store.sweep(chunks, is_rehearsal))

    async def note_round(self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> None:
        """See `IDigested`."""
        await self._watched(self._store.note_round(number, group, is_partial, incarnation))

    async def suspect(self, blob_id: BlobID) -> None:
        """See `IDigested`."""
        await self._watched(self._store.suspect(blob_id))

    def _watched_open(self, opened: OpenBlob) -> OpenBlob:
        if isinstance(opened.body, BytesBody):
            return opened
        return evolve(opened, body=_WatchedBody(opened.body, self._failed))

    async def _watched(self, answer: Awaitable[T]) -> T:
        try:
            result = await answer
        except ServerUnavailable:
            self._failed()
            raise
        except SOSError:
            self._answered()
            raise
        self._answered()
        return result


class _WatchedBody(PassedBody):
    """Passes a body on, and tells of the server that breaks it off."""

    def __init__(self, body: IBodyProducer, failed: Callable[[], None]) -> None:
        super().__init__(body)
        self._failed = failed

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Pour the body."""
        return super().startProducing(consumer).addErrback(self._tell)

    def _tell(self, failure: Failure) -> Failure:
        if failure.check(ServerUnavailable):
            self._failed()
        return failure
