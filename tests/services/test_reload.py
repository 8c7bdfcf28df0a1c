"""SIGHUP reads the configuration again."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from sos.services.reload import Reload
from sos.words.errors import BadConfig


class ReloadTests(SynchronousTestCase):
    """A reload whose signals the test sends."""

    def setUp(self) -> None:
        """Stand in for the operating system."""
        self.handlers: dict[int, Any] = {signal.SIGHUP: "the one before"}
        self.events: list[dict[str, Any]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def install(self, number: int, handler: Any) -> Any:
        """Be `signal.signal`."""
        before, self.handlers[number] = self.handlers[number], handler
        return before

    def reload_with(self, reload: Any) -> Reload:
        """Make the service and start it."""
        reactor: Any = SimpleNamespace(callFromThread=lambda call: call())
        service = Reload(reload, reactor, self.install)
        service.startService()
        return service

    def test_each_signal_reads_once_until_the_service_ends(self) -> None:
        """The handler of before is put back."""
        reads: list[str] = []
        service = self.reload_with(lambda: reads.append("read"))
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual(reads, ["read", "read"])
        service.stopService()
        self.assertEqual(self.handlers[signal.SIGHUP], "the one before")

    def test_a_bad_configuration_is_named_in_the_log_and_ends_nothing(self) -> None:
        """A typing mistake in the file must not take the service down."""

        def refuse() -> None:
            raise BadConfig("sos.conf, line 3: what is this?")

        self.reload_with(refuse)
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        refused = [event for event in self.events if event["log_level"] is LogLevel.error]
        self.assertEqual(len(refused), 1)
        self.assertIn("line 3", str(refused[0]["error"]))
