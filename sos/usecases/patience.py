"""Waiting no longer than so long."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime

from sos.decisions.topology import Server
from sos.words.errors import ServerUnavailable

T = TypeVar("T")


async def within(seconds: float, clock: IReactorTime, server: Server, asking: Coroutine[Any, Any, T]) -> T:
    """Wait for what a member answers. Raises `ServerUnavailable`, and lets go of the member, when it takes too long."""
    waiting = Deferred.fromCoroutine(asking)
    if not waiting.called:
        waiting.addTimeout(seconds, clock)
    try:
        return await waiting
    except TookTooLong:
        raise ServerUnavailable(server.url, f"it did not answer within {seconds:g} seconds") from None
