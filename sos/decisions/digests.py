"""Which digest tells whether the bytes of a blob are the right ones."""

from __future__ import annotations

import hashlib
import re

from attrs import frozen

from sos.decisions.manifest import Chunk, is_chunk_id
from sos.words.blob import Entry, Kind

_HEX = re.compile(r"[0-9a-f]+")
_NAMES = {40: "sha1", 64: "sha256"}
"""The digests that make IDs, by the number of their hex digits (design, section 2)."""

_HASHERS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}
"""What makes them: `hashlib.new` finds the same in twice the time."""


@frozen
class Expected:
    """A digest that the bytes must have; `name` is what `hashlib` calls it."""

    name: str
    digest: bytes

    def hasher(self) -> hashlib._Hash:
        """Begin to hash bytes that should have it."""
        return _HASHERS[self.name]()

    def is_of(self, *pieces: bytes) -> bool:
        """Whether bytes have it."""
        hasher = self.hasher()
        for piece in pieces:
            hasher.update(piece)
        return hasher.digest() == self.digest


def expected_of(entry: Entry) -> Expected | None:
    """Say which digest the bytes of an entry must have, None where nobody knows.

    A server of the old contract keeps none; but there the ID of a plain object, or of a chunk, is the digest of its bytes.
    """
    if entry.sha256 is not None:
        return Expected("sha256", entry.sha256)
    if entry.kind is Kind.CHUNK and is_chunk_id(entry.id):
        return Expected("sha256", Chunk(entry.id, 1).sha256)
    name = _NAMES.get(len(entry.id))
    if name is None or entry.kind is not Kind.BLOB or _HEX.fullmatch(entry.id) is None:
        return None
    return Expected(name, bytes.fromhex(entry.id))
