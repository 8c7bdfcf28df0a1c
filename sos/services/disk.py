"""A store on a disk, with the threads that it needs, from the start of its service to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sos.services.threads import Threads
from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.store.pace import Pace
from sos.store.room import Reserve
from sos.store.warming import READERS

WRITING_THREADS = 4
"""Threads that write and hash larger blobs: enough to keep a disk busy, few enough not to starve the reactor's."""


class DiskService(Service):
    """Opens a store when it starts, and closes it when it ends; whoever uses the store has ended by then."""

    _log = Logger()

    def __init__(
        self,
        path: Path,
        *,
        reserve: Reserve,
        must_exist: bool,
        tombstone_age: float,
        sweep_age: float,
        adopt: str | None,
        scrub_rate: float | None,
        wall: Callable[[], float],
        reactor: Any,
    ) -> None:
        """Keep the store in a directory, and make it a member of the group `adopt`; `wall` gives unix seconds.

        `scrub_rate` is the bytes a second that the scrub reads, None for what is usual, 0 for no passes by itself.
        """
        self._path = path
        self._reserve = reserve
        self._must_exist = must_exist
        self._tombstone_age = tombstone_age
        self._sweep_age = sweep_age
        self._adopt = adopt
        self._wall = wall
        self._reactor = reactor
        self._writing = Threads(reactor, WRITING_THREADS, f"writing {path}")
        self._committing = Threads(reactor, 1, f"committing {path}")
        self._scrubbing = Threads(reactor, 1, f"scrubbing {path}")
        self._reading = Threads(reactor, READERS, f"reading {path}")
        self._threads = (self._writing, self._committing, self._scrubbing, self._reading)
        self._pace = Pace(reactor, scrub_rate)
        self._store: DiskStore | None = None

    @property
    def store(self) -> DiskStore:
        """The open store."""
        assert self._store is not None, "it is open from the start of the service on"
        return self._store

    def privilegedStartService(self) -> None:
        """Open the store, for what answers to requests is built on it. Raises `StoreRefused`."""
        super().privilegedStartService()
        self._store = open_disk_store(
            self._path,
            in_thread=self._writing,
            commit_in_thread=self._committing,
            scrub_in_thread=self._scrubbing,
            read_in_thread=self._reading,
            wall=self._wall,
            reserve=self._reserve,
            must_exist=self._must_exist,
            tombstone_age=self._tombstone_age,
            sweep_age=self._sweep_age,
            clock=self._reactor,
        )

    def startService(self) -> None:
        """Let the threads run."""
        super().startService()
        for threads in self._threads:
            threads.startService()
        if self._adopt is not None:
            adopting = Deferred.fromCoroutine(self._adopted(self._adopt))
            adopting.addErrback(lambda failure: self._log.failure("The store was not adopted", failure))

    async def reap(self) -> None:
        """Turn all that expired long enough ago into tombstones."""
        while await self.store.reap():
            pass

    async def scrub(self) -> None:
        """Go on with a pass of the scrub, if one is due."""
        await self.store.scrub_on(self._pace)

    async def _adopted(self, group: str) -> None:
        await self.store.adopt(group)
        self._log.info("The store {path} is a member of group {group} now", path=str(self._path), group=group)

    def stopService(self) -> Deferred[None]:
        """Close the store, then end its threads."""
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        await self.store.close()
        for threads in self._threads:
            threads.stopService()
