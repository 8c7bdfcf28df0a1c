"""Downloads: find an object at one of the members that may hold it, and let no wrong byte of it leave."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.digests import Expected, expected_of
from sos.decisions.tally import may_hide
from sos.decisions.topology import Group, Server
from sos.http.begun_body import begun
from sos.http.bodies import BytesBody, take_pieces
from sos.http.verified_body import VerifiedBody
from sos.usecases.cluster import Cluster
from sos.usecases.first_answer import GRACE, FirstAnswer, NoAnswer
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import BlobDamaged, BlobNotFound, RangeNotSatisfiable, SOSError, Unavailable
from sos.words.interfaces import IDigested, OpenBlob

VERIFIED_WHOLE = 4 * 1024 * 1024
"""Bytes of the largest blob that is read and hashed before its first byte leaves (design, section 7)."""

Errors = dict[Server, SOSError]
T = TypeVar("T")

Moved = Callable[[int], None]
"""Is told of the bytes of an answer as they come."""

Ask = Callable[[Server, Moved], Awaitable[T]]
"""Asks one member."""


class Downloads:
    """Asks the members in the order of placement; the first that has the object, with the right bytes, gives it."""

    _log = Logger()

    def __init__(self, cluster: Cluster, needed_in: Callable[[Group], int], clock: IReactorTime) -> None:
        """Ask the members of a cluster; `needed_in` gives the copies that an acknowledgement needed in a group."""
        self._cluster = cluster
        self._needed_in = needed_in
        self._clock = clock

    async def open(self, object_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open an object, or a span of it; the caller pours or stops the body.

        Up to `VERIFIED_WHOLE` bytes are verified before the result is there, a longer object while it is poured: its body
        fails with `BlobDamaged` before its last piece. A span of a longer one is not verified. Either has begun to come.

        Raises `BlobNotFound` when no acknowledged copy can hide from the answers, `Unavailable` otherwise, and
        `RangeNotSatisfiable`.
        """
        return await self._first(object_id, lambda server, moved: self._open_at(server, object_id, span, moved), _stop)

    async def stat(self, object_id: BlobID) -> Entry:
        """Give the entry of an object. Raises what `open` raises."""

        async def ask(server: Server, moved: Moved) -> Entry:
            return _of_object(await self._cluster.store_of(server).stat(object_id))

        return await self._first(object_id, ask, lambda entry: None)

    # One member

    async def _open_at(self, server: Server, object_id: BlobID, span: Span | None, moved: Moved) -> OpenBlob:
        store = self._cluster.store_of(server)
        if span is not None and _is_long(await store.stat(object_id)):
            opened = await store.fetch(object_id, span)
            _check_kind(opened)
            return evolve(opened, body=await begun(opened.body))
        opened = await store.fetch(object_id)
        _check_kind(opened)
        try:
            return await self._verified(opened, span, moved)
        except BlobDamaged:
            self._tell(server, object_id)
            raise

    def _tell(self, server: Server, object_id: BlobID) -> None:
        """Have a member look at a copy of which it gave wrong bytes; nobody waits for that."""
        self._log.warn("{server} gave wrong bytes of {id}", server=server.url, id=object_id)
        digested = self._cluster.digested(server)
        if digested is not None:
            telling = Deferred.fromCoroutine(_suspect(digested, object_id))
            telling.addErrback(lambda failure: failure.trap(SOSError))

    async def _verified(self, opened: OpenBlob, span: Span | None, moved: Moved) -> OpenBlob:
        entry = opened.entry
        expected = expected_of(entry)
        if entry.size is None and expected is not None:  # an old server does not say the length, and it is usually short
            return evolve(opened, body=await begun(_verified_body(opened, expected), VERIFIED_WHOLE))
        if _is_long(entry):
            opened = evolve(opened, body=await begun(opened.body))  # until bytes come, the next member may be asked
            return opened if expected is None else evolve(opened, body=_verified_body(opened, expected))
        payload = await _gathered(opened.body, moved)
        if expected is not None and hashlib.new(expected.name, payload).digest() != expected.digest:
            raise BlobDamaged(entry.id)
        if span is None:
            return OpenBlob(entry, BytesBody(payload))
        if span.stop > len(payload):
            raise RangeNotSatisfiable(len(payload))
        return OpenBlob(entry, BytesBody(payload[span.start : span.stop]))

    # All members

    async def _first(self, object_id: BlobID, ask: Ask[T], discard: Callable[[T], None]) -> T:
        await self._cluster.heard_lately()
        servers = self._cluster.readers_for(object_id)
        grace = 0.0 if any(map(self._cluster.is_resting, servers)) else GRACE

        async def believed(server: Server) -> T:
            answer = await ask(server, asking.moved)
            if not self._cluster.is_read_from(server):  # its very answer may be the first to say so
                discard(answer)
                raise Unavailable(f"{server} has missed a round, and may hold what was deleted meanwhile.")
            return answer

        asking: FirstAnswer[T] = FirstAnswer(believed, self._clock, self._cluster.failed, discard, self._is_absent, grace)
        try:
            return await asking.of(servers)
        except NoAnswer as no:
            raise self._verdict(object_id, no.errors) from None

    def _is_absent(self, errors: Errors) -> bool:
        """Whether so many members have said no that no acknowledged copy can hide, in any group."""
        return not any(
            may_hide(
                self._needed_in(group),
                len(group.members),
                sum(self._denies(member, errors) for member in group.members),
            )
            for group in self._cluster.topology.groups
        )

    def _denies(self, member: Server, errors: Errors) -> bool:
        """Whether a member has said no, and is not one that may lack what its peers hold."""
        return isinstance(errors.get(member), BlobNotFound) and self._cluster.is_read_from(member)

    def _verdict(self, object_id: BlobID, errors: Errors) -> SOSError:
        """Say what the answers come to when none of them was good. A 404 is true, never made by a fault."""
        self._log.debug("Nobody gives {id}: {errors}", id=object_id, errors=errors)
        for error in errors.values():
            if isinstance(error, RangeNotSatisfiable):
                return error
        if self._is_absent(errors):
            return BlobNotFound(object_id)
        return Unavailable(f"Too few of the blob servers that may hold {object_id} can be asked, or have it undamaged, now.")


async def _gathered(body: IBodyProducer, moved: Moved) -> bytes:
    """Take a body into memory, and tell of each piece."""
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        moved(len(piece))

    await take_pieces(body, VERIFIED_WHOLE, take)
    return b"".join(pieces)


def _is_long(entry: Entry) -> bool:
    return entry.size is None or entry.size > VERIFIED_WHOLE


def _of_object(entry: Entry) -> Entry:
    """Give an entry back if it is an object's: chunks are parts, and not for the public."""
    if entry.kind is Kind.CHUNK:
        raise BlobNotFound(entry.id)
    return entry


def _check_kind(opened: OpenBlob) -> None:
    try:
        _of_object(opened.entry)
    except BlobNotFound:
        opened.body.stopProducing()
        raise


def _verified_body(opened: OpenBlob, expected: Expected) -> VerifiedBody:
    blob_id = opened.entry.id
    return VerifiedBody(opened.body, hashlib.new(expected.name), expected.digest, lambda: BlobDamaged(blob_id))


def _stop(opened: OpenBlob) -> None:
    """Let go of an answer that came too late."""
    opened.body.stopProducing()


async def _suspect(digested: IDigested, object_id: BlobID) -> None:
    await digested.suspect(object_id)
