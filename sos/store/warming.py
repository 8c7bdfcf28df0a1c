"""Warming: where the memory cannot hold the database, a blob is read in a thread before the reactor's thread reads it.

What has to come from the disk first would hold up everybody for as long as the disk takes, ten milliseconds where it has to
seek. So a thread reads it, throws it away, and then it is in memory for a while: whoever wanted it reads it as always, and
sees the last commit.

To ask a thread takes several times as long as to read what is in memory. So what was read lately is not read ahead, and
what comes while a thread is busy goes together.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sos.store.reader import Reader
from sos.words.blob import BlobID
from sos.words.errors import SOSError
from sos.words.interfaces import InThread

READERS = 4
"""Calls that read at a time where the disk is slow: disks of any kind serve several together faster than one by one. Where
what is read is in memory after all, they would only take the interpreter from each other: then there is one."""

TOGETHER = 16
"""Blobs that a call reads at most: the last of them waits for the others."""

SLOW = 0.001
"""Seconds for each blob of a call that show that the disk was asked."""

LATELY = 8
"""What was read lately is what a part of the memory can hold: one of so many. Files and other programs need some, too."""

MOST_NAMES = 32_768
"""Names of what was read lately, kept twice at most: 10 MiB."""

_PAGES_A_ROW = 2 * 4096
"""Bytes of the leaves in which a row is found, beside those of its blob."""

SHARE = 2
"""The database is large when it has more than the memory divided by this (design, section 5)."""

_LOOK_EVERY = 1000
"""Reads between two looks at how large the database is: each is a read itself, and it does not grow much in between."""

_CACHE_KIBIBYTES = 1024
"""Pages that each connection may keep: a few of the innermost, for what is read once is the system's to keep."""

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


class Warming:
    """Reads blobs ahead, in threads, through connections that it opens when they are first needed."""

    _log = Logger()

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        in_thread: InThread,
        size: Callable[[], int],
        memory: int,
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Read through what `connect` gives. `size` gives the bytes of the database, `memory` how many can be kept of it.

        `seconds` counts on, and says how long a call took.
        """
        self._connect = connect
        self._in_thread = in_thread
        self._size = size
        self._memory = memory
        self._seconds = seconds
        self._at_a_time = 1
        self._young: set[BlobID] = set()
        self._old: set[BlobID] = set()
        self._young_bytes = 0
        self._waiting: list[tuple[BlobID, Deferred[None]]] = []
        self._under_way = 0
        self._when_idle: Deferred[None] | None = None
        self._idle: list[Reader] = []
        self._left = 0
        self._was_large = False

    def is_needed(self, blob_id: BlobID) -> bool:
        """Whether the database is large, and a blob was not read lately."""
        return self._is_large() and blob_id not in self._young and blob_id not in self._old

    def _is_large(self) -> bool:
        self._left -= 1
        if self._left < 0:
            self._left = _LOOK_EVERY
            with contextlib.suppress(sqlite3.Error):  # whoever reads what he came for is told
                self._was_large = self._size() > self._memory // SHARE
        return self._was_large

    def of(self, blob_id: BlobID) -> Deferred[None]:
        """Read a blob. It fails with nothing: whoever reads the blob next meets what is wrong."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((blob_id, waiting))
        self._go_on()
        return waiting

    def end(self) -> Deferred[None]:
        """Wait until nothing is being read; nothing may be asked for any more."""
        when_idle = self._when_idle = Deferred()
        self._go_on()
        return when_idle

    def close(self) -> None:
        """Close the connections. Blocks."""
        for reader in self._idle:
            reader.close()

    def _go_on(self) -> None:
        """Have read what waits, as far as a thread is free."""
        while self._waiting and self._under_way < self._at_a_time:
            wanted = [(blob_id, waiting) for blob_id, waiting in self._waiting if not waiting.called]
            some, self._waiting = wanted[:TOGETHER], wanted[TOGETHER:]
            if some:
                self._under_way += 1
                Deferred.fromCoroutine(self._read_in_thread(some)).addErrback(self._log_failure)
        if not self._under_way and self._when_idle is not None:
            when_idle, self._when_idle = self._when_idle, None
            when_idle.callback(None)

    async def _read_in_thread(self, some: Sequence[tuple[BlobID, Deferred[None]]]) -> None:
        reader = self._idle.pop() if self._idle else None
        blob_ids = [blob_id for blob_id, _ in some]
        try:
            reader, size, seconds = await self._in_thread(self._read, reader, blob_ids)
            self._at_a_time = READERS if seconds > SLOW * len(blob_ids) else 1
            self._note(blob_ids, size)
        finally:
            if reader is not None:
                self._idle.append(reader)
            self._under_way -= 1
            for _, waiting in some:
                if not waiting.called:  # who asked may have left
                    waiting.callback(None)
            self._go_on()

    def _note(self, blob_ids: Iterable[BlobID], size: int) -> None:
        """Remember what was read; what is older than as much again is forgotten."""
        self._young.update(blob_ids)
        self._young_bytes += size
        if self._young_bytes > self._memory // (2 * LATELY) or len(self._young) > MOST_NAMES:
            self._old, self._young, self._young_bytes = self._young, set(), 0

    def _read(self, reader: Reader | None, blob_ids: Sequence[BlobID]) -> tuple[Reader | None, int, float]:
        """Read through a connection, a new one unless there is one; give it back, None where it cannot be opened.

        Also the bytes that were read, and the seconds that it took.
        """
        begun, size = self._seconds(), 0
        with contextlib.suppress(sqlite3.Error):
            reader = reader or self._opened()
            for blob_id in blob_ids:
                with contextlib.suppress(SOSError):
                    row = reader.row(blob_id)
                    size += _PAGES_A_ROW + (0 if row is None or row.payload is None else len(row.payload))
        return reader, size, self._seconds() - begun

    def _opened(self) -> Reader:
        connection = self._connect()
        reader = Reader(connection)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        return reader

    def _log_failure(self, failure: Failure) -> None:
        self._log.failure("Blobs were not read ahead, in a way that nobody foresaw", failure=failure)


def usable_memory(own_cgroup: Path = _OWN_CGROUP, cgroups: Path = _CGROUPS) -> int:
    """Give the bytes of memory that this process and the files that it reads may have: of the machine, or of its cgroup.

    What is read of files counts as memory of the cgroup (cgroup v2, ``memory.max``), and of each one above it.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        (name,) = (line[3:] for line in own_cgroup.read_text().splitlines() if line.startswith("0::"))
        own = cgroups / name.strip("/")
        for group in (own, *own.parents):
            if group.is_relative_to(cgroups):
                memory = min(memory, _limit_of(group, memory))
    return memory


def _limit_of(group: Path, unless: int) -> int:
    with contextlib.suppress(OSError, ValueError):  # the root has none, and "max" is no number
        return int((group / "memory.max").read_text())
    return unless
