"""Many small blobs at a time, out of a store of this process and into it.

Each is checked as it would be alone, by the same functions. What is shared is the way: one request for all of them, and on a
disk one change of the index, so that they become durable together.
"""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterable, Sequence

from twisted.web.iweb import IBodyProducer

from sos.concurrently import concurrently
from sos.decisions.batch import LARGEST, ROOM, check_batch, check_names, fault_of, weight
from sos.http.bodies import BytesBody
from sos.store.ages import Ages
from sos.store.arrival import agreed, refuse_losers
from sos.store.commits import Commits
from sos.store.holdings import Holdings
from sos.store.index import Outcome, Write
from sos.store.staging import Workshop
from sos.store.turns import Turns
from sos.words.blob import BlobID, Entry, Parcel
from sos.words.errors import BlobConflict, BlobDamaged, BlobNotFound, SOSError
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
            await self._let_others()
        return parcels

    @abc.abstractmethod
    async def _let_others(self) -> None:
        """Let others have their turn, where reading a blob takes any time."""

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """Take small blobs in side by side."""
        check_batch(parcels)
        return await concurrently(self._outcome_of(parcel) for parcel in parcels)

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


class InOneChange(InBatches):
    """The verbs for many, for a store whose small blobs are rows: what was checked goes into its index all at once.

    To take each alone would cost a stage, a coroutine and a Deferred for each, more than the row itself.
    """

    uuid: str
    _ages: Ages
    _commits: Commits
    _holdings: Holdings
    _workshop: Workshop
    _turns: Turns

    @abc.abstractmethod
    def _check_write(self, entry: Entry) -> None:
        """Raise the `SOSError` that says why a write cannot succeed, whatever room there is."""

    def _room_for(self, entry: Entry, size: int | None) -> Workshop:
        """Give what takes so many bytes in. Raises `StoreFull`, and `Unavailable`."""
        return self._workshop.with_room_for(size, lambda: self._holdings.awaits(entry))

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """Take small blobs in, in one transaction. Where there is room for all, the disk is asked for it once."""
        check_batch(parcels)
        is_roomy = self._workshop.has_room_for_small(sum(len(parcel.payload) for parcel in parcels))
        writes = [self._write_of(parcel, is_roomy) for parcel in parcels]
        admitted = [write for write in writes if isinstance(write, Write)]
        outcomes = iter(await self._commits.submit(lambda index: index.apply_each(admitted)) if admitted else ())
        return [self._told(next(outcomes)) if isinstance(write, Write) else write for write in writes]

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        """Give small blobs with their bytes. One batch is read at a time."""
        async with self._turns:
            return await super().fetch_some(blob_ids)

    async def in_turns(self, pieces: Iterable[bytes]) -> Sequence[bytes]:
        """Make a long answer piece by piece."""
        return await self._turns.each(pieces)

    async def _let_others(self) -> None:
        """End a piece."""
        await self._turns.give_way()

    def _write_of(self, parcel: Parcel, is_roomy: bool) -> Write | SOSError:
        fault = fault_of(parcel)
        if fault is not None:
            return fault
        size = len(parcel.payload)
        try:
            self._check_write(parcel.entry)
            if not is_roomy:
                self._room_for(parcel.entry, size)
            entry = agreed(parcel.entry, size, size, hashlib.sha256(parcel.payload).digest())
        except SOSError as error:
            return error
        return Write(entry, self._ages.now, parcel.payload)

    def _told(self, outcome: Outcome | SOSError) -> Received | SOSError:
        """Give what a write came to, as `receive` says it."""
        if isinstance(outcome, SOSError):
            return outcome
        try:
            refuse_losers(outcome.decision, outcome.held)
        except BlobConflict as error:
            return error
        return Received(outcome.held, self.uuid)
