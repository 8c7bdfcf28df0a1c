"""The download port: ``/fetch/ID`` and ``/fetch/ID.ext``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, quote

from twisted.web.resource import Resource

from sos.decisions import wire
from sos.http.conditions import Validators
from sos.http.request import Request
from sos.usecases.downloads import Downloads
from sos.web.answers import Headers, Representation
from sos.web.blobs import modified_of
from sos.web.guards import refuse_internal_headers
from sos.web.resource import PublicResource, Routes, last_segment
from sos.words.blob import BlobID, Entry, Kind, Span, blob_id
from sos.words.interfaces import OpenBlob

CACHE_CONTROL = b"public, max-age=31536000, immutable"
"""For a year, which is as long as caches are asked to keep anything: content never changes under its ID."""

CACHE_CONTROL_WITH_DELETES = b"public, max-age=3600"
"""For an hour, where objects may be deleted: so long a cache may give out what is gone."""

LONGEST_NAME = 200
"""Characters of a suggested file name: with an extension it still fits the 255 bytes of most file systems in ASCII."""

_ACTIVE_TYPE = re.compile(rb"html|svg|xml|javascript|ecmascript", re.IGNORECASE)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"\\/:*?<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]+')


def download_root(downloads: Downloads, wall: Callable[[], float], cache_control: bytes = CACHE_CONTROL) -> Resource:
    """Make the root of the download port."""
    return Routes({b"fetch/": FetchResource(downloads, wall, cache_control)}, refuse_internal_headers)


class FetchResource(PublicResource):
    """``/fetch/ID``: the bytes of one object."""

    def __init__(self, downloads: Downloads, wall: Callable[[], float], cache_control: bytes) -> None:
        """Find objects through the use case; `wall` gives unix seconds."""
        super().__init__()
        self._downloads = downloads
        self._wall = wall
        self._cache_control = cache_control

    def handle_GET(self, request: Request) -> Awaitable[None]:
        """Send the object, or what was asked of it."""
        object_id = blob_id(last_segment(request).partition(b".")[0])
        return _Object(self._downloads, object_id, request.query, self._wall, self._cache_control).send(request)

    handle_HEAD = handle_GET


class _Object(Representation):
    """An object, as one request sees it."""

    __slots__ = ("_cache_control", "_downloads", "_id", "_query", "_wall")

    def __init__(
        self, downloads: Downloads, object_id: BlobID, query: bytes, wall: Callable[[], float], cache_control: bytes
    ) -> None:
        """Send an object; the query may say under which name it is to be kept."""
        self._downloads = downloads
        self._id = object_id
        self._query = query
        self._wall = wall
        self._cache_control = cache_control

    def stat(self) -> Awaitable[Entry]:
        """Give its entry."""
        return self._downloads.stat(self._id)

    def fetch(self, span: Span | None) -> Awaitable[OpenBlob]:
        """Open it."""
        return self._downloads.open(self._id, span)

    def is_same(self, entry: Entry, opened: Entry) -> bool:
        """Say so of an object that is cut in another way at another member, too: all of its bytes are the same."""
        is_cut = Kind.MANIFEST in (entry.kind, opened.kind)
        return super().is_same(entry, opened) or (is_cut and entry.size == opened.size)

    def headers(self, entry: Entry) -> Headers:
        """Give its metadata, what caches need, and what keeps it from running in a browser."""
        headers = wire.headers_of_metadata(entry.metadata)
        validators = self.validators(entry)
        headers += [(b"ETag", validators.entity_tag), (b"Cache-Control", self._caching_of(entry)), *_INERT]
        if validators.modified is not None:
            headers.append((b"Last-Modified", wire.http_date(validators.modified)))
        if entry.expires is not None:
            headers.append((b"X-Delete-At", b"%d" % entry.expires))
        disposition = _disposition(entry, self._query)
        return [*headers, (b"Content-Disposition", disposition)] if disposition else headers

    def _caching_of(self, entry: Entry) -> bytes:
        """Say how long caches keep an object: one that expires not at all, for they would give it out after its end."""
        return self._cache_control if entry.expires is None else b"no-store"

    def validators(self, entry: Entry) -> Validators:
        """Tag an object by its ID: content never changes under it."""
        return Validators(b'"%b"' % entry.id.encode("ascii"), modified_of(entry, self._wall()))


_INERT: Headers = [(b"Content-Security-Policy", b"sandbox; default-src 'none'")]
"""Whatever was uploaded, it runs no script in the name of this site (``nosniff`` comes from the front)."""


def _disposition(entry: Entry, query: bytes) -> bytes | None:
    """Say how a browser keeps the object: under a name where one was asked for, never in place if it could be active."""
    asked = _download_name(query) if query else None
    if asked is None:
        kind = entry.metadata.value(wire.MIME_TYPE) or wire.DEFAULT_TYPE
        return b"attachment" if _ACTIVE_TYPE.search(kind) else None
    name = safe_name(asked or (entry.metadata.value(wire.ORIG_FILENAME) or b"").decode("utf-8", "replace"))
    if not name:
        return b"attachment"
    plain = name.encode("ascii", "replace").replace(b"?", b"_")
    extended = quote(name, safe="").encode("ascii")
    return b"attachment; filename=\"%b\"; filename*=UTF-8''%b" % (plain, extended)


def _download_name(query: bytes) -> str | None:
    """Give the value of ``download``, empty where it has none; None where it was not asked for."""
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"):
        if name == "download":
            return value
    return None


def safe_name(name: str) -> str:
    """Make a name that no header, shell or file system takes for anything else (RFC 6266, section 4.3)."""
    last = re.split(r"[/\\]", name)[-1]
    return _UNSAFE.sub("_", last)[-LONGEST_NAME:].strip(" ._") if last.strip(". ") else ""
