"""Simulated disks: a store in memory whose writes take time, are lost with their process, or fail.

The index of a real store commits atomically and in order, and answers after its commit; so does this. What waits for its
sync when the process dies was never there. What the disk holds outlives the store that served it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from random import Random

from attrs import define, field
from twisted.internet.task import Clock, deferLater
from twisted.web.iweb import IBodyProducer

from sos.store.memory import MemoryStore
from sos.store.shelf import Shelf
from sos.words.blob import OLD_CONTRACT, BlobID, Entry, Span, Version
from sos.words.errors import SOSError, StoreFull, StoreReadOnly, Unavailable
from sos.words.interfaces import OpenBlob, Received, Removed, Swept
from sos.words.versions import HybridClock

TOMBSTONE_AGE = 20.0
"""Seconds: so short that tombstones are dropped within a run."""

EXPIRY_GRACE = 5.0

SWEEP_AGE = 60.0
"""Seconds: longer than the longest upload, whose client gives up before."""

LONGEST_SWEEP = SWEEP_AGE / 7
"""Seconds: a seventh of that age, as in earnest a day is of seven."""


@define
class Disk:
    """What is durable, and how the disk behaves."""

    uuid: str
    shelf: Shelf = field(factory=Shelf)
    round: int = 0
    group: str | None = None
    is_partial: bool = False
    dropped: tuple[int, Version] = (0, OLD_CONTRACT)
    highest: Version = OLD_CONTRACT
    sync_seconds: float = 0.002
    is_full: bool = False
    is_read_only: bool = False
    is_failing: bool = False
    """Whether nothing can be read either."""

    def snapshot(self) -> Disk:
        """Copy what is durable."""
        return Disk(
            self.uuid,
            copy.deepcopy(self.shelf),
            self.round,
            self.group,
            self.is_partial,
            self.dropped,
            self.highest,
            self.sync_seconds,
        )

    def backup(self) -> Disk:
        """Copy what is durable, as a backup does: it has missed the last round."""
        taken = self.snapshot()
        taken.round = max(0, taken.round - 1)
        return taken

    def restore(self, older: Disk) -> None:
        """Become what a copy of an earlier moment holds."""
        again = older.snapshot()
        self.shelf, self.round, self.group, self.is_partial = again.shelf, again.round, again.group, again.is_partial
        self.dropped, self.highest = again.dropped, again.highest

    def heal(self) -> None:
        """Be a sound disk with room, as after it was replaced; what it holds stays."""
        self.sync_seconds, self.is_full, self.is_read_only, self.is_failing = 0.002, False, False, False


class SimStore(MemoryStore):
    """The store of one process on a disk."""

    def __init__(self, disk: Disk, versions: HybridClock, clock: Clock, chance: Random) -> None:
        """Open what is on a disk."""
        super().__init__(
            disk.uuid,
            versions,
            tombstone_age=TOMBSTONE_AGE,
            expiry_grace=EXPIRY_GRACE,
            sweep_age=SWEEP_AGE,
            steady=clock.seconds,
        )
        self.disk = disk
        self._time = clock
        self._chance = chance
        self._shelf = disk.shelf
        self.round, self.group, self.is_partial, self._dropped = disk.round, disk.group, disk.is_partial, disk.dropped

    def die(self) -> None:
        """End with its process: what waits for its sync is lost, and whatever code still runs finds nothing."""
        self._is_closed = True
        self._shelf = Shelf()

    async def _synced(self) -> None:
        """Wait for the disk, which may fail meanwhile; the change that follows is durable, and answered at once."""
        self._check_writable()
        await deferLater(self._time, self.disk.sync_seconds * (0.5 + self._chance.random()))
        self._check_open()
        self._check_writable()

    def _note(self) -> None:
        self.disk.round, self.disk.group, self.disk.is_partial = self.round, self.group, self.is_partial
        self.disk.dropped = self._dropped
        self.disk.highest = max(self.disk.highest, *(entry.version for entry in self._shelf.entries), Version(0))

    def _check_writable(self) -> None:
        if self.disk.is_failing:
            raise Unavailable("The disk does not answer.")
        if self.disk.is_read_only:
            raise StoreReadOnly("The disk failed.")

    # Writing

    async def _collected(self, entry: Entry, body: IBodyProducer) -> bytes:
        payload = await super()._collected(entry, body)
        await self._synced()
        return payload

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        try:
            self._check_writable()
            if self.disk.is_full:
                raise StoreFull("The disk is full.")
        except SOSError:
            body.stopProducing()
            raise
        received = await super().receive(entry, body)
        self._note()
        return received

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        await self._synced()
        removed = await super().remove(blob_id, version, is_stray)
        self._note()
        return removed

    async def renew(self, entry: Entry) -> Received:
        await self._synced()
        received = await super().renew(entry)
        self._note()
        return received

    async def forget(self, blob_id: BlobID, version: Version) -> None:
        await self._synced()
        await super().forget(blob_id, version)

    async def drop_tombstones(self, tombstones: Sequence[tuple[BlobID, Version]]) -> int:
        await self._synced()
        number = await super().drop_tombstones(tombstones)
        self._note()
        return number

    async def sweep(self, chunks: Sequence[tuple[BlobID, Version]], is_rehearsal: bool = False) -> Swept:
        await self._synced()
        swept = await super().sweep(chunks, is_rehearsal)
        self._note()
        return swept

    async def note_round(self, number: int, group: str, is_partial: bool = False, incarnation: str | None = None) -> None:
        await self._synced()
        await super().note_round(number, group, is_partial, incarnation)
        self._note()

    # Reading

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        self._check_readable()
        return await super().fetch(blob_id, span)

    async def stat(self, blob_id: BlobID) -> Entry:
        self._check_readable()
        return await super().stat(blob_id)

    def _check_readable(self) -> None:
        if self.disk.is_failing:
            raise Unavailable("The disk does not answer.")
