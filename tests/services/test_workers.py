"""Keeping so many workers running."""

from __future__ import annotations

import errno

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.decisions.restarts import FIRST_PAUSE, LONGEST_PAUSE, STEADY
from sos.services.worker_process import WorkerProcess
from sos.services.workers import LAST_PATIENCE, Workers
from tests.services.processes import FakeProcess

COUNT = 3


class WorkersTests(SynchronousTestCase):
    """Three workers that are no processes, on a clock that is none."""

    def setUp(self) -> None:
        """Start them."""
        self.clock = Clock()
        self.started: list[tuple[int, FakeProcess]] = []
        self.refusals = 0
        self.workers = Workers(COUNT, self.spawn, self.clock, lambda: 1.0)
        self.workers.startService()

    def spawn(self, number: int, worker: WorkerProcess) -> None:
        """Start a process, unless the system has no room for one."""
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.started.append((number, FakeProcess(100 + len(self.started), worker)))

    @property
    def numbers(self) -> list[int]:
        """The numbers of the workers that were started, in order."""
        return [number for number, _ in self.started]

    @property
    def newest(self) -> FakeProcess:
        """The process that was started last."""
        return self.started[-1][1]

    def stop(self) -> Deferred[None]:
        """Stop the service."""
        return self.workers.stopService()

    def test_all_start_at_once(self) -> None:
        """One of each number."""
        self.assertEqual(self.numbers, [1, 2, 3])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_ran_well_is_replaced_at_once(self) -> None:
        """Under its number, so that the timers of worker 1 go on; the others are left alone."""
        self.clock.advance(STEADY)
        self.started[0][1].ends(None, 9)
        self.clock.advance(0)
        self.assertEqual(self.numbers, [1, 2, 3, 1])
        self.assertEqual([process.signals for _, process in self.started], [[], [], [], []])

    def test_one_that_ends_at_once_is_started_ever_later(self) -> None:
        """And no faster than the pauses say."""
        pause = FIRST_PAUSE
        for starts in range(COUNT, COUNT + 5):
            self.newest.ends(1)
            self.clock.advance(pause * 0.99)
            self.assertEqual(len(self.started), starts)
            self.clock.advance(pause * 0.02)
            self.assertEqual(len(self.started), starts + 1)
            pause *= 2
        self.assertEqual(self.numbers, [1, 2, 3, 3, 3, 3, 3, 3])

    def test_a_system_without_room_for_a_process_is_asked_again(self) -> None:
        """The parent does not end of it."""
        self.refusals = 2
        self.started[1][1].ends(None, 9)
        self.clock.pump([LONGEST_PAUSE] * 3)
        self.assertEqual(self.numbers, [1, 2, 3, 2])

    def test_all_read_their_configuration_again(self) -> None:
        """Those that serve now, and one that is starting as soon as it does."""
        for _, process in self.started[:2]:
            process.serves()
        self.workers.reload()
        self.assertEqual([process.signals for _, process in self.started], [["HUP"], ["HUP"], []])
        self.newest.serves()
        self.assertEqual(self.newest.signals, ["HUP"])

    def test_stopping_waits_for_the_last_and_replaces_none(self) -> None:
        """They are let go, not killed, and end when their requests have."""
        stopped = self.stop()
        self.assertTrue(all(process.is_let_go for _, process in self.started))
        for _, process in self.started:
            self.assertNoResult(stopped)
            process.ends()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.numbers, [1, 2, 3])

    def test_one_that_does_not_end_is_killed(self) -> None:
        """A stopped service is stopped."""
        stopped = self.stop()
        self.started[0][1].ends()
        self.clock.advance(LAST_PATIENCE)
        self.assertEqual([process.signals for _, process in self.started], [[], ["KILL"], ["KILL"]])
        for _, process in self.started[1:]:
            process.ends(None, 9)
        self.successResultOf(stopped)

    def test_stopping_forgets_the_restarts_that_were_due(self) -> None:
        """A worker between two lives has none to come."""
        self.newest.ends(1)
        stopped = self.stop()
        for _, process in self.started[:2]:
            process.ends()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.numbers, [1, 2, 3])
