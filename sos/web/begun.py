"""Running a handler: right here as far as it goes, and as a Deferred from the place where it has to wait.

Most handlers never wait, for a small blob is read in the reactor's thread. For these, a Deferred with all that belongs to it
is two microseconds in which nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from twisted.internet.defer import Deferred


def begun(handler: Coroutine[Any, Any, None]) -> Deferred[None] | None:
    """Run a handler; None if it came to its end, else a Deferred of that end, which can be cancelled."""
    try:
        awaited = handler.send(None)
    except StopIteration:
        return None
    return Deferred.fromCoroutine(_rest(handler, awaited))


@coroutine
def _rest(handler: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Stand between a handler that waits and whoever runs it: what ``yield from`` does, from the second step on."""
    while True:
        try:
            answer = yield awaited
        except BaseException as error:  # a cancellation too: it is the handler's, wherever it comes from
            step: Callable[[Any], Any] = handler.throw
            answer = error
        else:
            step = handler.send
        try:
            awaited = step(answer)
        except StopIteration:
            return
