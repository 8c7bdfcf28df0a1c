"""One worker as its parent sees it."""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from sos.services.worker_process import LONGEST_LINE, WorkerProcess
from tests.services.processes import FakeProcess


class WorkerProcessTests(SynchronousTestCase):
    """Worker 2, with the pid 1234."""

    def setUp(self) -> None:
        """Start it."""
        self.ends: list[str] = []
        self.worker = WorkerProcess(2, self.ends.append)
        self.process = FakeProcess(1234, self.worker)
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    @property
    def lines(self) -> list[tuple[object, str | None]]:
        """What was logged."""
        return [(event["log_level"], formatEvent(event)) for event in self.events]

    def test_it_serves_when_it_says_so(self) -> None:
        """The log has its pid; a second word changes nothing."""
        self.assertFalse(self.worker.serves)
        self.process.serves()
        self.process.serves()
        self.assertTrue(self.worker.serves)
        self.assertEqual(self.lines, [(LogLevel.info, "Worker 2 (pid 1234) serves")])

    def test_its_log_becomes_ours_line_by_line(self) -> None:
        """Wherever the pipe cuts it; each line has the number, and its level."""
        self.process.writes(2, b"<6>Copied {not a field}\n<4>L")
        self.process.writes(2, b"ow\nFatal Python error: \xff\n\n<3>unfinished")
        self.assertEqual(
            self.lines,
            [
                (LogLevel.info, "Worker 2: Copied {not a field}"),
                (LogLevel.warn, "Worker 2: Low"),
                (LogLevel.warn, "Worker 2: Fatal Python error: \ufffd"),
            ],
        )
        self.process.ends()
        self.assertEqual(self.lines[-1], (LogLevel.error, "Worker 2: unfinished"))

    def test_a_line_without_end_is_not_kept(self) -> None:
        """Memory is bounded."""
        for _ in range(4):
            self.process.writes(2, b"x" * LONGEST_LINE)
        self.assertEqual(len(self.lines), 2)

    def test_sighup_waits_until_it_can_be_understood(self) -> None:
        """Before that, it would end the worker."""
        self.worker.reload()
        self.assertEqual(self.process.signals, [])
        self.process.serves()
        self.assertEqual(self.process.signals, ["HUP"])
        self.worker.reload()
        self.assertEqual(self.process.signals, ["HUP", "HUP"])

    def test_a_signal_to_one_that_has_just_ended_is_no_fault(self) -> None:
        """Its end is on the way."""
        self.process.serves()
        self.process.has_exited = True
        self.worker.reload()
        self.worker.kill()

    def test_whoever_waits_hears_of_its_end(self) -> None:
        """Before it and after it."""
        waiting = self.worker.when_ended()
        self.worker.finish()
        self.assertTrue(self.process.is_let_go)
        self.assertNoResult(waiting)
        self.process.ends()
        self.successResultOf(waiting)
        self.successResultOf(self.worker.when_ended())

    def test_it_says_how_it_ended(self) -> None:
        """The three ways there are."""
        self.process.ends()
        for status, signal in ((1, None), (None, 9)):
            FakeProcess(1235, WorkerProcess(2, self.ends.append)).ends(status, signal)
        self.assertEqual(self.ends, ["ended", "ended with status 1", "was ended by SIGKILL"])
