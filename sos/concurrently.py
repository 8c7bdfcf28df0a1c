"""Several coroutines at once, and one after the other for many items."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults

T = TypeVar("T")


async def concurrently(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines side by side and give their results.

    When one fails the others are cancelled, and its own exception is raised: `gatherResults` would wrap it, so that a
    cancellation looks like a fault, and would let the others run on with nobody waiting for them.
    """
    running = [Deferred.fromCoroutine(coroutine) for coroutine in coroutines]
    try:
        return await gatherResults(running, consumeErrors=True)
    except FirstError as error:
        for deferred in running:
            deferred.cancel()
        error.subFailure.raiseException()


async def for_each(items: Iterator[T], do: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Do something for each item, for at most `at_once` of them at a time. The iterator is read no faster than that."""

    async def work() -> None:
        for item in items:
            await do(item)

    await concurrently(work() for _ in range(at_once))
