"""``/sync``: what replication needs of a blob server. The guard in front lets in only who may steer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from urllib.parse import parse_qsl

from attrs import evolve
from twisted.web.resource import Resource

from sos.decisions import batch_wire, scrub_wire, sync_wire, wire
from sos.decisions.buckets import BUCKETS, PARTS
from sos.http.bodies import collect
from sos.http.request import Request
from sos.web.resource import NoSuchPath, last_segment, respond_json
from sos.web.store_resource import StoreResource
from sos.words.blob import KIND_WORDS, BlobID, Entry, Version, blob_id
from sos.words.errors import BadInput
from sos.words.interfaces import ILocalReplica

MOST_JSON = 256 * 1024
"""Bytes of a request's JSON: 1,000 tombstones with the longest IDs have 160 KiB."""

MOST_ENTRIES = 1000
"""Entries in one answer, whatever was asked for."""

_KINDS = {word.encode("ascii"): kind for kind, word in KIND_WORDS.items()}
_MOST_PARAMETERS = 16
_AFTER = re.compile(r"[a-z0-9]{0,128}")


def sync_leaves(store: ILocalReplica) -> Mapping[bytes, Resource]:
    """Make the resources of a store's ``/sync``, under the keys of `sos.web.resource.Routes`."""
    return {
        b"sync": SummaryResource(store),
        b"sync/digests": DigestsResource(store),
        b"sync/digests/": DigestsResource(store),
        b"sync/bucket/": BucketResource(store),
        b"sync/strays": EntriesResource(store, store.strays),
        b"sync/tombstones": EntriesResource(store, store.old_tombstones),
        b"sync/fetch": FetchResource(store),
        b"sync/receive": ReceiveResource(store),
        b"sync/renew/": RenewResource(store),
        b"sync/forget/": ForgetResource(store),
        b"sync/suspect/": SuspectResource(store),
        b"sync/drop": DropResource(store),
        b"sync/round": RoundResource(store),
        b"sync/kind/": KindResource(store),
        b"sync/sweep": SweepResource(store),
        b"sync/scrub": ScrubResource(store),
    }


class SyncResource(StoreResource):
    """A resource of one store, with JSON in and out."""

    def _respond(self, request: Request, body: bytes) -> None:
        respond_json(request, body, self.always(request))

    async def _respond_entries(self, request: Request, entries: Sequence[Entry]) -> None:
        self._respond(request, b"".join(await self._store.in_turns(sync_wire.entries_pieces(entries))))

    async def _json_of(self, request: Request) -> bytes:
        return await collect(request.body, MOST_JSON)


class SummaryResource(SyncResource):
    """``/sync``: the whole store in one digest."""

    async def handle_GET(self, request: Request) -> None:
        """Give the summary."""
        self._respond(request, sync_wire.summary_json(await self._store.summary()))


class DigestsResource(SyncResource):
    """``/sync/digests`` and ``/sync/digests/PART``: 64 digests."""

    async def handle_GET(self, request: Request) -> None:
        """Give the digests of all parts, or of the buckets of one."""
        name = last_segment(request)
        part = None if name == b"digests" else _place(name, PARTS)
        if part == PARTS:
            NoSuchPath().render(request)
        else:
            self._respond(request, sync_wire.digests_json(await self._store.digests(part)))


class BucketResource(SyncResource):
    """``/sync/bucket/NUMBER``: the entries of a bucket, by ``?after=&limit=&buckets=`` page by page."""

    async def handle_GET(self, request: Request) -> None:
        """Give the next entries."""
        bucket = _place(last_segment(request), BUCKETS)
        if bucket == BUCKETS:
            NoSuchPath().render(request)
        else:
            asked = _asked_in(request.query)
            after, limit = _page_of(asked)
            buckets = wire.number(asked.get("buckets", "1").encode("utf-8"))
            await self._respond_entries(request, await self._store.entries(bucket, after, limit, buckets))


class EntriesResource(SyncResource):
    """``/sync/strays`` and ``/sync/tombstones``: entries of the whole store, by ``?after=&limit=`` page by page."""

    def __init__(self, store: ILocalReplica, enumerate_: Callable[[str, int], Awaitable[Sequence[Entry]]]) -> None:
        """Serve what `enumerate_` gives behind a name, at most so many."""
        super().__init__(store)
        self._enumerate = enumerate_

    async def handle_GET(self, request: Request) -> None:
        """Give the next entries."""
        await self._respond_entries(request, await self._enumerate(*_page_of(_asked_in(request.query))))


class KindResource(SyncResource):
    """``/sync/kind/KIND``: the live entries of a kind, by ``?after=&limit=`` page by page."""

    async def handle_GET(self, request: Request) -> None:
        """Give the next entries."""
        kind = _KINDS.get(last_segment(request))
        if kind is None:
            NoSuchPath().render(request)
        else:
            await self._respond_entries(request, await self._store.of_kind(kind, *_page_of(_asked_in(request.query))))


class SweepResource(SyncResource):
    """``/sync/sweep``: chunks that no manifest names."""

    async def handle_POST(self, request: Request) -> None:
        """Sweep those that are old enough, and say how many were."""
        chunks, is_rehearsal = sync_wire.chunks_of(await self._json_of(request))
        self._respond(request, sync_wire.swept_json(await self._store.sweep(chunks, is_rehearsal)))


class RenewResource(SyncResource):
    """``/sync/renew/ID``: version and metadata for bytes that are here."""

    async def handle_POST(self, request: Request) -> None:
        """Take the entry of the headers; 404 where its bytes are not here."""
        entry = wire.declared_entry(blob_id(last_segment(request)), request.raw_headers, None)
        size = request.header(wire.SIZE)
        received = await self._store.renew(entry if size is None else evolve(entry, size=wire.number(size)))
        headers = [*wire.internal_headers(received.entry), *self.always(request)]
        respond_json(request, wire.stored_json(received.entry.id, received.entry.size or 0), headers)


class FetchResource(SyncResource):
    """``/sync/fetch``: many small blobs with their bytes, be they expired."""

    async def handle_POST(self, request: Request) -> None:
        """Send those that were asked for, and can be had in this way."""
        names = batch_wire.names_of(await collect(request.body, batch_wire.MOST_NAMES_JSON))
        parcels = await self._store.fetch_some(names)
        head = b"".join(await self._store.in_turns(batch_wire.head_pieces(parcels)))
        length = len(head) + sum(len(parcel.payload) for parcel in parcels)
        request.begin(200, [(b"Content-Type", wire.DEFAULT_TYPE), *self.always(request)], length)
        await self._store.in_turns(_written(request, chain([head], batch_wire.payload_pieces(parcels))))
        request.finish()


class ReceiveResource(SyncResource):
    """``/sync/receive``: many small blobs to be stored."""

    async def handle_POST(self, request: Request) -> None:
        """Store them, and say what came of each once all are durable."""
        parcels = batch_wire.batch_of(await collect(request.body, batch_wire.MOST_BATCH))
        outcomes = await self._store.receive_some(parcels)
        self._respond(request, batch_wire.outcomes_json(parcels, outcomes))


class ForgetResource(SyncResource):
    """``/sync/forget/ID``: a stray that was carried home."""

    async def handle_POST(self, request: Request) -> None:
        """Drop it, if it has the version that the headers say."""
        await self._store.forget(blob_id(last_segment(request)), _version_of(request))
        self._respond(request, b"{}")


class SuspectResource(SyncResource):
    """``/sync/suspect/ID``: a copy that a reader has found wrong."""

    async def handle_POST(self, request: Request) -> None:
        """Check it."""
        await self._store.suspect(blob_id(last_segment(request)))
        self._respond(request, b"{}")


class DropResource(SyncResource):
    """``/sync/drop``: tombstones that every member holds."""

    async def handle_POST(self, request: Request) -> None:
        """Drop those that are old enough, and say how many were."""
        tombstones: Sequence[tuple[BlobID, Version]] = sync_wire.tombstones_of(await self._json_of(request))
        self._respond(request, sync_wire.count_json(await self._store.drop_tombstones(tombstones)))


class RoundResource(SyncResource):
    """``/sync/round``: a round that was completed with this store in it."""

    async def handle_POST(self, request: Request) -> None:
        """Note it; 409 where the store belongs to another group, 412 where it was opened anew since it took part."""
        await self._store.note_round(*sync_wire.round_of(await self._json_of(request)))
        self._respond(request, b"{}")


class ScrubResource(SyncResource):
    """``/sync/scrub``: a pass over everything."""

    async def handle_POST(self, request: Request) -> None:
        """Have one begin, and give its number."""
        self._respond(request, scrub_wire.pass_json(await self._store.scrub()))


def _written(request: Request, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Write what is in memory anyway, piece by piece: to send much at once takes as long as to make it."""
    for piece in pieces:
        request.write(piece)
        yield piece


def _place(raw: bytes, count: int) -> int:
    """Read a number below `count`; give `count` for anything else, for there is nothing under that path."""
    try:
        return min(wire.number(raw), count)
    except BadInput:
        return count


def _version_of(request: Request) -> Version:
    raw = request.header(wire.VERSION)
    if raw is None:
        raise BadInput("The request needs X-Sos-Version.")
    return Version(wire.number(raw))


def _asked_in(query: bytes) -> Mapping[str, str]:
    """Read the parameters of a query. Raises `BadInput`."""
    try:
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise BadInput(f"A query has at most {_MOST_PARAMETERS} parameters.") from None


def _page_of(asked: Mapping[str, str]) -> tuple[str, int]:
    """Read ``after`` and ``limit``. Raises `BadInput`."""
    after = asked.get("after", "")
    if _AFTER.fullmatch(after) is None:
        raise BadInput("after is (the beginning of) an ID: at most 128 of a-z and 0-9.")
    return after, min(wire.number(asked.get("limit", str(MOST_ENTRIES)).encode("utf-8")), MOST_ENTRIES)
