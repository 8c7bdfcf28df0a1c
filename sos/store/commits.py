"""Group commit: whatever waits while a transaction runs goes into the next one, with one fsync for all of it.

One change alone is committed at once, so nobody waits for company; sixteen at a time cost little more than one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from sos.begun import begun
from sos.store.failures import Latch
from sos.store.index import CHECKPOINT_BYTES, Change, Index
from sos.store.room import Admission
from sos.words.errors import SOSError, Unavailable
from sos.words.interfaces import InThread

T = TypeVar("T")

Waiting = tuple[Change, Deferred[Any]]
"""A change, and who waits for it."""

Done = tuple[Sequence[Waiting], Sequence[Any]]
"""The changes of a transaction, and the result of each."""

MOST_CHANGES = 256
"""Changes a transaction: beyond it the fsync is shared so well that a longer one only makes the first wait for the last."""


class Writer:
    """Changes the index in batches. Blocks: it belongs to one thread, and to one call at a time."""

    def __init__(self, index: Index, latch: Latch, admission: Admission) -> None:
        """Write `index`, and nothing any more once `latch` is closed; `admission` knows when the disk is nearly full."""
        self._index = index
        self._latch = latch
        self._admission = admission

    def commit(self, changes: Sequence[Change]) -> list[Any]:
        """Make changes in one transaction; give their results, or the `SOSError` of each. Raises `SOSError` for all."""
        self._latch.check_write()
        try:
            return self._index.transact(changes)
        except (sqlite3.Error, OSError) as error:
            raise self._latch.judge(error) from error
        finally:
            self._save_room()

    def _save_room(self) -> None:
        """Keep the WAL from growing on a disk that is nearly full: it would take the reserve from the deletes."""
        with contextlib.suppress(OSError):  # a commit is what it is, whatever the disk says of its room
            if self._admission.is_short(CHECKPOINT_BYTES):
                self._index.checkpoint_soon()

    @property
    def is_untidy(self) -> bool:
        """Whether something is left to do that no caller waits for."""
        return not self._latch.is_read_only and self._index.is_untidy

    def tidy(self) -> None:
        """Unlink what the last commit stopped naming, and keep the WAL short. Raises nothing that a disk can cause."""
        try:
            self._index.unlink_dropped()
            self._index.checkpoint_if_due()
        except (sqlite3.Error, OSError) as error:
            self._latch.judge(error)


class Commits:
    """The queue before the writer's thread: never two transactions at once, none while nothing waits."""

    _log = Logger()

    def __init__(self, writer: Writer, in_thread: InThread) -> None:
        """Commit by `writer`, in the thread that `in_thread` runs calls in."""
        self._writer = writer
        self._in_thread = in_thread
        self._waiting: list[Waiting] = []
        self._is_working = False
        self._is_closed = False
        self._idle: list[Deferred[None]] = []

    def submit(self, change: Callable[[Index], T]) -> Deferred[T]:
        """Put a change into the next transaction. The result comes when it is durable.

        Fails with what the change raised, or what the whole transaction failed of. Who cancels this stops waiting; the
        change happens all the same.
        """
        if self._is_closed:
            return fail(Unavailable("The store is closed."))
        result: Deferred[T] = Deferred()
        self._waiting.append((change, result))
        if not self._is_working:
            self._is_working = True
            begun(self._work())
        return result

    def close(self) -> Deferred[None]:
        """Take no more changes; the result comes when those that were taken are durable, or have failed."""
        self._is_closed = True
        if not self._is_working:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    async def _work(self) -> None:
        """Commit while changes wait.

        The next transaction begins before anyone hears of the last one, so that the disk is not idle while they go on.
        """
        done: Done = ([], [])
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_CHANGES], self._waiting[MOST_CHANGES:]
            committing = Deferred.fromCoroutine(self._committed([change for change, _ in batch]))
            _answer(done)
            done = batch, await committing
            tidying = Deferred.fromCoroutine(self._tidied()) if self._writer.is_untidy else None
            if tidying is not None or not self._waiting:
                _answer(done)
                done = ([], [])
            if tidying is not None:
                await tidying
        self._is_working = False
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)

    async def _committed(self, changes: Sequence[Change]) -> Sequence[Any]:
        """Give one result for each change, whatever happens: those who wait must hear of it."""
        try:
            return await self._in_thread(self._writer.commit, changes)
        except Exception as error:  # the writer's guard: even a mistake of ours must not end the writing
            if not isinstance(error, SOSError):
                self._log.failure("A transaction failed in a way that nobody foresaw")
            return [error] * len(changes)

    async def _tidied(self) -> None:
        try:
            await self._in_thread(self._writer.tidy)
        except Exception:  # the writer's guard, as above
            self._log.failure("Tidying the store failed in a way that nobody foresaw")


def _answer(done: Done) -> None:
    for (_, waiting), result in zip(*done, strict=True):
        if isinstance(result, Exception):
            waiting.errback(result)
        else:
            waiting.callback(result)
