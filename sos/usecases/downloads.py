"""Downloads: find an object at one of the members that may hold it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.logger import Logger

from sos.usecases.cluster import Cluster
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import BlobNotFound, Unavailable
from sos.words.interfaces import IBlobStore, OpenBlob

T = TypeVar("T")


class Downloads:
    """Asks the members in the order of placement; the first that has the object gives it."""

    _log = Logger()

    def __init__(self, cluster: Cluster) -> None:
        """Ask the members of this cluster."""
        self._cluster = cluster

    async def open(self, object_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open an object, or a span of it; the caller pours or stops the body.

        Raises `BlobNotFound` when every member has said no, `Unavailable` when one that may hold it could not be asked,
        and `RangeNotSatisfiable`.
        """
        opened = await self._first(object_id, lambda store: store.fetch(object_id, span))
        if opened.entry.kind is Kind.CHUNK:
            opened.body.stopProducing()
            raise BlobNotFound(object_id)
        return opened

    async def stat(self, object_id: BlobID) -> Entry:
        """Give the entry of an object. Raises what `open` raises."""
        entry = await self._first(object_id, lambda store: store.stat(object_id))
        if entry.kind is Kind.CHUNK:
            raise BlobNotFound(object_id)
        return entry

    async def _first(self, object_id: BlobID, ask: Callable[[IBlobStore], Awaitable[T]]) -> T:
        unasked = 0
        for server in self._cluster.readers_for(object_id):
            try:
                return await ask(self._cluster.store_of(server))
            except BlobNotFound:
                continue
            except Unavailable as error:
                unasked += 1
                self._log.debug("{server} cannot give {id}: {error}", server=server.url, id=object_id, error=error)
        if unasked:
            raise Unavailable(f"{unasked} blob servers that may hold {object_id} are out of reach or have it damaged.")
        raise BlobNotFound(object_id)
