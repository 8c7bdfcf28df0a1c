"""The same store with real threads: what the tests beside this one do at once happens elsewhere, and comes back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from sos.http.bodies import BytesBody, collect
from sos.store.opening import open_disk_store
from sos.words.blob import BlobID, Entry
from sos.words.interfaces import InThread

PAYLOADS = [hashlib.shake_256(b"%d" % size).digest(size) for size in (0, 10, 65_536, 65_537, 300_000, 1_000_000)]


def runner(pool: ThreadPool) -> InThread:
    """Run calls in a pool."""

    def in_thread(call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(IReactorFromThreads(reactor), pool, call, *arguments)

    return in_thread


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_many_writers_and_readers_share_a_store(tmp_path: Path) -> None:
    """Sixty blobs of all sizes at once; each comes back as it was, and again after a restart."""
    pool, single = ThreadPool(4, 4), ThreadPool(1, 1)
    for each in (pool, single):
        each.start()
    names = [BlobID(f"{number:03}") for number in range(60)]

    async def round_trip(name: BlobID) -> None:
        payload = PAYLOADS[int(name) % len(PAYLOADS)]
        pieces = [payload[at : at + 10_000] for at in range(0, len(payload), 10_000)]
        await store.receive(Entry(id=name, version=store.clock.tick()), BytesBody(*pieces))
        assert await collect((await store.fetch(name)).body, 10**7) == payload

    try:
        store = open_disk_store(tmp_path / "store", in_thread=runner(pool), commit_in_thread=runner(single), wall=time.time)
        await gatherResults([Deferred.fromCoroutine(round_trip(name)) for name in names], consumeErrors=True)
        await store.close()
        again = open_disk_store(tmp_path / "store", in_thread=runner(pool), commit_in_thread=runner(single), wall=time.time)
        assert await again.enumerate() == names
        assert again.status().blobs == 60
        await again.close()
    finally:
        for each in (pool, single):
            each.stop()
