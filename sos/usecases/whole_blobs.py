"""Whole blobs: fetched into memory and held against their digest before anybody sees a byte of them.

So a member that gives wrong bytes, falls silent or goes away in the middle costs time and nothing else: the next is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.digests import Expected, expected_of
from sos.decisions.manifest import Chunk
from sos.decisions.topology import Server
from sos.http.bodies import BytesBody, take_pieces
from sos.usecases.cluster import Cluster
from sos.usecases.first_answer import GRACE, FirstAnswer, NoAnswer
from sos.usecases.suspects import Suspects
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import BlobDamaged, BlobTooLarge, Unavailable
from sos.words.interfaces import InThread, OpenBlob

IN_THREAD = 1024 * 1024
"""Bytes from which on hashing is left to a thread: to hash them takes most of a millisecond, and a thread a tenth of one."""

Moved = Callable[[int], None]
"""Is told of the bytes of an answer as they come."""

Pieces = list[bytes]


@frozen
class Part:
    """A blob that is fetched whole, and the span of it that is wanted; `expected` is None where nobody knows its digest."""

    id: BlobID
    kind: Kind
    size: int
    expected: Expected | None
    span: Span

    @classmethod
    def of_chunk(cls, chunk: Chunk, span: Span) -> Part:
        """Want a span of a chunk."""
        return cls(chunk.id, Kind.CHUNK, chunk.size, Expected("sha256", chunk.sha256), span)

    @classmethod
    def of_blob(cls, entry: Entry, span: Span) -> Part:
        """Want a span of a blob whose size is known."""
        assert entry.size is not None
        return cls(entry.id, entry.kind, entry.size, expected_of(entry), span)

    def is_meant_by(self, entry: Entry) -> bool:
        """Whether a member that gives this entry claims to give these bytes."""
        is_sha256 = self.expected is not None and self.expected.name == "sha256"
        return (
            entry.kind is self.kind
            and entry.size in (None, self.size)
            and (entry.sha256 is None or not is_sha256 or self.expected == Expected("sha256", entry.sha256))
        )


class WholeBlobs:
    """Fetches whole blobs from the members of a cluster."""

    _log = Logger()

    def __init__(self, cluster: Cluster, clock: IReactorTime, in_thread: InThread, suspects: Suspects) -> None:
        """Ask the members of a cluster, hash what is long by `in_thread`, and tell `suspects` who gave wrong bytes."""
        self._cluster = cluster
        self._clock = clock
        self._in_thread = in_thread
        self._suspects = suspects

    async def fetch(self, part: Part, place: BlobID) -> Pieces:
        """Give the bytes of a blob from the first member that has them, in the order in which they are asked for `place`.

        Raises `Unavailable`: it should be there.
        """
        servers = self._cluster.readers_for(place)
        grace = 0.0 if any(map(self._cluster.is_resting, servers)) else GRACE
        asking: FirstAnswer[Pieces] = FirstAnswer(
            lambda server: self._fetch_at(server, part, asking.moved),
            self._clock,
            self._cluster.failed,
            lambda pieces: None,
            lambda errors: False,
            grace,
        )
        try:
            pieces = await asking.of(servers)
        except NoAnswer as no:
            self._log.warn("Nobody gives {id}, a part of what is read: {errors}", id=part.id, errors=no.errors)
            raise Unavailable("A part of the object cannot be had from any blob server now.") from None
        if asking.errors and asking.winner is not None:
            self._suspects.name_those_without(part.id, asking.winner, asking.errors)
        return pieces

    async def _fetch_at(self, server: Server, part: Part, moved: Moved) -> Pieces:
        opened = await self._cluster.store_of(server).fetch(part.id)
        if not part.is_meant_by(opened.entry):
            opened.body.stopProducing()
            self._log.warn("{server} has something else under {id}", server=server.url, id=part.id)
            raise BlobDamaged(part.id)
        pieces = await self.taken(server, opened, part.size, part.expected, moved)
        if sum(map(len, pieces)) != part.size:  # the bytes are right, and the manifest is not
            raise BlobDamaged(part.id)
        return pieces

    async def taken(self, server: Server, opened: OpenBlob, most: int, expected: Expected | None, moved: Moved) -> Pieces:
        """Take a body that a member gives into memory, `most` bytes at most, and verify it.

        Raises `BlobDamaged` for other bytes, of which the member is told, and whatever the body fails with.
        """
        try:
            here = _here(opened.body, most)
            pieces = await _gathered(opened.body, most, moved) if here is None else here
        except BlobTooLarge:
            is_right = False
        else:
            size = sum(map(len, pieces))
            is_right = opened.entry.size in (None, size)
            if is_right and expected is not None:
                is_long = size >= IN_THREAD
                is_right = await self._in_thread(expected.is_of, *pieces) if is_long else expected.is_of(*pieces)
        if not is_right:
            self._suspects.tell(server, opened.entry.id)
            raise BlobDamaged(opened.entry.id)
        return pieces


def _here(body: IBodyProducer, most: int) -> Pieces | None:
    """Give the pieces of a body that is in memory, without a step on the way."""
    if not isinstance(body, BytesBody) or body.length > most:
        return None
    body.stopProducing()
    return body.pieces


async def _gathered(body: IBodyProducer, most: int, moved: Moved) -> Pieces:
    """Take a body into memory, and tell of each piece. Raises `BlobTooLarge`."""
    pieces: Pieces = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        moved(len(piece))

    await take_pieces(body, most, take)
    return pieces
