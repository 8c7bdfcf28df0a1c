"""Manifests and chunks are copied as any blob is, and stay what they are: by digests, by listings, by way of old members."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.tally import usual_min_copies
from sos.http.bodies import collect
from sos.usecases.downloads import Downloads
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import Unsupported
from sos.words.interfaces import IBlobStore, OpenBlob, Received
from tests.support import success_of
from tests.usecases.cluster_of import cluster_of, memory_store, put, put_chunked

PAYLOAD = b"0123456789abcdef"
OBJECT = BlobID(hashlib.sha1(PAYLOAD).hexdigest())


@implementer(IBlobStore)
class OldMember:
    """A member as the remote store shows one of the old contract: no version, no digest, no size, and the kind."""

    def __init__(self, store: IBlobStore) -> None:
        self._store = store

    def _shown(self, entry: Entry) -> Entry:
        return Entry(id=entry.id, kind=entry.kind, metadata=entry.metadata)

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await self._store.fetch(blob_id, span)
        return OpenBlob(self._shown(opened.entry), opened.body)

    async def stat(self, blob_id: BlobID) -> Entry:
        return self._shown(await self._store.stat(blob_id))

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        return await self._store.receive(entry, body)

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        if kind is not None:
            raise Unsupported("it speaks the old contract")
        return await self._store.enumerate(prefix, after, limit)


@pytest.mark.parametrize(("source_is_old", "target_is_old"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_round_keeps_what_manifests_and_chunks_are(source_is_old: bool, target_is_old: bool) -> None:
    """Torture B17: and the object can be had from the member that got them, also where another was between."""
    source, target = memory_store("a"), memory_store("b")
    manifest = put_chunked(source, PAYLOAD, OBJECT, 5)
    put(source, b"plain", "plain")
    members: dict[str, IBlobStore] = {
        "a": OldMember(source) if source_is_old else source,
        "b": OldMember(target) if target_is_old else target,
    }
    outcome = success_of(Replication(cluster_of(one=members), SilentReporter()).round())
    assert (outcome.copied, outcome.failed) == (len(manifest.chunks) + 2, 0)
    for kind in Kind:
        assert success_of(target.enumerate(kind=kind)) == success_of(source.enumerate(kind=kind))
    downloads = Downloads(cluster_of(one={"b": members["b"]}), usual_min_copies, Clock())
    assert success_of(collect(success_of(downloads.open(OBJECT)).body, 100)) == PAYLOAD
