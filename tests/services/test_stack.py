"""Services that stand on each other."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sos.services.stack import Stack


class Recorded(Service):
    """Writes down what happens to it; its end lasts until the test says so."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._label = name
        self._events = events

    def privilegedStartService(self) -> None:
        """Write it down."""
        self._events.append(f"prepare {self._label}")

    def startService(self) -> None:
        """Write it down."""
        super().startService()
        self._events.append(f"start {self._label}")

    def stopService(self) -> Deferred[None]:
        """Write it down, and last."""
        super().stopService()
        self._events.append(f"stop {self._label}")
        return self.ended


class StackTests(SynchronousTestCase):
    """A stack of a store and a port."""

    def setUp(self) -> None:
        """Make the stack."""
        self.events: list[str] = []
        self.store, self.port = Recorded("store", self.events), Recorded("port", self.events)
        self.stack = Stack(lambda: [self.store, self.port])

    def test_nothing_is_built_before_the_start(self) -> None:
        """Twistd forks in between."""
        self.assertEqual(list(self.stack), [])

    def test_services_are_prepared_and_started_from_the_lowest_up_and_once(self) -> None:
        """Twistd prepares first and starts then; who only starts gets both."""
        self.stack.privilegedStartService()
        self.stack.startService()
        self.assertEqual(self.events, ["prepare store", "prepare port", "start store", "start port"])
        again: list[str] = []
        Stack(lambda: [Recorded("store", again)]).startService()
        self.assertEqual(again, ["prepare store", "start store"])

    def test_each_service_ends_only_after_the_one_above_it_has(self) -> None:
        """The store is open until the port has answered its last request."""
        self.stack.startService()
        self.events.clear()
        ended = self.stack.stopService()
        self.assertEqual(self.events, ["stop port"])
        self.port.ended.callback(None)
        self.assertEqual(self.events, ["stop port", "stop store"])
        self.assertNoResult(ended)
        self.store.ended.callback(None)
        self.successResultOf(ended)
