"""SIGHUP: read the configuration again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from sos.words.errors import SOSError

Install = Callable[[int, Any], Any]
"""Installs a signal's handler and gives the one before: `signal.signal`."""


class Reload(Service):
    """Runs a function at each SIGHUP; what it refuses is named in the log and changes nothing."""

    _log = Logger()

    def __init__(self, reload: Callable[[], None], reactor: IReactorFromThreads, install: Install = signal.signal) -> None:
        """Run `reload`, which raises an `SOSError` for a configuration that cannot be used."""
        self._reload = reload
        self._reactor = reactor
        self._install = install
        self._before: Any = None

    def startService(self) -> None:
        """Listen for the signal."""
        super().startService()
        self._before = self._install(signal.SIGHUP, self._signalled)

    def stopService(self) -> None:
        """Leave the signal to whoever had it before."""
        super().stopService()
        self._install(signal.SIGHUP, self._before)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Hand over to the reactor: a signal comes between any two steps of anything."""
        self._reactor.callFromThread(self._run)

    def _run(self) -> None:
        try:
            self._reload()
        except SOSError as error:
            self._log.error("The configuration was read again, and nothing has changed: {error}", error=error)
        else:
            self._log.info("The configuration was read again")
