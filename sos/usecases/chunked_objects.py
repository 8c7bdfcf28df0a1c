"""Chunked objects: their manifests read and checked, and their chunks put together again.

A manifest is read at the member that was asked for the object. Its chunks may be anywhere in the order of groups of the
first one, and any member that gives the right bytes is as good as another: the ID of a chunk is their digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Iterator

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.digests import Expected, expected_of
from sos.decisions.manifest import MOST_BYTES, Manifest, manifest_of
from sos.decisions.topology import Server
from sos.http.bodies import PIECE, BytesBody
from sos.http.verified_body import VerifiedBody
from sos.usecases.cluster import Cluster
from sos.usecases.lender import Lender, NoRoom, Reservation, Share
from sos.usecases.manifests import Manifests
from sos.usecases.parts_body import PartsBody, cut
from sos.usecases.suspects import Suspects
from sos.usecases.whole_blobs import Moved, Part, Pieces, WholeBlobs
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import BadInput, BlobDamaged, RangeNotSatisfiable, Unavailable
from sos.words.interfaces import InThread, OpenBlob


@frozen
class ChunkedObject:
    """An object that consists of chunks. Its entry has the size of the object, and the SHA-256 of the manifest.

    `expected` is the digest of all of its bytes, where nobody vouches for the manifest: an old server gives no SHA-256.
    """

    entry: Entry
    manifest: Manifest
    expected: Expected | None = None

    @classmethod
    def of(cls, entry: Entry, sha256: bytes, manifest: Manifest) -> ChunkedObject:
        """Put a manifest in the place of the entry under which it was stored."""
        expected = expected_of(evolve(entry, kind=Kind.BLOB)) if entry.sha256 is None else None
        return cls(evolve(entry, size=manifest.size, sha256=sha256), manifest, expected)


class ChunkedObjects:
    """Reads manifests and chunks, and blobs that are held in memory as a chunk is."""

    _log = Logger()

    def __init__(
        self, cluster: Cluster, clock: IReactorTime, in_thread: InThread, lender: Lender, suspects: Suspects
    ) -> None:
        """Ask the members of a cluster; what is held for clients is in memory of `lender`, and hashed by `in_thread`."""
        self.manifests = Manifests()
        self._cluster = cluster
        self._whole = WholeBlobs(cluster, clock, in_thread, suspects)
        self._lender = lender

    # A manifest

    async def at(self, server: Server, entry: Entry, moved: Moved, room: Reservation) -> ChunkedObject:
        """Give the object of which a member has this manifest. Raises `Unavailable`, and `NoRoom`."""
        known = self._known(entry)
        if known is not None:
            return known
        opened = await self._cluster.store_of(server).fetch(entry.id)
        if opened.entry.kind is not Kind.MANIFEST:
            opened.body.stopProducing()
            raise Unavailable("The object was replaced while it was being read; ask again.")
        return await self.read(server, opened, moved, room)

    async def read(self, server: Server, opened: OpenBlob, moved: Moved, room: Reservation) -> ChunkedObject:
        """Read the manifest that a member gives, unless it is known. Raises `BlobDamaged`, and `NoRoom`."""
        entry = opened.entry
        known = self._known(entry)
        if known is not None:
            opened.body.stopProducing()
            return known
        size = entry.size or 0  # an old server does not say how long it is
        share = _claimed(room, opened, size if size > PIECE else 0)
        try:
            payload = b"".join(await self._whole.taken(server, opened, MOST_BYTES, expected_of(entry), moved))
        finally:
            share.give_back()
        try:
            manifest = manifest_of(payload, entry.id)
        except BadInput as error:
            self._log.error(
                "{server} gives {id} as no manifest should be: {error}", server=server.url, id=entry.id, error=error
            )
            raise BlobDamaged(entry.id) from None
        sha256 = entry.sha256 or hashlib.sha256(payload).digest()
        self.manifests.keep(sha256, manifest)
        return ChunkedObject.of(entry, sha256, manifest)

    def _known(self, entry: Entry) -> ChunkedObject | None:
        if entry.sha256 is None:
            return None
        manifest = self.manifests.find(entry.id, entry.sha256)
        return None if manifest is None else ChunkedObject.of(entry, entry.sha256, manifest)

    # The bytes

    async def open(self, found: ChunkedObject, span: Span | None) -> OpenBlob:
        """Open an object, or a span of it: its first chunk is here when the result is.

        Raises `RangeNotSatisfiable`, and `Unavailable` where nobody has that chunk.
        """
        manifest = found.manifest
        _check_span(span, manifest.size)
        wanted = span or Span(0, manifest.size)
        parts = (Part.of_chunk(chunk, part) for chunk, part in manifest.parts_of(wanted))
        body = self._body(parts, wanted.length, manifest.chunks[0].id)
        await body.begin()
        return OpenBlob(found.entry, body if span is not None else _verified(body, found))

    async def open_blob(
        self, server: Server, opened: OpenBlob, span: Span | None, moved: Moved, room: Reservation
    ) -> OpenBlob:
        """Take a plain blob that a member gives into memory, verify it, and open it or a span of it.

        Raises `BlobDamaged`, `RangeNotSatisfiable`, and `NoRoom`.
        """
        size = opened.entry.size
        assert size is not None, "it is known to be small"
        try:
            _check_span(span, size)
        except RangeNotSatisfiable:
            opened.body.stopProducing()
            raise
        if size <= PIECE:  # it leaves in one write
            pieces = await self._whole.taken(server, opened, size, expected_of(opened.entry), moved)
            return OpenBlob(opened.entry, BytesBody(*(cut(pieces, span.start, span.stop) if span else pieces)))
        part = Part.of_blob(opened.entry, span or Span(0, size))
        share = _claimed(room, opened, part.size)
        try:
            pieces = await self._whole.taken(server, opened, part.size, part.expected, moved)
        except BaseException:  # a cancellation too
            share.give_back()
            raise
        body = self._body(iter([part]), part.span.length, part.id)
        body.begin_with(pieces, share)
        return OpenBlob(opened.entry, body)

    def _body(self, parts: Iterator[Part], length: int, place: BlobID) -> PartsBody:
        def fetch(part: Part) -> Awaitable[Pieces]:
            return self._whole.fetch(part, place)

        return PartsBody(parts, length, fetch, self._lender)


def _claimed(room: Reservation, opened: OpenBlob, size: int) -> Share:
    """Claim memory for a body that is about to come, or let go of it."""
    try:
        return room.claim(size)
    except NoRoom:
        opened.body.stopProducing()
        raise


def _check_span(span: Span | None, size: int) -> None:
    if span is not None and span.stop > size:
        raise RangeNotSatisfiable(size)


def _verified(body: PartsBody, found: ChunkedObject) -> IBodyProducer:
    """Hold the whole against the ID of the object, where its chunks alone do not tell whether they are the right ones."""
    if found.expected is None:
        return body
    blob_id = found.entry.id
    return VerifiedBody(body, hashlib.new(found.expected.name), found.expected.digest, lambda: BlobDamaged(blob_id))
