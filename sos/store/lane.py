"""A lane: calls that block, one after the other in a thread, whoever waits for them or has left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from sos.words.interfaces import InThread

T = TypeVar("T")


def shielded(running: Deferred[T]) -> Deferred[T]:
    """Wait for something that goes on when the one who waits is cancelled."""
    waiting: Deferred[T] = Deferred()
    running.addCallbacks(waiting.callback, waiting.errback)
    return waiting


class Lane:
    """Never two calls at once, and each in its turn.

    A thread cannot be called back: who is cancelled stops waiting, and the next call begins when the running one has ended.
    So a file that a call has open may be closed by the next one.
    """

    def __init__(self, in_thread: InThread) -> None:
        """Run calls by `in_thread`."""
        self._in_thread = in_thread
        self._turn = DeferredLock()

    async def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """Give the call's result, or its exception."""
        await self._turn.acquire()
        return await shielded(Deferred.fromCoroutine(self._run(call, arguments)))

    async def idle(self) -> None:
        """Wait until no call runs."""
        await self._turn.acquire()
        self._turn.release()

    async def _run(self, call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        try:
            return await self._in_thread(call, *arguments)
        finally:
            self._turn.release()
