"""Uploads: hash an object as it arrives, then store it under the digest of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from attrs import frozen
from twisted.web.iweb import IBodyProducer

from sos.http.bodies import BytesSource, take_pieces
from sos.usecases.copies import Copies
from sos.words.blob import BlobID, Entry, Metadata


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Give the digest of all bytes so far, in lower-case hex digits."""


@frozen
class Uploaded:
    """An object that is stored: its ID, its length in bytes, and the number of members that hold it durably now."""

    id: BlobID
    size: int
    copies: int


class Uploads:
    """Names objects by their bytes, and stores them."""

    def __init__(self, copies: Copies, digest: Callable[[], Digest], most: int) -> None:
        """Name objects by `digest`, and take at most `most` bytes each."""
        self._copies = copies
        self._digest = digest
        self._most = most

    async def upload(self, body: IBodyProducer, metadata: Metadata, expires: int | None = None) -> Uploaded:
        """Take an object to its end and store it; `expires` is the unix time at which it is gone by itself.

        Raises `BlobTooLarge`, what the body fails with, and what `Copies.store` raises.
        """
        arrival = _Arrival(self._digest())
        await take_pieces(body, self._most, arrival.take)
        source = BytesSource(arrival.pieces)
        entry = Entry(
            id=BlobID(arrival.digest.hexdigest()),
            size=source.size,
            sha256=arrival.sha256.digest(),
            metadata=metadata,
            expires=expires,
        )
        tally = await self._copies.store(entry, source)
        return Uploaded(entry.id, source.size, tally.copies)


class _Arrival:
    """Keeps the pieces of an upload, and hashes them as they come."""

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.sha256 = hashlib.sha256()
        self.pieces: list[bytes] = []

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        self.pieces.append(piece)
        self.digest.update(piece)
        self.sha256.update(piece)
