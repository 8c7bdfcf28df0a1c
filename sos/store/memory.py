"""The store in memory: for tests and for trying things out. It is gone with its process, and in all else like the disk's."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.merge import Decision, merge
from sos.http.bodies import PIECE, BytesBody, collect
from sos.store.arrival import agreed, check_incoming, known_length, limit_of, refuse_losers
from sos.store.reader import MOST_NAMES
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import (
    BlobDamaged,
    BlobNotFound,
    BlobTooLarge,
    DigestMismatch,
    RangeNotSatisfiable,
    SOSError,
    StoreFull,
    Unavailable,
)
from sos.words.interfaces import ILocalStore, OpenBlob, Received, StoreStatus
from sos.words.versions import HybridClock

DEFAULT_CAPACITY = 256 * 1024 * 1024
"""Bytes that a store in memory takes unless told."""


@implementer(ILocalStore)
class MemoryStore:
    """Blobs in a dictionary."""

    def __init__(self, uuid: str, clock: HybridClock, capacity: int = DEFAULT_CAPACITY) -> None:
        """Be an empty store that takes up to `capacity` bytes."""
        self.uuid = uuid
        self.clock = clock
        self._capacity = capacity
        self._held: dict[BlobID, tuple[Entry, bytes]] = {}
        self._is_closed = False

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open a blob."""
        entry, payload = self._sound(blob_id)
        wanted = Span(0, len(payload)) if span is None else span
        if wanted.start < 0 or wanted.length < 0 or wanted.stop > len(payload):
            raise RangeNotSatisfiable(len(payload))
        pieces = [payload[at : min(at + PIECE, wanted.stop)] for at in range(wanted.start, wanted.stop, PIECE)]
        return OpenBlob(entry, BytesBody(*pieces))

    async def stat(self, blob_id: BlobID) -> Entry:
        """Give the entry of a blob that `fetch` would give."""
        return self._sound(blob_id)[0]

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        """Give the next names, as many at a time as the store on a disk does."""
        self._check_open()
        names = sorted(name for name, (entry, _) in self._held.items() if _is_listed(entry, prefix, kind))
        start = bisect_right(names, after)
        return names[start : start + max(0, min(limit, MOST_NAMES))]

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        """Take a blob in."""
        try:
            self._check_open()
            check_incoming(entry)
            self.clock.observe(entry.version)
            self._check_room(limit_of(entry, body) or 0)
        except SOSError:
            body.stopProducing()
            raise
        payload = await self._collected(entry, body)
        settled = agreed(entry, known_length(body), len(payload), hashlib.sha256(payload).digest())
        return Received(self._applied(settled, payload), self.uuid)

    def damage(self, blob_id: BlobID) -> None:
        """Mark a blob as damaged, as the disk's store does when it finds one so: its bytes are gone, its entry stays."""
        entry, _ = self._held[blob_id]
        self._held[blob_id] = (evolve(entry, is_damaged=True), b"")

    def status(self) -> StoreStatus:
        """Say how the store is."""
        self._check_open()
        sound = [entry.size or 0 for entry, _ in self._held.values() if _is_listed(entry, "", None)]
        return StoreStatus(len(sound), sum(sound), self._free(), 2**63 - 1, is_read_only=False)

    async def close(self) -> None:
        """Serve nothing more."""
        self._is_closed = True

    async def _collected(self, entry: Entry, body: IBodyProducer) -> bytes:
        """Take the bytes of a body into memory; more than were declared, or than there is room for, stop it."""
        limit = limit_of(entry, body)
        room = self._free()
        try:
            return await collect(body, room if limit is None else min(limit, room))
        except CancelledError:
            body.stopProducing()
            raise
        except BlobTooLarge:
            body.stopProducing()
            if limit is not None and limit <= room:
                raise DigestMismatch(f"The body has more than the {limit} bytes that were declared.") from None
            raise StoreFull("The store in memory has no more room.") from None

    def _applied(self, incoming: Entry, payload: bytes) -> Entry:
        """Let the merge rule decide, and give the entry that is held then."""
        self._check_open()
        current, _ = self._held.get(incoming.id, (None, b""))
        decision = merge(current, incoming)
        if decision is Decision.TAKE:
            self._held[incoming.id] = (incoming, payload)
        elif decision is Decision.HEAL and current is not None:
            self._held[incoming.id] = (evolve(current, is_damaged=False), payload)
        held, _ = self._held[incoming.id]
        refuse_losers(decision, held)
        return held

    def _sound(self, blob_id: BlobID) -> tuple[Entry, bytes]:
        self._check_open()
        held = self._held.get(blob_id)
        if held is None or not held[0].is_live:
            raise BlobNotFound(blob_id)
        if held[0].is_damaged:
            raise BlobDamaged(blob_id)
        return held

    def _check_room(self, size: int) -> None:
        if size > self._free():
            raise StoreFull("The store in memory has no more room.")

    def _free(self) -> int:
        return self._capacity - sum(len(payload) for _, payload in self._held.values())

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("The store is closed.")


def _is_listed(entry: Entry, prefix: str, kind: Kind | None) -> bool:
    """Whether a list of names has this one."""
    return entry.is_live and not entry.is_damaged and entry.id.startswith(prefix) and kind in (None, entry.kind)
