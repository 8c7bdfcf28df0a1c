"""Threads for what blocks, so that the reactor never does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")

TURN = 0.001
"""Seconds for which one thread may keep the interpreter while another wants it. Python's own 5 ms are what a request waits
for at worst while a thread hashes or commits."""


def take_short_turns() -> None:
    """Let the reactor's thread wait no longer than a `TURN` for those that work beside it."""
    sys.setswitchinterval(TURN)


class Threads(Service):
    """Runs blocking calls in a pool of its own; it is an `sos.words.interfaces.InThread`."""

    def __init__(self, reactor: IReactorFromThreads, most: int, name: str) -> None:
        """Use at most so many threads; with one, calls run one after the other."""
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=most, name=name)

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Run a call in a thread; its result comes back in the reactor's thread."""
        return deferToThreadPool(self._reactor, self._pool, call, *arguments)

    def startService(self) -> None:
        """Let calls run."""
        super().startService()
        self._pool.start()

    def stopService(self) -> None:
        """Wait for the calls that still run. Whoever uses the threads has ended before."""
        super().stopService()
        self._pool.stop()
