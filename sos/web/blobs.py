"""The blob server's resources: one blob, the list of all, and the sign of life."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from attrs import evolve
from twisted.web.resource import Resource

from sos.decisions import wire
from sos.http.bodies import pour
from sos.http.conditions import Validators
from sos.http.request import Request
from sos.web.answers import Headers, Representation
from sos.web.names import NamesBody
from sos.web.resource import Guard, Routes, last_segment, respond_json
from sos.web.status import StatusResource
from sos.web.store_resource import StoreResource, is_ours, store_headers
from sos.web.sync import sync_leaves
from sos.words.blob import KIND_WORDS, OLD_CONTRACT, BlobID, Entry, Span, Version, blob_id
from sos.words.errors import BadInput
from sos.words.interfaces import ILocalReplica, OpenBlob
from sos.words.versions import seconds_of

_NAME_PART = re.compile(r"[a-z0-9]{0,128}")
_MOST_PARAMETERS = 16
_KINDS = {word: kind for kind, word in KIND_WORDS.items()}


def blob_server_root(store: ILocalReplica, guard: Guard, wall: Callable[[], float], version: str) -> Resource:
    """Make the root of a blob server's port; `version` is the program's."""
    return Routes(
        {
            b"alive": AliveResource(store),
            b"blob/": BlobResource(store, wall),
            b"blobs": NamesResource(store),
            b"sync/blob/": KeptBlobResource(store, wall),
            b"status": StatusResource(store, version),
            **sync_leaves(store),
        },
        guard,
    )


class AliveResource(StoreResource):
    """``/alive``: says so."""

    async def handle_GET(self, request: Request) -> None:
        """Answer ``alive``, as the ancestor does."""
        request.respond(200, [(b"Content-Type", b"text/plain; charset=utf-8"), *self.always(request)], b"alive")

    handle_HEAD = handle_GET


class BlobResource(StoreResource):
    """``/blob/ID``: one blob."""

    def __init__(self, store: ILocalReplica, wall: Callable[[], float]) -> None:
        """Serve the blobs of a store; `wall` gives unix seconds."""
        super().__init__(store)
        self._wall = wall

    def handle_GET(self, request: Request) -> Awaitable[None]:
        """Send the blob, or what was asked of it."""
        return _StoredBlob(self._store, blob_id(last_segment(request)), is_ours(request), self._wall).send(request)

    handle_HEAD = handle_GET

    async def handle_POST(self, request: Request) -> None:
        """Store the blob, and answer once it is durable."""
        name = blob_id(last_segment(request))
        versioned = request.header(wire.VERSION) is not None
        fallback = OLD_CONTRACT if versioned else self._store.clock.tick()
        entry = wire.declared_entry(name, request.raw_headers, _length(request), fallback)
        if entry.expires is None:
            entry = evolve(entry, expires=wire.expiry_of(request.raw_headers, self._wall()))
        received = await self._store.receive(entry, request.body)
        size = received.entry.size
        assert size is not None  # what a store holds has a size
        headers = wire.internal_headers(received.entry) if is_ours(request) else []
        respond_json(request, wire.stored_json(name, size), [*headers, *self.always(request)])

    handle_PUT = handle_POST

    async def handle_DELETE(self, request: Request) -> None:
        """Leave a tombstone, and answer once it is durable; without a version, only of what was known."""
        name = blob_id(last_segment(request))
        version = request.header(wire.VERSION)
        if version is None:
            await self._store.stat(name)
        at = self._store.clock.tick() if version is None else Version(wire.number(version))
        removed = await self._store.remove(name, at, is_stray=request.header(wire.STRAY) == b"1")
        known = [(b"X-Sos-Known", b"%d" % removed.was_known)] if is_ours(request) else []
        stray = [(b"X-Sos-Stray", b"1")] if is_ours(request) and removed.entry.is_stray else []
        request.respond(204, [*known, *stray, *self.always(request)])


class KeptBlobResource(StoreResource):
    """``/sync/blob/ID``: one blob for a peer that lacks it, be it expired."""

    def __init__(self, store: ILocalReplica, wall: Callable[[], float]) -> None:
        """Serve the blobs of a store; `wall` gives unix seconds."""
        super().__init__(store)
        self._wall = wall

    async def handle_GET(self, request: Request) -> None:
        """Send the blob, whole."""
        await _KeptBlob(self._store, blob_id(last_segment(request)), is_ours(request), self._wall).send_whole(request)


class _StoredBlob(Representation):
    """A blob of the store, as one request sees it."""

    __slots__ = ("_is_ours", "_name", "_store", "_wall")

    def __init__(self, store: ILocalReplica, name: BlobID, is_ours: bool, wall: Callable[[], float]) -> None:
        """Send a blob under its name; only our own client (`is_ours`) is told what concerns nobody else."""
        self._store = store
        self._name = name
        self._is_ours = is_ours
        self._wall = wall

    def stat(self) -> Awaitable[Entry]:
        """Give its entry."""
        return self._store.stat(self._name)

    def fetch(self, span: Span | None) -> Awaitable[OpenBlob]:
        """Open it."""
        return self._store.fetch(self._name, span)

    def headers(self, entry: Entry) -> Headers:
        """Give its metadata and what caches need."""
        headers = wire.headers_of_metadata(entry.metadata)
        validators = self.validators(entry)
        headers.append((b"ETag", validators.entity_tag))
        if validators.modified is not None:
            headers.append((b"Last-Modified", wire.http_date(validators.modified)))
        return headers + _internal_headers(entry, self._store) if self._is_ours else headers

    def validators(self, entry: Entry) -> Validators:
        """Tag a blob by its bytes: under one ID a manifest may come to have others."""
        assert entry.sha256 is not None  # what a store holds has a SHA-256
        return Validators(b'"%b"' % entry.sha256.hex().encode("ascii"), modified_of(entry, self._wall()))


class _KeptBlob(_StoredBlob):
    """A blob of the store that may have expired."""

    __slots__ = ()

    def fetch(self, span: Span | None) -> Awaitable[OpenBlob]:
        """Open it, whole."""
        return self._store.fetch_past_expiry(self._name)


def _internal_headers(entry: Entry, store: ILocalReplica) -> Headers:
    return [*wire.internal_headers(entry), *store_headers(store)]


class NamesResource(StoreResource):
    """``/blobs``: the names of all live blobs, ascending, as a JSON array that is sent as it is read."""

    async def handle_GET(self, request: Request) -> None:
        """Send the names that were asked for."""
        body = NamesBody(self._store, **_page_asked_for(request.query))
        request.begin(200, [(b"Content-Type", wire.JSON_TYPE), *self.always(request)], None)
        if request.method != b"HEAD":
            await pour(body, request)
        request.finish()

    handle_HEAD = handle_GET


def modified_of(entry: Entry, now: float) -> int | None:
    """Give the unix time for ``Last-Modified``: the version's, the same on all members, but never in the future."""
    if entry.version == OLD_CONTRACT:
        return None
    return min(seconds_of(entry.version), int(now))


def _length(request: Request) -> int | None:
    return request.body.length if isinstance(request.body.length, int) else None


def _page_asked_for(query: bytes) -> dict[str, Any]:
    """Read ``prefix``, ``after``, ``limit`` and ``kind``. Raises `BadInput`; other parameters mean nothing."""
    asked: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise BadInput(f"A query has at most {_MOST_PARAMETERS} parameters.") from None
    for name, value in pairs:
        if name in asked:
            raise BadInput(f"The parameter {name!r} came twice.")
        if name in ("prefix", "after"):
            if _NAME_PART.fullmatch(value) is None:
                raise BadInput(f"{name} is (the beginning of) an ID: at most 128 of a-z and 0-9.")
            asked[name] = BlobID(value)
        elif name == "limit":
            asked[name] = wire.number(value.encode("utf-8"))
            if not asked[name]:
                raise BadInput("limit is 1 or more.")
        elif name == "kind":
            if value not in _KINDS:
                raise BadInput("kind is one of: blob, manifest, chunk.")
            asked[name] = _KINDS[value]
    return asked
