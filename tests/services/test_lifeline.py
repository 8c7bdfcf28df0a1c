"""A worker's tie to its parent."""

from __future__ import annotations

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from sos.services.lifeline import Lifeline
from sos.services.worker_process import SERVING


class LifelineTests(SynchronousTestCase):
    """A lifeline on a transport in memory."""

    def setUp(self) -> None:
        """Tie it."""
        self.lifeline, self.transport = Lifeline(), StringTransport()
        self.lifeline.makeConnection(self.transport)

    def test_the_parent_hears_that_the_worker_serves(self) -> None:
        """And nothing before that."""
        self.assertEqual(self.transport.value(), b"")
        self.lifeline.say_serving()
        self.assertEqual(self.transport.value(), SERVING)

    def test_the_end_of_the_parent_is_the_end(self) -> None:
        """It closes the lifeline, however it ended."""
        self.assertNoResult(self.lifeline.when_cut)
        self.lifeline.connectionLost()
        self.successResultOf(self.lifeline.when_cut)

    def test_it_is_cut_once(self) -> None:
        """A signal and the parent's end may come together."""
        self.lifeline.cut()
        self.lifeline.connectionLost()
        self.lifeline.cut()
        self.successResultOf(self.lifeline.when_cut)
