"""The store in memory: for tests and for trying things out. It is gone with its process, and in all else like the disk's."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.buckets import BUCKETS_A_PART, PARTS, bucket_of, part_digests, root_digest
from sos.decisions.merge import held_after, merge
from sos.http.bodies import collect
from sos.store.ages import DEFAULT_EXPIRY_GRACE, DEFAULT_SWEEP_AGE, DEFAULT_TOMBSTONE_AGE, Ages
from sos.store.arrival import (
    agreed,
    check_buckets,
    check_few,
    check_group,
    check_incoming,
    check_place,
    check_renewal,
    check_round,
    check_size,
    known_length,
    limit_of,
    refuse_losers,
)
from sos.store.in_batches import InBatches
from sos.store.incarnation import check_incarnation, new_incarnation
from sos.store.listing import MOST_ENTRIES
from sos.store.reader import MOST_NAMES
from sos.store.shelf import Held, Shelf
from sos.words.blob import BlobID, Entry, Kind, Span, Version
from sos.words.errors import (
    BlobDamaged,
    BlobNotFound,
    BlobTooLarge,
    DigestMismatch,
    SOSError,
    StoreFull,
    Unavailable,
)
from sos.words.interfaces import (
    Findings,
    ILocalReplica,
    OpenBlob,
    Received,
    Removed,
    ScrubStanding,
    StoreStatus,
    StoreSummary,
    Swept,
)
from sos.words.versions import HybridClock

DEFAULT_CAPACITY = 256 * 1024 * 1024
"""Bytes that a store in memory takes unless told."""


@implementer(ILocalReplica)
class MemoryStore(InBatches):
    """Blobs in a dictionary."""

    def __init__(
        self,
        uuid: str,
        clock: HybridClock,
        capacity: int = DEFAULT_CAPACITY,
        *,
        tombstone_age: float = DEFAULT_TOMBSTONE_AGE,
        expiry_grace: float = DEFAULT_EXPIRY_GRACE,
        sweep_age: float = DEFAULT_SWEEP_AGE,
        steady: Callable[[], float] | None = None,
    ) -> None:
        """Be an empty store that takes up to `capacity` bytes, and waits so many seconds before it tidies up."""
        self.uuid, self.incarnation = uuid, new_incarnation()
        self.clock = clock
        self.round, self.is_partial = 0, False
        self.group: str | None = None
        self._round_noted_at: float | None = None
        self._dropped = 0, Version(0)
        self._healed, self._scrubbed = 0, ScrubStanding()
        self._scrubbed_at: float | None = None
        self._capacity = capacity
        self._ages = Ages(clock.now, tombstone_age, expiry_grace, sweep_age, steady)
        self._shelf = Shelf()
        self._is_closed = False

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open a blob."""
        return self._sound(blob_id).opened(span)

    async def stat(self, blob_id: BlobID) -> Entry:
        """Give the entry of a blob that `fetch` would give."""
        return self._sound(blob_id).entry

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        """Give the next names, as many at a time as the store on a disk does."""
        self._check_open()
        names = sorted(entry.id for entry in self._shelf.entries if self._is_listed(entry, prefix, kind))
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
        self._check_open()
        held, _ = self._applied(settled, payload)
        return Received(held, self.uuid)

    def damage(self, blob_id: BlobID) -> None:
        """Mark a blob as damaged, as the disk's store does when it finds one so: its bytes are gone, its entry stays."""
        held = self._shelf.held(blob_id)
        assert held is not None
        self._shelf.put(Held(evolve(held.entry, is_damaged=True), b"", held.arrived))

    def status(self) -> StoreStatus:
        """Say how the store is."""
        self._check_open()
        counts = self._shelf.counts
        return StoreStatus(
            blobs=counts["live"],
            size=counts["size"],
            free_bytes=self._free(),
            free_inodes=2**63 - 1,
            is_read_only=False,
            deleted=counts["deleted"],
            damaged=counts["damaged"],
            strays=counts["strays"],
            round=self.round,
            group=self.group,
            round_age=self._ages.since(self._round_noted_at),
            healed=self._healed,
            scrub=evolve(self._scrubbed, age=self._ages.since(self._scrubbed_at)),
        )

    async def close(self) -> None:
        """Serve nothing more."""
        self._is_closed = True

    # Removing

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        """Leave a tombstone; the bytes are gone at once."""
        self._check_open()
        self.clock.observe(version)
        held, was_known = self._applied(evolve(Entry.tombstone(blob_id, version), is_stray=is_stray), b"")
        return Removed(held, was_known, self.uuid)

    async def reap(self, limit: int = 1000) -> int:
        """Turn blobs that expired more than the grace ago into tombstones."""
        self._check_open()
        by = self._ages.past_grace
        expired = [entry for entry in self._shelf.entries if entry.is_live and entry.is_expired(by)]
        due = sorted(expired, key=lambda entry: entry.expires or 0)[: max(0, limit)]
        for entry in due:
            self._applied(evolve(Entry.tombstone(entry.id, entry.version), is_stray=entry.is_stray), b"")
        return len(due)

    # Damage

    async def suspect(self, blob_id: BlobID) -> None:
        """Hash the bytes of a blob, and mark it if they are not those of its entry."""
        self._check_open()
        held = self._shelf.held(blob_id)
        if held is not None and self._is_wrong(held):
            self.damage(blob_id)

    async def scrub(self) -> int:
        """Make a pass over everything, at once."""
        self._check_open()
        wrong = [held.entry.id for held in self._shelf if self._is_wrong(held)]
        for blob_id in wrong:
            self.damage(blob_id)
        self._scrubbed_at = self._ages.wall()
        self._scrubbed = ScrubStanding(self._scrubbed.passes + 1, found=Findings(damaged=len(wrong)))
        return self._scrubbed.passes

    async def scrub_standing(self) -> ScrubStanding:
        """Say where the scrub stands: never within a pass."""
        self._check_open()
        return evolve(self._scrubbed, age=self._ages.since(self._scrubbed_at))

    def _is_wrong(self, held: Held) -> bool:
        is_whole = held.entry.is_live and not held.entry.is_damaged
        return is_whole and hashlib.sha256(held.payload).digest() != held.entry.sha256

    # Replication

    async def summary(self) -> StoreSummary:
        """Say what the whole store holds."""
        self._check_open()
        counts = self._shelf.counts
        return StoreSummary(
            store=self.uuid,
            root=root_digest(self._shelf.buckets),
            live=counts["live"],
            deleted=counts["deleted"],
            damaged=counts["damaged"],
            strays=counts["strays"],
            clock=self.clock.last,
            round=self.round,
            group=self.group,
            dropped_round=self._dropped[0],
            dropped_version=self._dropped[1],
            time=self._ages.now,
            uptime=self._ages.uptime,
            incarnation=self.incarnation,
            is_partial=self.is_partial,
        )

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        """Give the digests of all parts, or of the buckets of one."""
        self._check_open()
        check_place(part, PARTS, "part")
        buckets = self._shelf.buckets
        return part_digests(buckets) if part is None else buckets[part * BUCKETS_A_PART : (part + 1) * BUCKETS_A_PART]

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        """Give the next entries of a bucket, or of several."""
        check_buckets(bucket, buckets)
        these = range(bucket, bucket + buckets)
        return self._listed(lambda held: not held.entry.is_stray and bucket_of(held.entry.id) in these, after, limit)

    async def strays(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next strays."""
        return self._listed(lambda held: held.entry.is_stray, after, limit)

    async def renew(self, entry: Entry) -> Received:
        """Change version and metadata of a blob whose bytes are here."""
        self._check_open()
        check_renewal(entry)
        self.clock.observe(entry.version)
        held = self._shelf.held(entry.id)
        if held is None:
            raise BlobNotFound(entry.id)
        refuse_losers(merge(held.entry, entry), held.entry)
        if held.entry.is_damaged or held.entry.sha256 != entry.sha256:
            raise BlobNotFound(entry.id)
        check_size(entry, held.entry)
        renewed, _ = self._applied(evolve(entry, size=held.entry.size), held.payload)
        return Received(renewed, self.uuid)

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        """Open a blob, be it expired."""
        return self._sound(blob_id, past_expiry=True).opened(None)

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        """Drop a stray that was carried home."""
        self._check_open()
        self._drop([(blob_id, version)], lambda held: held.entry.is_stray)

    async def old_tombstones(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next tombstones that are older than the tombstone age."""
        return self._listed(self._is_old_tombstone, after, limit)

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        """Drop tombstones, if they are old by our own clock."""
        self._check_open()
        held = {held.entry.id: held.entry.version for held in self._shelf}
        number = self._drop(tombstones, self._is_old_tombstone)
        if number:
            gone = [version for name, version in tombstones if held.get(name) == version and self._shelf.held(name) is None]
            self._dropped = self.round, max(self._dropped[1], *gone)
        return number

    async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next live entries of a kind."""
        return self._listed(lambda held: held.entry.is_live and held.entry.kind is kind, after, limit)

    async def sweep(self, chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Swept:
        """Turn old chunks into tombstones of their version."""
        self._check_open()
        check_few(chunks, MOST_ENTRIES)
        found = [held for named in chunks if (held := self._old_chunk(*named)) is not None]
        for held in [] if is_rehearsal else found:
            self._applied(Entry.tombstone(held.entry.id, held.entry.version), b"")
        return Swept(len(found), sum(held.entry.size or 0 for held in found))

    def _old_chunk(self, blob_id: BlobID, version: Version) -> Held | None:
        held = self._shelf.held(blob_id)
        if held is None or held.entry.version != version or held.entry.kind is not Kind.CHUNK or not held.entry.is_live:
            return None
        return held if held.arrived < self._ages.old_chunks else None

    async def in_turns(self, pieces: Iterable[bytes]) -> Sequence[bytes]:
        """Make them."""
        return list(pieces)

    async def _let_others(self) -> None:
        """Go on: nothing here takes time."""

    async def note_round(self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> None:
        """Note a completed round."""
        self._check_open()
        check_incarnation(self.incarnation, incarnation)
        check_round(number, group)
        check_group(self.group, group)
        self.round, self.is_partial = max((self.round, self.is_partial), (number, is_partial), key=itemgetter(0))
        self.group = group
        self._round_noted_at = self._ages.wall()

    async def adopt(self, group: str) -> None:
        """Make the store a member of another group, at round 0."""
        self._check_open()
        check_round(0, group)
        if self.group != group:
            self.round, self.group, self.is_partial = 0, group, False

    def _listed(self, is_listed: Callable[[Held], bool], after: str, limit: int) -> Sequence[Entry]:
        self._check_open()
        found = sorted((held.entry for held in self._shelf if is_listed(held)), key=lambda entry: entry.id)
        start = bisect_right(found, after, key=lambda entry: entry.id)
        return found[start : start + max(0, min(limit, MOST_ENTRIES))]

    def _drop(self, named: Iterable[tuple[BlobID, Version]], may_go: Callable[[Held], bool]) -> int:
        """Drop entries that still have the version that is meant, and that may go; give their number."""
        number = 0
        for blob_id, version in named:
            held = self._shelf.held(blob_id)
            if held is not None and held.entry.version == version and may_go(held):
                self._shelf.drop(blob_id)
                number += 1
        return number

    def _is_old_tombstone(self, held: Held) -> bool:
        is_tombstone = not held.entry.is_live and not held.entry.is_stray
        return is_tombstone and held.arrived < self._ages.old_tombstones

    # What the verbs have in common

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

    def _applied(self, incoming: Entry, payload: bytes) -> tuple[Entry, bool]:
        """Let the merge rule decide; give the entry that is held then, and whether there was one before."""
        current = self._shelf.held(incoming.id)
        decision = merge(None if current is None else current.entry, incoming)
        if current is not None:
            refuse_losers(decision, current.entry)
        entry = held_after(decision, None if current is None else current.entry, incoming)
        if current is None or entry is not current.entry:
            self._shelf.put(Held(entry, payload, self._ages.now))
            self._healed += current is not None and current.entry.is_damaged and entry.is_live and not entry.is_damaged
        return entry, current is not None

    def _is_listed(self, entry: Entry, prefix: str, kind: Kind | None) -> bool:
        """Whether a list of names has this one."""
        is_sound = entry.is_live and not entry.is_damaged and not entry.is_expired(self._ages.wall())
        return is_sound and entry.id.startswith(prefix) and kind in (None, entry.kind)

    def _sound(self, blob_id: BlobID, past_expiry: bool = False) -> Held:
        self._check_open()
        held = self._shelf.held(blob_id)
        if held is None:
            raise BlobNotFound(blob_id)
        if not held.entry.is_live or (not past_expiry and held.entry.is_expired(self._ages.wall())):
            raise BlobNotFound(blob_id, held.entry.version)
        if held.entry.is_damaged:
            raise BlobDamaged(blob_id)
        return held

    def _check_room(self, size: int) -> None:
        if size > self._free():
            raise StoreFull("The store in memory has no more room.")

    def _free(self) -> int:
        return self._capacity - self._shelf.size

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("The store is closed.")
