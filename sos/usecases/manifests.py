"""Manifests that were read and found right: a range of an object needs them again and again, and they do not change."""

from __future__ import annotations

from collections import OrderedDict

from sos.decisions.manifest import MOST_CHUNKS, Manifest
from sos.words.blob import BlobID

MOST_KEPT = 1024
"""Manifests that are kept at most."""


class Manifests:
    """Keeps the manifests that were used last, each under its object and the SHA-256 of its bytes.

    Those of small objects take little; all of them together have no more chunks than the largest object may have, which
    takes some 60 MB.
    """

    def __init__(self, most_chunks: int = MOST_CHUNKS) -> None:
        """Keep as many as have `most_chunks` chunks together; a single one is kept whatever it has."""
        self._most_chunks = most_chunks
        self._kept: OrderedDict[BlobID, tuple[bytes, Manifest]] = OrderedDict()
        self._chunks = 0

    def __contains__(self, object_id: object) -> bool:
        """Whether the object had a manifest when it was last seen: then it need not be sent again to find that out."""
        return object_id in self._kept

    def find(self, object_id: BlobID, sha256: bytes | None) -> Manifest | None:
        """Give the manifest of an object whose bytes have this SHA-256, None where it is not kept."""
        kept = self._kept.get(object_id)
        if kept is None or kept[0] != sha256:
            return None
        self._kept.move_to_end(object_id)
        return kept[1]

    def keep(self, sha256: bytes, manifest: Manifest) -> None:
        """Keep a manifest instead of any other of its object; those that were not used for longest go."""
        self.forget(manifest.object_id)
        self._kept[manifest.object_id] = sha256, manifest
        self._chunks += len(manifest.chunks)
        while len(self._kept) > 1 and (self._chunks > self._most_chunks or len(self._kept) > MOST_KEPT):
            self.forget(next(iter(self._kept)))

    def forget(self, object_id: BlobID) -> None:
        """Forget the manifest of an object, if there is one."""
        kept = self._kept.pop(object_id, None)
        if kept is not None:
            self._chunks -= len(kept[1].chunks)
