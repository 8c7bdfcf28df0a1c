"""A store of this very process, for commands that work on one directly; no server can serve it meanwhile."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from sos.services.disk import DiskService
from sos.settings import StoreSettings
from sos.store.disk import DiskStore


@asynccontextmanager
async def own_store(path: Path, settings: StoreSettings, reactor: Any) -> AsyncIterator[DiskStore]:
    """Have a store for as long as the context lasts. Raises `StoreRefused`: another process may have it."""
    disk = DiskService(
        path,
        reserve=settings.reserve,
        must_exist=settings.must_exist,
        tombstone_age=settings.tombstone_age,
        sweep_age=settings.sweep_age,
        adopt=None,
        scrub_rate=settings.scrub_rate,
        wall=time.time,
        reactor=reactor,
    )
    await deferLater(reactor, 0)  # from here on it runs, and an interrupt cancels us: before, one would strike anywhere
    disk.privilegedStartService()
    disk.startService()
    try:
        yield disk.store
    finally:
        await disk.stopService()
