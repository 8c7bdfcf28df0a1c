"""Whether bytes are the ones that their ID names."""

from __future__ import annotations

import hashlib

from sos.words.errors import DigestMismatch

_DIGESTS = {40: hashlib.sha1, 64: hashlib.sha256}
"""The digests that name objects, by the number of their hex digits."""


class Verifier:
    """Holds bytes against the ID under which they came."""

    def __init__(self, object_id: str) -> None:
        """Expect the bytes of an object."""
        self.size = 0
        self._id = object_id
        self._digest = _DIGESTS[len(object_id)]() if _is_digest(object_id) else None

    @property
    def can_tell(self) -> bool:
        """Whether the ID is a digest: an api gives no others, but one may be asked for what it did not store."""
        return self._digest is not None

    def take(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if self._digest is not None:
            self._digest.update(piece)

    def check(self) -> None:
        """Raise `DigestMismatch` where all bytes were taken, and are others."""
        if self._digest is not None and self._digest.hexdigest() != self._id:
            raise DigestMismatch(f"What came as {self._id} are other bytes: their digest is another.")


def _is_digest(object_id: str) -> bool:
    return len(object_id) in _DIGESTS and set(object_id) <= set("0123456789abcdef")
