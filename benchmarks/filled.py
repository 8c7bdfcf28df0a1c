"""Stores with many blobs in them, filled through the store's own API: many writes share a commit."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from sos.http.bodies import BytesBody
from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.words.blob import BlobID, Entry, Version

T = TypeVar("T")

_AT_ONCE = 256
"""Writes that wait together: as many as the store puts into one transaction."""

_FIRST_VERSION = 1 << 40
"""Any number: versions count up from here, so that two stores that were filled alike are equal."""


class HeldBack:
    """Runs calls when it is told to, so that those that wait for one commit can be many; an `InThread`."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Hold a call back."""
        result: Deferred[T] = Deferred()
        self._waiting.append(lambda: result.callback(call(*arguments)))
        return result

    def run(self) -> None:
        """Run what waits, and what comes to wait because of it."""
        while self._waiting:
            self._waiting.pop(0)()


async def at_once(call: Callable[..., T], *arguments: Any) -> T:
    """Run a call right here: an `InThread` for what need not wait."""
    return call(*arguments)


def name_of(number: int) -> BlobID:
    """Give the name of a blob: spread like the digests that objects are named by."""
    return BlobID(hashlib.sha1(b"%d" % number).hexdigest())


def payload_of(number: int) -> bytes:
    """Give the bytes of a blob: 4 KiB, unlike all others."""
    return hashlib.sha256(b"%d" % number).digest() * 128


def fill(path: Path, count: int) -> None:
    """Make a store with so many blobs of 4 KiB."""
    committing = HeldBack()
    store = open_disk_store(path, in_thread=at_once, commit_in_thread=committing, wall=time.time)
    for start in range(0, count, _AT_ONCE):
        writes = [_write(store, number) for number in range(start, min(start + _AT_ONCE, count))]
        committing.run()
        _check(writes)
    closing = _begun(store.close())
    committing.run()
    _check([closing])


def _write(store: DiskStore, number: int) -> Deferred[Any]:
    payload = payload_of(number)
    entry = Entry(id=name_of(number), version=Version(_FIRST_VERSION + number), size=len(payload))
    return _begun(store.receive(entry, BytesBody(payload)))


def _begun(awaitable: Awaitable[T]) -> Deferred[T]:
    async def awaited() -> T:
        return await awaitable

    return Deferred.fromCoroutine(awaited())


def _check(finished: list[Deferred[Any]]) -> None:
    """See that all have finished well; raises what one failed of."""
    for deferred in finished:
        failures: list[Any] = []
        assert deferred.called, "it waits for a commit that nobody runs"
        deferred.addErrback(failures.append)
        for failure in failures:
            failure.raiseException()
