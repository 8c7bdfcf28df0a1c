"""The store on a disk: a database of entries and small blobs, and a tree of larger ones.

What happens in which thread: arriving bytes of larger blobs are written, hashed and published in a pool; the index is
written in one thread of its own, for SQLite has one writer; it is read in the reactor's thread, as are the bytes, once
they are in memory (`sos.store.warming`). `sos.store.opening` makes one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.buckets import BUCKETS_A_PART, PARTS, part_digests
from sos.store import replica
from sos.store.arrival import (
    check_buckets,
    check_few,
    check_incoming,
    check_place,
    check_renewal,
    check_round,
    limit_of,
    refuse_losers,
)
from sos.store.books import HEALED
from sos.store.commits import Commits, Writer
from sos.store.examination import Examination
from sos.store.holdings import BytesSuspected, Holdings
from sos.store.in_batches import InOneChange
from sos.store.incarnation import check_incarnation, new_incarnation
from sos.store.index import Outcome, Write
from sos.store.lane import shielded
from sos.store.listing import MOST_ENTRIES
from sos.store.mending import Mender
from sos.store.pace import Pace
from sos.store.parts import Parts
from sos.store.published import Published
from sos.store.quarantine import Quarantine, Suspicion
from sos.store.scrub import Scrub
from sos.store.staging import Stage
from sos.store.turns import Turns
from sos.words.blob import BlobID, Entry, Kind, Span, Version
from sos.words.errors import BlobDamaged, SOSError, Unavailable
from sos.words.interfaces import ILocalReplica, OpenBlob, Received, Removed, ScrubStanding, StoreStatus, StoreSummary, Swept

T = TypeVar("T")

_PAGES_A_REAP = 1024
"""Pages given back to the disk at a time, 4 MiB: each may have to be moved."""


@implementer(ILocalReplica)
class DiskStore(InOneChange):
    """Blobs in one directory, which is this process's alone."""

    _log = Logger()

    def __init__(self, parts: Parts) -> None:
        """Put the parts together; `open_disk_store` makes them."""
        self.uuid = parts.claim.uuid
        self.clock = parts.clock
        self.incarnation = new_incarnation()
        self.round, self.group, self.is_partial = parts.standing
        self._dropped = parts.dropped
        self._ages = parts.ages
        self._round_noted_at: float | None = None
        self._listing = parts.listing
        self._release = parts.release
        self._commit_in_thread = parts.commit_in_thread
        self._workshop = workshop = parts.workshop
        self._latch = workshop.latch
        self._reader, self._warming = parts.reader, parts.warming
        self._commits = Commits(Writer(parts.index, self._latch, workshop.admission), parts.commit_in_thread)
        self._published = Published(self._commits, workshop)
        self._quarantine = Quarantine(workshop.fs, workshop.tree)
        fs, tree, latch = workshop.fs, workshop.tree, workshop.latch
        self._holdings = Holdings(parts.reader, parts.recent, fs, tree, latch, self._suspect, parts.ages.wall)
        self._examination = Examination(self._holdings, parts.reader, fs, tree, latch, workshop.in_thread)
        self._examining: set[Deferred[None]] = set()
        self._turns = Turns(parts.waiting)
        mender = Mender(fs, tree)
        self._scrub = Scrub(parts.scrub, workshop, mender, self._commits, parts.ages, self._turns, self._marked)
        self._stages: set[Stage] = set()
        self._when_no_stages: Deferred[None] | None = None
        self._is_closed = False

    # Reading

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open a blob; its body has a descriptor of its own, so that whoever replaces the blob does not tear it."""
        self._turns.note_user()
        return await self._held(self._holdings.open, blob_id, span)

    async def stat(self, blob_id: BlobID) -> Entry:
        """Give the entry of a blob that `fetch` would give."""
        return await self._held(self._holdings.stat, blob_id)

    async def _held(self, read: Callable[..., T], blob_id: BlobID, *arguments: Any) -> T:
        """Read a blob in the reactor's thread; what nobody had seen to be damaged is set apart."""
        self._check_open()
        if self._warming.is_needed(blob_id) and not self._holdings.remembers(blob_id):
            await self._warming.of(blob_id)
            self._check_open()
        try:
            return read(blob_id, *arguments)
        except BytesSuspected as error:
            raise await self._set_apart(error.suspicion) from error

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        """Give the next names, 10,000 at most."""
        return self._read(self._reader.names, prefix, after, limit, kind, self._ages.wall())

    def status(self) -> StoreStatus:
        """Say how the store is; what cannot be read counts as nothing."""
        self._check_open()
        try:
            counts, room = self._reader.counts(), self._workshop.fs.room()
        except (sqlite3.Error, OSError) as error:
            self._latch.judge(error)
            return StoreStatus(0, 0, 0, 0, self._latch.is_read_only)
        return StoreStatus(
            blobs=counts["live"],
            size=counts["size"],
            free_bytes=room.free_bytes,
            free_inodes=room.free_inodes,
            is_read_only=self._latch.is_read_only,
            deleted=counts["deleted"],
            damaged=counts["damaged"],
            strays=counts["strays"],
            round=self.round,
            group=self.group,
            round_age=self._ages.since(self._round_noted_at),
            healed=counts.get(HEALED, 0),
            scrub=self._scrub.standing,
        )

    def _read(self, read: Callable[..., T], *arguments: Any) -> T:
        """Read the index, and say what its failures mean."""
        self._check_open()
        self._latch.check_read()
        try:
            return read(*arguments)
        except sqlite3.Error as error:
            raise self._latch.judge(error) from error

    # Writing

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        """Take a blob in. Cancelled while bytes arrive, it forgets them; once they are all there, it goes on without us."""
        stage = self._admitted(entry, body)
        try:
            await stage.take(body)
        except BaseException:  # a cancellation too
            stage.discard().addErrback(self._log_failure).addBoth(lambda _: self._left(stage))
            raise
        if stage.is_small:
            outcome = await self._small_committed(stage)
        else:
            outcome = await shielded(Deferred.fromCoroutine(self._large_committed(stage)))
        refuse_losers(outcome.decision, outcome.held)
        return Received(outcome.held, self.uuid)

    def _admitted(self, entry: Entry, body: IBodyProducer) -> Stage:
        """Make a stage, if a write can succeed at all; else stop the body before it brings anything."""
        self._turns.note_user()
        try:
            self._check_write(entry)
            workshop = self._room_for(entry, limit_of(entry, body))
        except SOSError:
            body.stopProducing()
            raise
        stage = Stage(workshop, entry)
        self._stages.add(stage)
        return stage

    def _check_write(self, entry: Entry) -> None:
        self._check_open()
        self._latch.check_write()
        check_incoming(entry)
        self.clock.observe(entry.version)

    def _small_committed(self, stage: Stage) -> Deferred[Outcome]:
        try:
            write = stage.settle_small(self._ages.now)
            return self._commits.submit(lambda index: index.apply(write))
        finally:
            self._left(stage)

    async def _large_committed(self, stage: Stage) -> Outcome:
        try:
            return await self._published.commit(await stage.settle(self._ages.now))
        finally:
            self._left(stage)

    # Removing

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        """Leave a tombstone. The bytes of a larger blob are unlinked once it is durable; small ones go with its commit.

        The clock sees the version even where it is refused, so that what is asked for later is newer.
        """
        self._check_open()
        self.clock.observe(version)
        write = Write(evolve(Entry.tombstone(blob_id, version), is_stray=is_stray), self._ages.now)
        outcome = await self._commits.submit(lambda index: index.apply(write))
        refuse_losers(outcome.decision, outcome.held)
        return Removed(outcome.held, outcome.was_known, self.uuid)

    async def reap(self, limit: int = 1000) -> int:
        """Turn blobs that expired more than the grace ago into tombstones, and give free pages back to the disk."""
        by, number = self._ages.past_grace, 0
        due = self._read(self._listing.expired, by, limit)
        for some in replica.runs_of(due):
            number += await self._commits.submit(partial(replica.expire, blobs=some, now=by, arrived=self._ages.now))
        await self._commits.submit(lambda index: index.give_back_pages(_PAGES_A_REAP))
        return number

    # Replication

    async def summary(self) -> StoreSummary:
        """Say what the whole store holds; the digests are read anew only after a commit."""
        overview = self._read(self._listing.overview)
        return overview.summary(self, self._dropped, self._ages)

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        """Give the digests of all parts, or of the buckets of one."""
        check_place(part, PARTS, "part")
        buckets = self._read(self._listing.overview).buckets
        return part_digests(buckets) if part is None else buckets[part * BUCKETS_A_PART : (part + 1) * BUCKETS_A_PART]

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        """Give the next entries of a bucket, or of several, 1,000 at most."""
        check_buckets(bucket, buckets)
        return await self._turns.listed(partial(self._read, self._listing.entries, bucket, buckets), after, limit)

    async def strays(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next strays, 1,000 at most."""
        return await self._turns.listed(partial(self._read, self._listing.strays), after, limit)

    async def renew(self, entry: Entry) -> Received:
        """Change version and metadata of a blob whose bytes are here."""
        self._check_open()
        check_renewal(entry)
        self.clock.observe(entry.version)
        outcome = await self._commits.submit(lambda index: replica.renew(index, entry, self._ages.now))
        return Received(outcome.held, self.uuid)

    async def fetch_past_expiry(self, blob_id: BlobID) -> OpenBlob:
        """Open a blob, be it expired."""
        return await self._held(self._holdings.open, blob_id, None, True)

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        """Drop a stray that was carried home, with its bytes."""
        self._check_open()
        await self._commits.submit(lambda index: replica.forget(index, (blob_id, version)))

    async def old_tombstones(self, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next tombstones that are older than the tombstone age, 1,000 at most."""
        return await self._turns.listed(
            partial(self._read, self._listing.tombstones, self._ages.old_tombstones), after, limit
        )

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        """Drop tombstones, if they are old by our own clock."""
        self._check_open()
        before, number = self._ages.old_tombstones, 0
        for some in replica.runs_of(tombstones):
            number += await self._commits.submit(partial(replica.drop_tombstones, tombstones=some, before=before))
        self._dropped = await self._commits.submit(replica.dropped)
        return number

    async def of_kind(self, kind: Kind, after: str = "", limit: int = 1000) -> Sequence[Entry]:
        """Give the next live entries of a kind, 1,000 at most."""
        return await self._turns.listed(partial(self._read, self._listing.of_kind, kind), after, limit)

    async def sweep(self, chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Swept:
        """Turn old chunks into tombstones of their version."""
        self._check_open()
        check_few(chunks, MOST_ENTRIES)
        before, swept = self._ages.old_chunks, Swept()
        for some in replica.runs_of(chunks):
            done = await self._commits.submit(
                partial(replica.sweep, chunks=some, before=before, arrived=self._ages.now, is_rehearsal=is_rehearsal)
            )
            swept = Swept(swept.chunks + done.chunks, swept.size + done.size)
        return swept

    async def note_round(self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> None:
        """Note a completed round, durably; a number that is not above the one held changes nothing."""
        self._check_open()
        check_incarnation(self.incarnation, incarnation)
        check_round(number, group)
        note = partial(replica.note_round, number=number, group=group, is_partial=is_partial)
        self.round, self.group, self.is_partial = await self._commits.submit(note)
        self._round_noted_at = self._ages.wall()

    async def adopt(self, group: str) -> None:
        """Make the store a member of another group, at round 0."""
        self._check_open()
        check_round(0, group)
        self.round, self.group, self.is_partial = await self._commits.submit(partial(replica.adopt, group=group))

    async def suspect(self, blob_id: BlobID) -> None:
        """Read the bytes of a blob in a thread, and set them apart if they are wrong; even if nobody waits that long."""
        self._check_open()
        examining = Deferred.fromCoroutine(self._examine(blob_id))
        self._examining.add(examining)
        await shielded(examining.addBoth(self._examined, examining))

    async def _examine(self, blob_id: BlobID) -> None:
        suspicion = await self._examination.of(blob_id)
        if suspicion is not None:
            await self._marked(suspicion)

    def _examined(self, result: T, examining: Deferred[None]) -> T:
        self._examining.discard(examining)
        return result

    # Damage

    async def scrub(self) -> int:
        """Ask for a pass over everything now; whoever calls `scrub_on` runs it."""
        self._check_open()
        return self._scrub.ask()

    async def scrub_standing(self) -> ScrubStanding:
        """Say where the scrub stands."""
        self._check_open()
        return self._scrub.standing

    async def scrub_on(self, pace: Pace) -> None:
        """Go on with a pass that is due, to its end; see `Scrub.go_on`."""
        self._check_open()
        await self._scrub.go_on(pace)

    async def _set_apart(self, suspicion: Suspicion) -> SOSError:
        """Mark an entry as damaged, and give the error that says so; a store that cannot write says the same."""
        with contextlib.suppress(SOSError):
            await self._marked(suspicion)
        return BlobDamaged(suspicion.blob_id)

    def _suspect(self, suspicion: Suspicion) -> None:
        """Have an entry marked as damaged by and by."""
        self._marked(suspicion).addErrback(_expect_sos_error).addErrback(self._log_failure)

    def _marked(self, suspicion: Suspicion) -> Deferred[bool]:
        serial = self._workshop.serials.next()
        self._log.warn("Blob {blob_id} is damaged: {why}", blob_id=suspicion.blob_id, why=suspicion.why)
        return self._commits.submit(lambda index: self._quarantine.set_apart(suspicion, serial, index))

    # Closing

    async def close(self) -> None:
        """Stop what is arriving, finish what is being committed, and let go of files, database and lock."""
        if self._is_closed:
            return
        self._is_closed = True
        for examining in list(self._examining):
            examining.cancel()
        for stage in list(self._stages):
            stage.fail(Unavailable("The store is being closed."))
        await self._no_stages()
        await self._scrub.close()
        await self._warming.end()
        await self._commits.close()
        await self._commit_in_thread(self._release)

    def _no_stages(self) -> Deferred[None]:
        if not self._stages:
            return succeed(None)
        self._when_no_stages = Deferred()
        return self._when_no_stages

    def _left(self, stage: Stage) -> None:
        self._stages.discard(stage)
        if not self._stages and self._when_no_stages is not None:
            self._when_no_stages.callback(None)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("The store is closed.")

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("The store failed in a way that nobody foresaw", failure=failure)


def _expect_sos_error(failure: Failure) -> None:
    failure.trap(SOSError)
