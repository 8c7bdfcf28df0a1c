"""Downloads: find an object at one of the members that may hold it, and let no wrong byte of it leave.

Who has a tombstone, or a blob that has expired, says of which version. What is older than that at another member is no
answer: that member, or its whole group, was away when the object was deleted. A tombstone alone makes no 404, though: a
later upload may be at those that cannot be asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.digests import Expected, expected_of
from sos.decisions.tally import may_hide
from sos.decisions.topology import Group, Server
from sos.http.begun_body import begun
from sos.http.bodies import BytesBody, PushedBody, take_pieces
from sos.http.verified_body import VerifiedBody
from sos.usecases.cluster import Cluster
from sos.usecases.continuation import Continuation
from sos.usecases.first_answer import GRACE, FirstAnswer, NoAnswer
from sos.usecases.suspects import Looked, Suspects, tell_nobody
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import BlobDamaged, BlobNotFound, RangeNotSatisfiable, SOSError, Unavailable
from sos.words.interfaces import OpenBlob

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

    def __init__(
        self,
        cluster: Cluster,
        needed_in: Callable[[Group], int],
        clock: IReactorTime,
        missed: Looked = tell_nobody,
    ) -> None:
        """Ask the members of a cluster; `needed_in` gives the copies that an acknowledgement needed in a group.

        `missed` is told of members that lack what another one of their group has, or have damaged it.
        """
        self._cluster = cluster
        self._needed_in = needed_in
        self._clock = clock
        self._missed = missed
        self._suspects = Suspects(cluster, missed)

    async def open(self, object_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open an object, or a span of it; the caller pours or stops the body.

        Up to `VERIFIED_WHOLE` bytes are verified before the result is there, a longer object while it is poured: its body
        fails with `BlobDamaged` before its last piece. A span of a longer one is not verified. Either has begun to come.

        Raises `BlobNotFound` when no acknowledged copy can hide from the answers, `Unavailable` otherwise, and
        `RangeNotSatisfiable`.
        """
        return await self._first(
            object_id,
            lambda server, moved: self._open_at(server, object_id, span, moved),
            lambda opened: opened.entry.version,
            _stop,
        )

    async def stat(self, object_id: BlobID) -> Entry:
        """Give the entry of an object. Raises what `open` raises."""

        async def ask(server: Server, moved: Moved) -> Entry:
            return _of_object(await self._cluster.store_of(server).stat(object_id))

        return await self._first(object_id, ask, lambda entry: entry.version, lambda entry: None)

    # One member

    async def _open_at(self, server: Server, object_id: BlobID, span: Span | None, moved: Moved) -> OpenBlob:
        store = self._cluster.store_of(server)
        if span is not None and _is_long(await store.stat(object_id)):
            opened = await store.fetch(object_id, span)
            _check_kind(opened)
            body = await begun(opened.body)
            if isinstance(body, PushedBody):  # out of a store of this process: it can go to the client past us
                return evolve(opened, body=body)
            return evolve(opened, body=self._continuation(server, opened.entry, span).of(body))
        opened = await store.fetch(object_id)
        _check_kind(opened)
        try:
            return await self._verified(server, opened, span, moved)
        except BlobDamaged:
            self._suspects.tell(server, object_id)
            raise

    async def _verified(self, server: Server, opened: OpenBlob, span: Span | None, moved: Moved) -> OpenBlob:
        entry = opened.entry
        expected = expected_of(entry)
        if entry.size is None and expected is not None:  # an old server does not say the length, and it is usually short
            verified = self._verified_body(opened.body, entry, expected, self._continuation(server, entry, None))
            return evolve(opened, body=await begun(verified, VERIFIED_WHOLE))
        if _is_long(entry):
            body = await begun(opened.body)  # until bytes come, the next member may be asked
            continuation = self._continuation(server, entry, None)
            return OpenBlob(entry, self._verified_body(continuation.of(body), entry, expected, continuation))
        payload = await _gathered(opened.body, moved)
        if expected is not None and hashlib.new(expected.name, payload).digest() != expected.digest:
            raise BlobDamaged(entry.id)
        if span is None:
            return OpenBlob(entry, BytesBody(payload))
        if span.stop > len(payload):
            raise RangeNotSatisfiable(len(payload))
        return OpenBlob(entry, BytesBody(payload[span.start : span.stop]))

    def _continuation(self, server: Server, entry: Entry, span: Span | None) -> Continuation:
        return Continuation(self._cluster, self._clock, entry, span, server)

    def _verified_body(
        self, body: IBodyProducer, entry: Entry, expected: Expected | None, continuation: Continuation
    ) -> IBodyProducer:
        """Verify a body as it passes; where it is wrong, all who gave bytes of it look at their copies."""

        def wrong() -> BlobDamaged:
            for server in continuation.givers:
                self._suspects.tell(server, entry.id)
            return BlobDamaged(entry.id)

        return body if expected is None else VerifiedBody(body, hashlib.new(expected.name), expected.digest, wrong)

    # All members

    async def _first(
        self, object_id: BlobID, ask: Ask[T], version_of: Callable[[T], int], discard: Callable[[T], None]
    ) -> T:
        await self._cluster.heard_lately()
        servers = self._cluster.readers_for(object_id)
        grace = 0.0 if any(map(self._cluster.is_resting, servers)) else GRACE
        tombstones = [0]

        async def believed(server: Server) -> T:
            try:
                answer = await ask(server, asking.moved)
            except BlobNotFound as error:
                tombstones.append(error.gone or 0)
                raise
            if not self._cluster.is_read_from(server):  # its very answer may be the first to say so
                discard(answer)
                raise Unavailable(f"{server} has missed a round, and may hold what was deleted meanwhile.")
            if version_of(answer) < max(tombstones):  # whoever has told of that knows more
                discard(answer)
                self._missed(server, object_id)  # its peers have buried it
                raise BlobNotFound(object_id)
            return answer

        asking: FirstAnswer[T] = FirstAnswer(believed, self._clock, self._cluster.failed, discard, self._is_absent, grace)
        try:
            answer = await asking.of(servers)
        except NoAnswer as no:
            raise self._verdict(object_id, no.errors) from None
        if asking.errors and asking.winner is not None:
            self._tell_who_missed(object_id, asking.winner, asking.errors)
        return answer

    def _tell_who_missed(self, object_id: BlobID, holder: Server, errors: Errors) -> None:
        """Pass on which members lack what one of their own group has: what is in another group may be a stray."""
        group = self._cluster.group_of(holder)
        for server, error in errors.items():
            if isinstance(error, BlobNotFound | BlobDamaged) and self._cluster.group_of(server) == group:
                self._missed(server, object_id)

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


def _stop(opened: OpenBlob) -> None:
    """Let go of an answer that came too late."""
    opened.body.stopProducing()
