"""What many tests need: results of finished coroutines, bodies, consumers that write down what they get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from sos.http.bodies import BytesBody

T = TypeVar("T")


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def success_of(awaitable: Awaitable[T]) -> T:
    """Give the result of something that has finished; fail the test if it waits, raise what it raised."""
    results: list[Any] = []
    Deferred.fromCoroutine(_awaited(awaitable)).addBoth(results.append)
    assert results, "it is still waiting"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]  # type: ignore[no-any-return]


def failure_of(awaitable: Awaitable[Any]) -> BaseException:
    """Give the exception of something that has failed; fail the test if it waits or went well."""
    try:
        result = success_of(awaitable)
    except AssertionError:
        raise
    except BaseException as error:
        return error
    raise AssertionError(f"it went well: {result!r}")


async def immediately(call: Callable[..., T], *arguments: Any) -> T:
    """Stand in for a thread: run the call right here."""
    return call(*arguments)


def bytes_body(payload: bytes) -> BytesBody:
    """Make a body of some bytes."""
    return BytesBody(payload)


@implementer(IConsumer)
class ScriptedConsumer:
    """A consumer that keeps what it gets and pauses its producer after so many bytes."""

    def __init__(self, pause_after: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.producer: IPushProducer | None = None
        self._pause_after = pause_after

    @property
    def payload(self) -> bytes:
        """All bytes so far."""
        return b"".join(self.pieces)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take the producer, which must push."""
        assert streaming and self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Let the producer go."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """Keep a piece; pause when the script says so."""
        self.pieces.append(data)
        if self._pause_after is not None and len(self.payload) >= self._pause_after and self.producer is not None:
            self.producer.pauseProducing()

    def go_on(self, pause_after: int | None = None) -> None:
        """Let the producer go on, to its end or until so many bytes are there."""
        self._pause_after = pause_after
        assert self.producer is not None
        self.producer.resumeProducing()
