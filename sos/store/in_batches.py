"""Many small blobs at a time, out of a store of this process and into it.

Each goes the very way that it would go alone, so that nothing is checked less: only the request is shared, and the commit,
for what waits for the disk together becomes durable together.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.web.iweb import IBodyProducer

from sos.decisions.batch import LARGEST, ROOM, check_batch, check_names, fault_of, weight
from sos.http.bodies import BytesBody
from sos.words.blob import BlobID, Entry, Parcel
from sos.words.errors import BlobDamaged, BlobNotFound, SOSError
from sos.words.interfaces import OpenBlob, Received


class InBatches(abc.ABC):
    """The verbs for many, made of those for one."""

    @abc.abstractmethod
    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        """See `IDigested`."""

    @abc.abstractmethod
    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        """See `IBlobReceiver`."""

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        """Give small blobs with their bytes, up to the first that does not fit any more."""
        check_names(blob_ids)
        parcels: list[Parcel] = []
        room = ROOM
        for blob_id in blob_ids:
            parcel = await self._parcel_of(blob_id)
            if parcel is not None:
                room -= weight(parcel.entry)
                if room < 0:
                    break
                parcels.append(parcel)
        return parcels

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """Take small blobs in side by side, so that they share a commit."""
        check_batch(parcels)
        receiving = [Deferred.fromCoroutine(self._outcome_of(parcel)) for parcel in parcels]
        return await gatherResults(receiving, consumeErrors=True)

    async def _parcel_of(self, blob_id: BlobID) -> Parcel | None:
        try:
            opened = await self.fetch_past_expiry(blob_id)
        except (BlobNotFound, BlobDamaged):
            return None
        if (opened.entry.size or 0) > LARGEST or not isinstance(opened.body, BytesBody):
            opened.body.stopProducing()
            return None
        return Parcel(opened.entry, b"".join(opened.body.pieces))

    async def _outcome_of(self, parcel: Parcel) -> Received | SOSError:
        fault = fault_of(parcel)
        if fault is not None:
            return fault
        try:
            return await self.receive(parcel.entry, BytesBody(parcel.payload))
        except SOSError as error:
            return error
