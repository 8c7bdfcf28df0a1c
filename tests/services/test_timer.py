"""Rounds that come again and again."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.services.timer import RoundTimer


class RoundTimerTests(SynchronousTestCase):
    """A timer on a fake clock."""

    def setUp(self) -> None:
        """Make a timer of 60 seconds whose rounds are Deferreds that the test holds."""
        self.clock = Clock()
        self.rounds: list[Deferred[None]] = []
        self.timer = RoundTimer("replication", 60, self.begin, self.clock)

    async def begin(self) -> None:
        """Be a round that lasts until the test says so."""
        self.rounds.append(Deferred())
        await self.rounds[-1]

    def test_the_first_round_comes_at_the_start_and_the_next_after_the_interval(self) -> None:
        """No operator waits a minute to see whether replication works."""
        self.timer.startService()
        self.assertEqual(len(self.rounds), 1)
        self.rounds[0].callback(None)
        self.clock.advance(59)
        self.assertEqual(len(self.rounds), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.rounds), 2)
        self.timer.stopService()

    def test_a_round_that_lasts_longer_than_the_interval_is_not_overtaken(self) -> None:
        """Two rounds of one timer never run at once."""
        self.timer.startService()
        self.clock.advance(600)
        self.assertEqual(len(self.rounds), 1)
        self.timer.stopService()

    def test_a_bad_round_is_logged_and_the_next_one_comes(self) -> None:
        """An exception does not end the timer."""
        self.timer.startService()
        self.rounds[0].errback(ValueError("a fault of ours"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.clock.advance(60)
        self.assertEqual(len(self.rounds), 2)
        self.timer.stopService()

    def test_stopping_cuts_the_round_short_and_logs_no_error(self) -> None:
        """The service ends at once, with a round under way."""
        self.timer.startService()
        self.successResultOf(self.timer.stopService())
        self.assertTrue(self.rounds[0].called)
        self.clock.advance(600)
        self.assertEqual(len(self.rounds), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_first_round_can_be_put_off(self) -> None:
        """What costs much should not come with each restart; the next ones come as usual."""
        timer = RoundTimer("sweep", 86_400, self.begin, self.clock, 3600)
        timer.startService()
        self.clock.advance(3599)
        self.assertEqual(self.rounds, [])
        self.clock.advance(1)
        self.assertEqual(len(self.rounds), 1)
        self.rounds[0].callback(None)
        self.clock.advance(86_400 - 3600)
        self.assertEqual(len(self.rounds), 2)
        self.rounds[1].callback(None)
        self.successResultOf(timer.stopService())

    def test_one_that_is_put_off_never_comes_after_the_end(self) -> None:
        """Nothing is left on the clock."""
        timer = RoundTimer("sweep", 86_400, self.begin, self.clock, 3600)
        timer.startService()
        self.successResultOf(timer.stopService())
        self.assertEqual((self.clock.getDelayedCalls(), self.rounds), ([], []))
