"""Workers: several processes that serve the same ports, so that an api uses more than one core.

The parent opens the ports and accepts nothing. Each worker inherits the listening sockets, and the kernel gives a connection
to whichever of them asks first. A worker keeps nothing that another needs, so one that ends is simply started again.

The timers of an api (replication) run in one of the workers, and in whoever takes its place: a round that goes wrong, or
that eats the memory, ends a worker and not the parent, which has nothing to do but to be there.

Rejected: ``SO_REUSEPORT``, where each worker has a queue of its own: what waits in it dies with the worker. And ``os.fork``
without a fresh interpreter: neither the reactor nor threads survive it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from sos.decisions.restarts import Restarts
from sos.services.worker_process import WorkerProcess

LAST_PATIENCE = 15.0
"""Seconds that workers get to end: twice the patience of a port, for each has two, and room for a slow interpreter."""

Spawn = Callable[[int, WorkerProcess], object]
"""Starts the process of the worker of a number. Raises `OSError` where the system has no room for one."""


@define
class _Place:
    """Where one worker is, or will be again."""

    number: int
    restarts: Restarts = field(factory=Restarts)
    began: float = 0.0
    process: WorkerProcess | None = None
    restart: IDelayedCall | None = None


class Workers(Service):
    """Keeps so many workers running."""

    _log = Logger()

    def __init__(self, count: int, spawn: Spawn, clock: IReactorTime, chance: Callable[[], float]) -> None:
        """Keep `count` workers; `chance` gives numbers from 0 to 1, for the pauses before restarts."""
        self._spawn = spawn
        self._clock = clock
        self._chance = chance
        self._places = [_Place(number) for number in range(1, count + 1)]

    @property
    def processes(self) -> Sequence[WorkerProcess]:
        """The workers that there are at the moment."""
        return [place.process for place in self._places if place.process is not None]

    def reload(self) -> None:
        """Let all workers read their configuration again. One that is between two lives reads it anyway."""
        for process in self.processes:
            process.reload()

    def startService(self) -> None:
        """Start all workers."""
        super().startService()
        for place in self._places:
            self._start(place)

    def stopService(self) -> Deferred[None]:
        """Let all workers end the requests they are at; the Deferred fires when all are gone."""
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        for place in self._places:
            if place.restart is not None:
                place.restart.cancel()
                place.restart = None
        ending = self.processes
        for process in ending:
            process.finish()
        overdue = self._clock.callLater(LAST_PATIENCE, self._kill_all)
        try:
            for process in ending:
                await process.when_ended()
        finally:
            if overdue.active():
                overdue.cancel()

    def _kill_all(self) -> None:
        for process in self.processes:
            self._log.warn("Worker {number} does not end, and is killed", number=process.number)
            process.kill()

    def _start(self, place: _Place) -> None:
        place.restart = None
        place.began = self._clock.seconds()
        process = WorkerProcess(place.number, lambda how: self._ended(place, how))
        place.process = process
        try:
            self._spawn(place.number, process)
        except OSError as error:
            self._ended(place, f"cannot be started ({error.strerror or error})")

    def _ended(self, place: _Place, how: str) -> None:
        place.process = None
        if not self.running:
            return
        pause = place.restarts.pause_after(self._clock.seconds() - place.began, self._chance())
        self._log.warn(
            "Worker {number} {how}; another takes its place in {pause:.1f} seconds",
            number=place.number,
            how=how,
            pause=pause,
        )
        place.restart = self._clock.callLater(pause, self._start, place)
