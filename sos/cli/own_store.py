"""A store of this very process, for commands that work on one directly; no server can serve it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from sos.service import disk_service
from sos.services.heap import look_less_for_cycles
from sos.settings import StoreSettings
from sos.store.disk import DiskStore


@asynccontextmanager
async def own_store(path: Path, settings: StoreSettings, reactor: Any) -> AsyncIterator[DiskStore]:
    """Have a store for as long as the context lasts. Raises `StoreRefused`: another process may have it."""
    look_less_for_cycles()
    disk = disk_service(path, settings, reactor)
    await deferLater(reactor, 0)  # from here on it runs, and an interrupt cancels us: before, one would strike anywhere
    disk.privilegedStartService()
    disk.startService()
    try:
        yield disk.store
    finally:
        await disk.stopService()
