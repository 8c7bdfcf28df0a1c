"""``/status``: how a blob server is, as JSON."""

from __future__ import annotations

from sos.decisions import scrub_wire, wire
from sos.http.request import Request
from sos.web.resource import AsyncResource, respond_json
from sos.words.interfaces import ILocalStore


class StatusResource(AsyncResource):
    """Says what a store holds, how much room it has, and whether it takes writes."""

    def __init__(self, store: ILocalStore, version: str) -> None:
        """Report on a store, and name the version of sos."""
        super().__init__()
        self._version = version
        self._store = store

    async def handle_GET(self, request: Request) -> None:
        """Answer without walking anything: the counts are kept with the entries."""
        status = self._store.status()
        shape = {
            "version": self._version,
            "store": self._store.uuid,
            "blobs": status.blobs,
            "bytes": status.size,
            "free_bytes": status.free_bytes,
            "free_inodes": status.free_inodes,
            "read_only": status.is_read_only,
            "deleted": status.deleted,
            "damaged": status.damaged,
            "strays": status.strays,
            "round": status.round,
            "group": status.group,
            "replication_age": status.round_age,
            "partial": self._store.is_partial,
            "healed": status.healed,
            "scrub": scrub_wire.standing_shape(status.scrub),
        }
        respond_json(request, wire.json_bytes(shape))

    handle_HEAD = handle_GET
