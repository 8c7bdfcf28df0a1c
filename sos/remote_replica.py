"""The remote store with all that replication needs: a blob server's ``DELETE`` and ``/sync``.

A server of the old contract knows neither: then every one of these verbs is `Unsupported`, and nothing was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from attrs import evolve
from zope.interface import implementer

from sos.decisions import batch_wire, scrub_wire, sync_wire, wire
from sos.decisions.batch import check_batch, check_names, fault_of
from sos.decisions.buckets import BUCKETS, PARTS, bucket_of
from sos.http.answer import Answer
from sos.http.bodies import BytesSource, collect
from sos.remote import RemoteStore, is_ours
from sos.words.blob import KIND_WORDS, BlobID, Entry, Kind, Parcel, Version
from sos.words.errors import (
    BadInput,
    BlobNotFound,
    BlobTooLarge,
    OtherGroup,
    OtherIncarnation,
    ServerUnavailable,
    SOSError,
    Unsupported,
)
from sos.words.interfaces import IRemoteReplica, IScrubbed, OpenBlob, Received, Removed, ScrubStanding, StoreSummary, Swept

P = TypeVar("P")
T = TypeVar("T")


@implementer(IRemoteReplica, IScrubbed)
class RemoteReplica(RemoteStore):
    """The store of a blob server that can be a member of a group."""

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        """Leave a tombstone; see `IBlobRemover`."""
        headers = [(b"X-Sos-Version", b"%d" % version)]
        if is_stray:
            headers.append((b"X-Sos-Stray", b"1"))
        answer = await self._answer_of(b"DELETE", wire.blob_path(blob_id), headers, expected=204, blob_id=blob_id)
        await collect(answer.body, 0)
        held = evolve(Entry.tombstone(blob_id, version), is_stray=answer.header(wire.STRAY) == b"1")
        return Removed(held, answer.header(wire.KNOWN) == b"1", self._store_of(answer))

    async def summary(self) -> StoreSummary:
        """Say what the whole store holds; see `IDigested`."""
        return await self._get(b"/sync", sync_wire.summary_of)

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        """Give 64 digests; see `IDigested`."""
        _check_place(part, PARTS, "part")
        return await self._get(b"/sync/digests" if part is None else b"/sync/digests/%d" % part, sync_wire.digests_of)

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        """Give the next entries of a bucket, or of several; see `IDigested`."""
        _check_place(bucket, BUCKETS, "bucket")
        entries = await self._page(
            b"/sync/bucket/%d" % bucket, after, limit, {} if buckets == 1 else {"buckets": str(buckets)}
        )
        if any(not bucket <= bucket_of(entry.id) < bucket + buckets for entry in entries):
            raise ServerUnavailable(self.server, "it lists entries in a bucket that is not theirs")
        return entries

    async def strays(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next strays; see `IDigested`."""
        return await self._page(b"/sync/strays", after, limit)

    async def old_tombstones(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next old tombstones; see `IDigested`."""
        return await self._page(b"/sync/tombstones", after, limit)

    async def renew(self, entry: Entry) -> Received:
        """Bring version and metadata; see `IDigested`."""
        if not entry.is_live or entry.sha256 is None:  # neither shows in the headers
            raise BadInput("Only a live entry that names its SHA-256 can be renewed.")
        headers = [*wire.internal_headers(entry), *entry.metadata.pairs]
        if entry.size is not None:
            headers.append((b"X-Sos-Size", b"%d" % entry.size))
        path = b"/sync/renew/" + entry.id.encode("ascii")
        answer = await self._answer_of(b"POST", path, headers, [b""], blob_id=entry.id)
        name, size = self._read(wire.stored_of, await self._payload_of(answer))
        held = self._entry_of(entry.id, answer, size)
        if name != entry.id or held.sha256 != entry.sha256 or entry.size not in (None, size):
            raise ServerUnavailable(self.server, "it acknowledged another entry than the one that it was sent")
        return Received(evolve(entry, size=size, version=held.version, is_stray=held.is_stray), self._store_of(answer))

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        """Open a blob, be it expired; see `IDigested`."""
        answer = await self._answer_of(b"GET", b"/sync/blob/" + blob_id.encode("ascii"), blob_id=blob_id)
        try:
            return OpenBlob(self._entry_of(blob_id, answer, answer.length), answer.body)
        except SOSError:
            answer.body.stopProducing()
            raise

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        """Give small blobs with their bytes; see `IDigested`. Whose bytes they are, the caller looks at."""
        check_names(blob_ids)
        answer = await self._batch_answer(b"/sync/fetch", [batch_wire.names_json(blob_ids)])
        parcels = self._read(batch_wire.batch_of, await self._long_payload_of(answer, batch_wire.MOST_BATCH))
        if not {parcel.entry.id for parcel in parcels} <= set(blob_ids):
            raise ServerUnavailable(self.server, "it sent other blobs than it was asked for")
        return parcels

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """Send small blobs; see `IDigested`. What cannot go in a batch is refused here."""
        check_batch(parcels)
        faults = [fault_of(parcel) for parcel in parcels]
        sent = [parcel for parcel, fault in zip(parcels, faults, strict=True) if fault is None]
        outcomes = iter(await self._sent(sent) if sent else ())
        return [next(outcomes) if fault is None else fault for fault in faults]

    async def _sent(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        answer = await self._batch_answer(b"/sync/receive", [batch_wire.batch_bytes(parcels)])
        if answer.was_early:
            answer.body.stopProducing()
            raise ServerUnavailable(self.server, "it acknowledged blobs before it had the whole of them")
        payload = await self._long_payload_of(answer, batch_wire.MOST_OUTCOMES_JSON)
        store = self._store_of(answer)
        outcomes = self._read(lambda raw: batch_wire.outcomes_of(raw, parcels, self.server), payload)
        return [Received(outcome, store) if isinstance(outcome, Entry) else outcome for outcome in outcomes]

    async def _batch_answer(self, path: bytes, pieces: Sequence[bytes]) -> Answer:
        try:
            return await self._answer_of(b"POST", path, (), pieces)
        except Unsupported:
            raise Unsupported(f"{self.server} does not take or give many blobs at a time.") from None

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        """Drop a stray; see `IDigested`."""
        path = b"/sync/forget/" + blob_id.encode("ascii")
        await self._post(path, b"", [(b"X-Sos-Version", b"%d" % version)], blob_id=blob_id)

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        """Drop tombstones; see `IDigested`."""
        payload = await self._post(b"/sync/drop", sync_wire.tombstones_json(tombstones))
        return self._read(sync_wire.count_of, payload)

    async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next live entries of a kind; see `ISweepable`."""
        return await self._page(b"/sync/kind/" + KIND_WORDS[kind].encode("ascii"), after, limit)

    async def sweep(self, chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Swept:
        """Sweep chunks; see `ISweepable`."""
        payload = await self._post(b"/sync/sweep", sync_wire.chunks_json(chunks, is_rehearsal))
        return self._read(sync_wire.swept_of, payload)

    async def note_round(self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> None:
        """Note a round; see `IDigested`."""
        note = sync_wire.round_json(number, group, is_partial, incarnation)
        answer = await self._request(b"POST", b"/sync/round", (), [note])
        if answer.status == 412 and is_ours(answer):
            answer.body.stopProducing()
            raise OtherIncarnation(f"{self.server} was started meanwhile.")
        if answer.status == 409 and is_ours(answer):
            answer.body.stopProducing()
            raise OtherGroup(f"{self.server} belongs to another group than {group}; see --adopt.")
        await self._checked(answer, 200, None)
        await self._payload_of(answer)

    async def suspect(self, blob_id: BlobID) -> None:
        """Have a copy checked; see `IDigested`."""
        await self._post(b"/sync/suspect/" + blob_id.encode("ascii"), b"", blob_id=blob_id)

    async def scrub(self) -> int:
        """Ask for a pass; see `IScrubbed`."""
        return self._read(scrub_wire.pass_of, await self._post(b"/sync/scrub", b""))

    async def scrub_standing(self) -> ScrubStanding:
        """Say where the scrub stands; see `IScrubbed`."""
        status = await self.status()
        if status is None or "scrub" not in status:
            raise Unsupported(f"{self.server} does not say where its scrub stands.")
        return self._read(scrub_wire.standing_of, status["scrub"])

    # Asking

    async def _get(self, path: bytes, read: Callable[[bytes], T]) -> T:
        answer = await self._answer_of(b"GET", path)
        return self._read(read, await self._long_payload_of(answer, sync_wire.MOST_ENTRIES_JSON))

    async def _long_payload_of(self, answer: Answer, most: int) -> bytes:
        try:
            return await collect(answer.body, most)
        except BlobTooLarge:
            raise ServerUnavailable(self.server, "it answered more than a blob server would") from None

    async def _page(self, path: bytes, after: str, limit: int, also: Mapping[str, str] = {}) -> Sequence[Entry]:
        query = urlencode({"after": after, "limit": str(limit), **also}).encode("ascii")
        entries = await self._get(path + b"?" + query, sync_wire.entries_of)
        if len(entries) > limit or (entries and entries[0].id <= after):
            raise ServerUnavailable(self.server, "it lists other entries than it was asked for")
        return entries

    async def _post(self, path: bytes, payload: bytes, headers: wire.Headers = (), blob_id: BlobID | None = None) -> bytes:
        answer = await self._answer_of(b"POST", path, headers, [payload], blob_id=blob_id)
        return await self._payload_of(answer)

    async def _answer_of(
        self,
        method: bytes,
        path: bytes,
        headers: wire.Headers = (),
        pieces: Sequence[bytes] | None = None,
        expected: int = 200,
        blob_id: BlobID | None = None,
    ) -> Answer:
        return await self._checked(await self._request(method, path, headers, pieces), expected, blob_id)

    async def _request(self, method: bytes, path: bytes, headers: wire.Headers, pieces: Sequence[bytes] | None) -> Answer:
        """Send a request that may be repeated: each of these verbs done twice comes to the same."""
        source = None if pieces is None else BytesSource(pieces)
        named = [*self._headers, *headers]
        return self._heard(await self._client.request(method, self._origin, path, named, source=source))

    async def _checked(self, answer: Answer, expected: int, blob_id: BlobID | None) -> Answer:
        """Raise what the answer says, `Unsupported` where the server does not know what was asked of it."""
        if not is_ours(answer) and answer.status in (404, 405, 501):
            answer.body.stopProducing()
            raise Unsupported(f"{self.server} speaks the old contract: it cannot delete, and keeps no digests.")
        if answer.status != expected:
            error = wire.error_of(answer.status, answer.headers, await self._payload_of(answer), self.server, blob_id)
            raise error if blob_id is not None or not isinstance(error, BlobNotFound) else self._odd(answer)
        return answer

    def _odd(self, answer: Answer) -> ServerUnavailable:
        return ServerUnavailable(self.server, f"it answered {answer.status}, not as a blob server does")

    def _read(self, read: Callable[[P], T], payload: P) -> T:
        try:
            return read(payload)
        except BadInput as error:
            raise ServerUnavailable(self.server, f"its answer cannot be read: {error}") from None


def _check_place(place: int | None, places: int, what: str) -> None:
    """Raise `BadInput` for a number that no server has: its 404 would look like that of the old contract."""
    if place is not None and not 0 <= place < places:
        raise BadInput(f"There is no {what} {place}: they are numbered from 0 to {places - 1}.")
