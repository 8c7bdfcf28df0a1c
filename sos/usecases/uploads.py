"""Uploads: hash an object as it arrives, cut it into chunks if it is large, and store it under the digest of its bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256

from attrs import frozen
from twisted.web.iweb import IBodyProducer

from sos.decisions.batch import is_small
from sos.decisions.budget import Budget
from sos.decisions.manifest import MOST_CHUNKS, Manifest, manifest_json
from sos.decisions.sizes import KIB, MIB
from sos.http.bodies import PIECE, BytesBody, BytesSource
from sos.usecases.arrival import Arrival, Digest, Part
from sos.usecases.copies import Copies
from sos.usecases.load import Load
from sos.usecases.shipment import Shipment
from sos.words.blob import BlobID, Entry, Kind, Metadata
from sos.words.errors import UploadTooSlow

LARGEST_PIECE = 512 * KIB
"""Bytes that a buffer grows by at once; what a connection brings is cut where it is more, and that it seldom is."""

LONGEST_UPLOAD = 86_400.0
"""Seconds that an object may take from its first chunk to its manifest (design, section 7): a sweep spares chunks for seven
days, so what comes slower could be acknowledged without them."""


@frozen
class Uploaded:
    """An object that is stored: its ID, its length in bytes, and the number of members that hold all of it durably now."""

    id: BlobID
    size: int
    copies: int


class Uploads:
    """Names objects by their bytes, and stores them."""

    def __init__(
        self,
        copies: Copies,
        digest: Callable[[], Digest],
        most: int,
        chunk_size: int = 4 * MIB,
        memory: int = 256 * MIB,
    ) -> None:
        """Name objects by `digest`, take `most` bytes each, and keep `memory` bytes of all at most: four chunks or more."""
        self._copies = copies
        self._digest = digest
        self._most = min(most, MOST_CHUNKS * chunk_size)
        self._chunk_size = chunk_size
        self.budget = Budget(memory, min(LARGEST_PIECE, memory // 8))
        self._sizes_at_once = range(min(self._most, chunk_size, self.budget.piece) + 1)

    async def upload(self, body: IBodyProducer, metadata: Metadata, expires: int | None = None) -> Uploaded:
        """Take an object to its end and store it; `expires` is the unix time at which it is gone by itself.

        Raises `BlobTooLarge`, `UploadTooSlow`, what the body fails with, and what `Copies.deliver` raises. Then there may be
        chunks of it, but nothing that names them.
        """
        digest = self._digest()
        if isinstance(body, BytesBody) and body.length in self._sizes_at_once and self.budget.take(body.length):
            return await self._upload_at_once(body, digest, metadata, expires)
        arrival = Arrival(body, self._most, self._chunk_size, self.budget, digest)
        try:
            first = await arrival.next_part()
            assert first is not None, "the first part is there even where it is empty"
            if arrival.is_complete:
                copies = await self._store_part(BlobID(digest.hexdigest()), first, metadata, expires)
            else:
                copies = await self._store_chunks(arrival, first, digest, metadata, expires)
        finally:
            arrival.stop()
        return Uploaded(BlobID(digest.hexdigest()), arrival.size, copies)

    async def _upload_at_once(self, body: BytesBody, digest: Digest, metadata: Metadata, expires: int | None) -> Uploaded:
        """Store a body that is in memory, and that the budget has counted: it is never cut, and need not arrive."""
        payload = b"".join(body.pieces)
        body.stopProducing()
        source = BytesSource([payload])
        with Load(source, partial(self.budget.give_back, len(payload))) as load:
            digest.update(payload)
            object_id = BlobID(digest.hexdigest())
            entry = Entry(
                id=object_id, size=len(payload), sha256=sha256(payload).digest(), metadata=metadata, expires=expires
            )
            return Uploaded(object_id, len(payload), await self._store_blob(entry, source, load))

    async def _store_part(self, object_id: BlobID, part: Part, metadata: Metadata, expires: int | None) -> int:
        entry = Entry(id=object_id, size=part.size, sha256=part.sha256, metadata=metadata, expires=expires)
        source = part.source()
        with Load(source, part.drop) as load:
            return await self._store_blob(entry, source, load)

    async def _store_blob(self, entry: Entry, source: BytesSource, load: Load) -> int:
        """Store an object as one blob, and give the number of copies."""
        groups = self._copies.groups_for(entry.id)
        if is_small(entry):  # to ask whether it is there would cost as much as to send it
            tally = await self._copies.send(entry, b"".join(source.pieces), load, groups)
        else:
            tally = await self._copies.deliver(entry, load.renew_or_send, groups)
        return tally.copies

    async def _store_chunks(
        self, arrival: Arrival, part: Part | None, digest: Digest, metadata: Metadata, expires: int | None
    ) -> int:
        """Send each part as a chunk, and the manifest when all are durable; give the smallest number of copies.

        An object that is there as one blob stays so, and is renewed.
        """
        began, shipment = self._copies.seconds(), Shipment(self._copies, arrival.fail)
        try:
            while part is not None:
                shipment.send(part)
                await shipment.when_there_is_room()
                self._check_time(began)
                part = await arrival.next_part()
            await shipment.when_stored()
        finally:
            shipment.cancel()
        manifest = Manifest(BlobID(digest.hexdigest()), tuple(shipment.chunks))
        as_blob = await self._copies.renew_blob(manifest.object_id, manifest.size, metadata, expires)
        if as_blob is not None:  # then the chunks were stored in vain
            return as_blob.copies
        self._check_time(began)
        of_manifest = await self._store_manifest(manifest, metadata, expires)
        return min(of_manifest, shipment.copies)  # a slow member may have taken a chunk meanwhile

    def _check_time(self, began: float) -> None:
        if self._copies.seconds() > began + LONGEST_UPLOAD:
            raise UploadTooSlow("An upload of so many bytes may take a day; this one took longer, and is not kept.")

    async def _store_manifest(self, manifest: Manifest, metadata: Metadata, expires: int | None) -> int:
        """Write down which chunks the object has, and give the number of copies.

        What was cut in another way is replaced, for nobody has looked at its chunks, and these are known to be there.
        """
        payload = manifest_json(manifest)
        entry = Entry(
            id=manifest.object_id,
            kind=Kind.MANIFEST,
            size=len(payload),
            sha256=sha256(payload).digest(),
            metadata=metadata,
            expires=expires,
        )
        with Load(BytesSource([payload[at : at + PIECE] for at in range(0, len(payload), PIECE)])) as load:
            tally = await self._copies.deliver(entry, load.renew_or_send, self._copies.groups_for(entry.id))
        return tally.copies
