"""Uploads: hash an object as it arrives, then store it under the digest of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.topology import Server
from sos.http.bodies import BytesSource, take_pieces
from sos.usecases.cluster import Cluster
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BlobConflict, NotEnoughCopies, SOSError, StoreFull
from sos.words.interfaces import IBodySource
from sos.words.versions import HybridClock

MOST_CLOCK_MOVES = 3
"""How often a writer moves its clock past a newer entry and sends again (design, section 5)."""


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
    """Stores objects at the first member that takes them."""

    _log = Logger()

    def __init__(self, cluster: Cluster, clock: HybridClock, digest: Callable[[], Digest], most: int) -> None:
        """Name objects by `digest`, give them versions by `clock`, and take at most `most` bytes each."""
        self._cluster = cluster
        self._clock = clock
        self._digest = digest
        self._most = most

    async def upload(self, body: IBodyProducer, metadata: Metadata) -> Uploaded:
        """Take an object to its end and store it.

        Raises `BlobTooLarge`, what the body fails with, `BlobConflict` (other bytes under the same digest), `StoreFull` when
        every member is full, and `NotEnoughCopies` when none can take it.
        """
        arrival = _Arrival(self._digest())
        await take_pieces(body, self._most, arrival.take)
        source = BytesSource(arrival.pieces)
        entry = Entry(
            id=BlobID(arrival.digest.hexdigest()),
            size=source.size,
            sha256=arrival.sha256.digest(),
            metadata=metadata,
        )
        return Uploaded(entry.id, source.size, await self._store(entry, source))

    async def _store(self, entry: Entry, source: IBodySource) -> int:
        """Try one member after the other, and say how many hold the object then."""
        refusals: list[SOSError] = []
        for server in self._cluster.members_for(entry.id):
            try:
                await self._write(server, entry, source)
            except SOSError as error:
                if isinstance(error, BlobConflict) and error.reason == BlobConflict.OTHER_BYTES:
                    raise
                self._log.debug("{server} did not take {id}: {error}", server=server.url, id=entry.id, error=error)
                refusals.append(error)
            else:
                return 1
        if refusals and all(isinstance(error, StoreFull) for error in refusals):
            raise StoreFull("No blob server has room for this upload.")
        raise NotEnoughCopies(f"None of the {len(refusals)} blob servers can take this upload now.")

    async def _write(self, server: Server, entry: Entry, source: IBodySource) -> None:
        """Write to one member; where it holds something newer, move the clock past that and send again."""
        store = self._cluster.store_of(server)
        for _ in range(MOST_CLOCK_MOVES):
            try:
                await store.receive(evolve(entry, version=self._clock.tick()), source.body())
            except BlobConflict as error:
                if error.reason != BlobConflict.OLDER:
                    raise
                self._clock.observe(Version(error.version))
            else:
                return
        raise NotEnoughCopies(f"{server.url} kept finding newer versions of {entry.id}.")


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
