"""Threads for what blocks, so that the reactor never does.

A pool of Twisted's can grow, shrink and keep each caller's context, and for that it takes a lock several times a call, on
both sides. A large upload is thousands of calls, and each lock that two threads want costs more than what it guards: so
here is one queue, and threads that take from it.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

T = TypeVar("T")


@frozen
class _Call:
    """A call, and who waits for its result."""

    result: Deferred[Any]
    call: Callable[..., Any]
    arguments: tuple[Any, ...]

    def outcome(self) -> Any:
        """Make the call, and give what it gives, be it a failure."""
        try:
            return self.call(*self.arguments)
        except BaseException:  # whatever it is, it is for the one who waits: it must not end the thread
            return Failure()


class Threads(Service):
    """Runs blocking calls in threads of its own; it is an `sos.words.interfaces.InThread`."""

    def __init__(self, reactor: IReactorFromThreads, most: int, name: str) -> None:
        """Use at most so many threads; with one, calls run one after the other."""
        self._reactor = reactor
        self._most = most
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._open = 0

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Run a call in a thread; its result comes back in the reactor's thread. Before the start, it waits."""
        result: Deferred[T] = Deferred()
        self._open += 1
        self._calls.put(_Call(result, call, arguments))
        if self.running:
            self._have_enough()
        return result

    def startService(self) -> None:
        """Let calls run."""
        super().startService()
        self._have_enough()

    def stopService(self) -> None:
        """Wait for the calls that still run. Whoever uses the threads has ended before."""
        super().stopService()
        threads, self._threads = self._threads, []
        for _ in threads:
            self._calls.put(None)
        for thread in threads:
            thread.join()

    def _have_enough(self) -> None:
        """Begin threads until each open call has one, or there are as many as may be; an idle one costs nothing."""
        while len(self._threads) < min(self._open, self._most):
            thread = Thread(target=self._work, name=self._name)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        """Make calls until told to end. Runs in a thread."""
        while (call := self._calls.get()) is not None:
            self._reactor.callFromThread(self._end, call.result, call.outcome())
            del call  # its arguments may be large, and the next one may be long in coming

    def _end(self, result: Deferred[Any], outcome: Any) -> None:
        self._open -= 1
        result.callback(outcome)
