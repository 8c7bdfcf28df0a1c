"""The upload port: ``POST /upload``, and where it is allowed ``DELETE /upload/ID``."""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.resource import Resource

from sos.decisions import wire
from sos.http.request import Request
from sos.usecases.deletes import Deletes
from sos.usecases.uploads import Uploads
from sos.web.guards import refuse_internal_headers
from sos.web.resource import PublicResource, Routes, last_segment, respond_json
from sos.words.blob import blob_id


def upload_root(uploads: Uploads, wall: Callable[[], float], deletes: Deletes | None = None) -> Resource:
    """Make the root of the upload port; without `deletes` it takes none. `wall` gives unix seconds."""
    leaves: dict[bytes, Resource] = {
        b"upload": UploadResource(uploads, wall),
        b"upload/": UploadedResource() if deletes is None else DeletableResource(deletes),
    }
    return Routes(leaves, refuse_internal_headers)


class UploadResource(PublicResource):
    """``/upload``: takes an object and says under which ID it is kept."""

    def __init__(self, uploads: Uploads, wall: Callable[[], float]) -> None:
        """Hand uploads to the use case."""
        super().__init__()
        self._uploads = uploads
        self._wall = wall

    async def handle_POST(self, request: Request) -> None:
        """Store the body with its ``X-*`` headers; its type and encoding mean nothing, it is kept byte for byte."""
        metadata = wire.metadata_of(request.raw_headers)
        expires = wire.expiry_of(request.raw_headers, self._wall())
        uploaded = await self._uploads.upload(request.body, metadata, expires)
        respond_json(request, wire.stored_json(uploaded.id, uploaded.size, copies=uploaded.copies))


class UploadedResource(PublicResource):
    """``/upload/ID`` where nothing may be deleted: every method is answered with 405, whatever the ID."""


class DeletableResource(UploadedResource):
    """``/upload/ID``: an object that may be deleted."""

    def __init__(self, deletes: Deletes) -> None:
        """Hand deletes to the use case."""
        super().__init__()
        self._deletes = deletes

    async def handle_DELETE(self, request: Request) -> None:
        """Delete it: 204 when every member that could hold it knows, 202 when replication has to tell some of them."""
        object_id = blob_id(last_segment(request))
        deleted = await self._deletes.delete(object_id)
        self._log.info("{client} deleted {id}", client=request.getClientIP(), id=object_id)
        request.respond(204 if deleted.is_everywhere else 202)
