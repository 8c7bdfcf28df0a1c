"""The names of objects, as one store has them, and the manifests of those that have one: chunks are no objects."""

from __future__ import annotations

from collections.abc import Sequence

from sos.decisions.digests import expected_of
from sos.decisions.manifest import MOST_BYTES, Manifest, is_chunk_id, manifest_of
from sos.http.bodies import collect
from sos.words.blob import BlobID, Kind
from sos.words.errors import BadInput, BlobDamaged, Unsupported
from sos.words.interfaces import IBlobEnumerator, IBlobFetcher


async def object_names(store: IBlobEnumerator, prefix: str, after: str, limit: int) -> Sequence[BlobID]:
    """Give the next names of plain blobs and manifests, ascending; an empty sequence says that there are no more."""
    try:
        pages = [await store.enumerate(prefix, after, limit, kind) for kind in (Kind.BLOB, Kind.MANIFEST)]
    except Unsupported:
        return await _told_by_name(store, prefix, after, limit)
    ends = [page[-1] for page in pages if page]  # what lies behind the nearer end may not be all there is
    return sorted(name for page in pages for name in page if name <= min(ends))


async def _told_by_name(store: IBlobEnumerator, prefix: str, after: str, limit: int) -> Sequence[BlobID]:
    """Leave the chunks out by their names, where a server of the old contract knows no kinds."""
    while page := await store.enumerate(prefix, after, limit):
        names = [name for name in page if not is_chunk_id(name)]
        if names:
            return names
        after = page[-1]
    return ()


async def manifest_at(store: IBlobFetcher, object_id: BlobID) -> Manifest:
    """Read the manifest that a store has. Raises `BlobDamaged` for one that is none, and what `fetch` raises."""
    opened = await store.fetch(object_id)
    payload = await collect(opened.body, MOST_BYTES)
    expected = expected_of(opened.entry)
    if expected is not None and not expected.is_of(payload):
        raise BlobDamaged(object_id)
    try:
        return manifest_of(payload, object_id)
    except BadInput:
        raise BlobDamaged(object_id) from None
