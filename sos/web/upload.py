"""The upload port: ``POST /upload``."""

from __future__ import annotations

from twisted.web.resource import Resource

from sos.decisions import wire
from sos.http.request import Request
from sos.usecases.uploads import Uploads
from sos.web.guards import refuse_internal_headers
from sos.web.resource import PublicResource, Routes, respond_json


def upload_root(uploads: Uploads) -> Resource:
    """Make the root of the upload port."""
    return Routes({b"upload": UploadResource(uploads)}, refuse_internal_headers)


class UploadResource(PublicResource):
    """``/upload``: takes an object and says under which ID it is kept."""

    def __init__(self, uploads: Uploads) -> None:
        """Hand uploads to the use case."""
        super().__init__()
        self._uploads = uploads

    async def handle_POST(self, request: Request) -> None:
        """Store the body with its ``X-*`` headers; its type and encoding mean nothing, it is kept byte for byte."""
        metadata = wire.metadata_of(request.raw_headers)
        uploaded = await self._uploads.upload(request.body, metadata)
        respond_json(request, wire.stored_json(uploaded.id, uploaded.size, copies=uploaded.copies))
