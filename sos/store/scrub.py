"""The scrub: everything that is stored is read again, a little at a time, and what is damaged is set apart.

A pass looks at the indexes, then at the rows with their bytes, at the files that no row names, and at the digests and
counts. Each step is short, reads in a thread of its own, and is followed by a pause; no read of the database stays open
between two steps. What a step finds is put right by the thread that writes the index, which looks again first: so a pass
and the writes that go on meanwhile do not disturb each other.

Where it stands is noted in the database, every few seconds and after each finding, so that a restart goes on from there.

Rejected: to walk by ID, for the rows would be read in the order of their hash, all over the disk; and one snapshot for a
whole pass, for the WAL could not be cut as long as it lasts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sos.decisions.buckets import BUCKETS
from sos.store import mending
from sos.store.ages import Ages
from sos.store.commits import Commits
from sos.store.file_check import FileCheck
from sos.store.lane import Lane
from sos.store.mending import Mender
from sos.store.pace import BREAK, Pace, Pauses
from sos.store.quarantine import Suspicion
from sos.store.reckoning import Reckoning
from sos.store.row_walk import BYTES_A_ROW, Extent, RowsSeen, RowWalk
from sos.store.rows import Row
from sos.store.scrub_pass import Phase, ScrubPass
from sos.store.staging import Workshop
from sos.store.tree_walk import DIRECTORIES, TreeWalk
from sos.store.turns import Turns
from sos.words.errors import SOSError
from sos.words.interfaces import Findings, InThread, ScrubStanding

NOTE_EVERY = 10.0
"""Seconds between two notes of where a pass stands: what a kill costs it."""

REST = 600.0
"""Seconds before a pass goes on after something failed: the disk, mostly, and then it has other worries."""

_BYTES_A_DIRECTORY = 4096
"""What listing a directory is taken for, and each name in it for a part of that."""
_BYTES_A_NAME = 256

NOTE = "scrub"
"""The name under which it is noted where a pass stands."""


@frozen
class ScrubParts:
    """What a scrub works with."""

    connection: sqlite3.Connection
    """Its own, for reading."""
    opening: int
    in_thread: InThread
    noted: bytes | None


class Scrub:
    """Runs passes over one store."""

    _log = Logger()

    def __init__(
        self,
        parts: ScrubParts,
        workshop: Workshop,
        mender: Mender,
        commits: Commits,
        ages: Ages,
        turns: Turns,
        mark: Callable[[Suspicion], Awaitable[bool]],
    ) -> None:
        """Find damage, and have it marked by `mark`."""
        self._lane = Lane(parts.in_thread)
        self._rows = RowWalk(parts.connection)
        self._files = TreeWalk(workshop.fs, parts.connection, parts.opening)
        self._reckoning = Reckoning(parts.connection)
        self._workshop = workshop
        self._latch = workshop.latch
        self._mender = mender
        self._commits = commits
        self._ages = ages
        self._turns = turns
        self._mark = mark
        self._pass = ScrubPass.of_text(parts.noted)
        self._extent = Extent()
        self._is_running = False
        self._is_closed = False
        self._noted_at = 0.0
        self._rests_until = 0.0

    # Asking

    def ask(self) -> int:
        """Have a pass begin now, unless one that was asked for is under way or about to be; give its number."""
        self._latch.check_read()
        self._latch.check_write()
        if not self._pass.is_asked:
            self._pass.begin_anew()
            self._pass.is_asked = True
            self._rests_until = 0.0
        return self._pass.passes + 1

    @property
    def standing(self) -> ScrubStanding:
        """Where it stands."""
        return self._pass.standing(self._ages.since(self._pass.ended))

    # Running

    async def go_on(self, pace: Pace) -> None:
        """If a pass is due, go on from where it stands to its end, at this pace.

        Cancelled, it stops at once. What fails is logged, and tried again a while later.
        """
        if self._is_running or self._is_closed or not self._is_due(pace):
            return
        self._is_running, self._noted_at = True, pace.clock.seconds()
        try:
            self._extent = await self._lane.run(self._rows.extent)
            await self._run(pace)
        except (SOSError, OSError, sqlite3.Error) as error:
            if self._is_closed:
                return
            why = error if isinstance(error, SOSError) else self._latch.judge(error)
            self._rests_until = pace.clock.seconds() + REST
            self._log.warn("The scrub was broken off, and goes on later: {why}", why=why)
        finally:
            self._is_running = False

    def _is_due(self, pace: Pace) -> bool:
        if pace.clock.seconds() < self._rests_until or self._latch.is_read_only:
            return False
        if self._pass.is_asked:
            return True
        if pace.rate == 0:
            return False
        ended = self._pass.ended
        return self._pass.is_under_way or ended is None or not 0 <= self._ages.wall() - ended < BREAK

    async def _run(self, pace: Pace) -> None:
        number, pauses = self._pass.passes, Pauses(pace)
        while self._pass.passes == number and not self._is_closed:
            before = self._pass.found_so_far
            amount = await self._step(pauses)
            is_due = pace.clock.seconds() - self._noted_at >= NOTE_EVERY
            if is_due or self._pass.found_so_far != before or self._pass.passes != number:
                self._noted_at = pace.clock.seconds()
                await self.note()
            if self._pass.passes == number:
                await pauses.after(amount, self._extent.size, self._pass.is_asked)

    async def _step(self, pauses: Pauses) -> int:
        """Do the next step, and give the bytes that it has read. A pass that begins anew meanwhile stays where it is."""
        match self._pass.phase:
            case Phase.INDEXES:
                return await self._check_indexes()
            case Phase.ROWS:
                return await self._check_rows(pauses)
            case Phase.TREE:
                return await self._check_directory()
            case Phase.BOOKS:
                return await self._check_books()

    async def note(self) -> None:
        """Note where it stands, durably."""
        text = self._pass.to_text()
        await self._commits.submit(lambda index: index.note(NOTE, text))

    async def close(self) -> None:
        """Note where it stands, and wait for the call that may still run: the database can be closed then."""
        self._is_closed = True
        with contextlib.suppress(SOSError):
            if self._pass.is_under_way or self._pass.is_asked:
                await self.note()
        await self._lane.idle()

    # The phases

    async def _check_indexes(self) -> int:
        is_sound = await self._lane.run(self._reckoning.indexes_are_sound)
        if not is_sound:
            self._log.error("An index of the store's database was damaged; it is made anew from the rows")
            await self._commits.submit(mending.reindex)
        self._pass.count(books=not is_sound)
        self._extent = await self._lane.run(self._rows.extent)
        self._pass.until = self._extent.last
        self._pass.enter(Phase.ROWS)
        return 0

    async def _check_rows(self, pauses: Pauses) -> int:
        at = self._pass.at
        rows, seen = await self._lane.run(self._rows.read, at)
        async with self._turns:  # a thread would keep the interpreter from whoever is served, for all of them at a time
            for values in rows:
                seen.look_at(values)
                await self._turns.give_way()
        if not seen.is_well:
            await self._mend(seen)
        for row in seen.files:
            await self._check_file(row, pauses)
        if (self._pass.phase, self._pass.at) != (Phase.ROWS, at):  # asked to begin anew
            return seen.size
        self._pass.checked += seen.count
        if seen.last is None or seen.last >= self._pass.until:
            self._pass.enter(Phase.TREE)
        else:
            self._pass.at = seen.last
        return seen.size

    async def _mend(self, seen: RowsSeen) -> None:
        for suspicion in seen.suspicions:
            await self._set_apart(suspicion)
        for number in seen.misplaced:
            self._pass.count(rows=await self._commits.submit(partial(mending.replace, number=number)))
        for number in seen.distrusted:
            await self._distrust(number)
        for number in seen.loose:
            drop = partial(self._mender.drop_loose, number=number, serial=self._workshop.serials.next())
            self._pass.count(orphans=await self._commits.submit(drop))

    async def _distrust(self, number: int) -> None:
        distrust = partial(self._mender.distrust, number=number, serial=self._workshop.serials.next(), now=self._ages.now)
        name = await self._commits.submit(distrust)
        if name is not None:
            self._pass.count(rows=1)
            self._log.warn(
                "The entry of {name} is damaged: only its ID is known, and a round has to bring it back", name=name
            )

    async def _check_file(self, row: Row, pauses: Pauses) -> None:
        assert row.file is not None
        check = FileCheck(self._workshop.fs, self._workshop.tree, row.entry, row.file)
        try:
            await self._lane.run(check.open)
            while amount := await self._lane.run(check.read_on):
                await pauses.after(amount, self._extent.size, self._pass.is_asked)
        finally:
            Deferred.fromCoroutine(self._lane.run(check.close)).addErrback(lambda failure: failure.trap(OSError))
        if check.suspicion is not None:
            await self._set_apart(check.suspicion)

    async def _set_apart(self, suspicion: Suspicion) -> None:
        self._pass.count(damaged=await self._mark(suspicion))

    async def _check_directory(self) -> int:
        at = self._pass.at
        seen = await self._lane.run(self._files.step, at)
        self._pass.count(orphans=seen.removed + seen.set_apart, foreign=seen.foreign)
        if seen.removed or seen.set_apart:
            self._log.info(
                "Files that no entry names: {removed} were removed, and {set_apart} went to quarantine",
                removed=seen.removed,
                set_apart=seen.set_apart,
            )
        if (self._pass.phase, self._pass.at) == (Phase.TREE, at):
            self._pass.at = seen.next
            if seen.next >= DIRECTORIES:
                self._pass.enter(Phase.BOOKS)
        return _BYTES_A_DIRECTORY + _BYTES_A_NAME * seen.count if seen.count else 0

    async def _check_books(self) -> int:
        bucket = self._pass.at
        if bucket >= BUCKETS:
            await self._check_counts()
            return 0
        seen = await self._lane.run(self._reckoning.buckets, bucket)
        for wrong in seen.wrong:
            if await self._commits.submit(partial(mending.mend_bucket, bucket=wrong)):
                self._pass.count(books=1)
                self._log.warn("The digest of bucket {bucket} was not that of its entries; it is now", bucket=wrong)
        if (self._pass.phase, self._pass.at) == (Phase.BOOKS, bucket):
            self._pass.at = seen.next
        return BYTES_A_ROW * seen.count

    async def _check_counts(self) -> None:
        if not await self._lane.run(self._reckoning.counts_are_right) and await self._commits.submit(mending.mend_counts):
            has_cause = bool(self._pass.found_so_far.rows)  # what a damaged row had added to them is known only now
            self._pass.count(books=not has_cause)
            self._log.warn("The counts of the store were not those of its entries; they are now")
        if self._pass.phase is Phase.BOOKS:
            self._pass.end(self._ages.wall())
            self._tell(self._pass.found)

    def _tell(self, found: Findings) -> None:
        if found == Findings():
            self._log.info("Pass {number} of the scrub has ended: all is well", number=self._pass.passes)
            return
        self._log.warn(
            "Pass {number} of the scrub has ended: damaged blobs {damaged}, damaged entries {rows}, orphans removed"
            " {orphans}, books put right {books}, foreign things left alone {foreign}",
            number=self._pass.passes,
            damaged=found.damaged,
            rows=found.rows,
            orphans=found.orphans,
            books=found.books,
            foreign=found.foreign,
        )
