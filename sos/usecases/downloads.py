"""Downloads: find an object at one of the members that may hold it, and let no wrong byte of it leave.

Who has a tombstone, or a blob that has expired, says of which version. What is older than that at another member is no
answer: that member, or its whole group, was away when the object was deleted. A tombstone alone makes no 404, though: a
later upload may be at those that cannot be asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, evolve
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.digests import Expected, expected_of
from sos.decisions.sizes import MIB
from sos.decisions.tally import may_hide
from sos.decisions.topology import Group, Server
from sos.http.begun_body import begun
from sos.http.bodies import PushedBody
from sos.http.verified_body import VerifiedBody
from sos.usecases.chunked_objects import ChunkedObject, ChunkedObjects
from sos.usecases.cluster import Cluster
from sos.usecases.continuation import Continuation
from sos.usecases.first_answer import GRACE, FirstAnswer, NoAnswer
from sos.usecases.lender import Lender, NoRoom, Reservation
from sos.usecases.suspects import Looked, Suspects, tell_nobody
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import BlobDamaged, BlobNotFound, RangeNotSatisfiable, SOSError, Unavailable
from sos.words.interfaces import IBlobFetcher, InThread, OpenBlob

VERIFIED_WHOLE = 4 * MIB
"""Bytes of the largest plain blob that is read and hashed before its first byte leaves (design, section 7)."""

MOST_MEMORY = 128 * MIB
"""Bytes that are held for clients at a time, unless told (design, section 7)."""

Errors = dict[Server, SOSError]
T = TypeVar("T")

Moved = Callable[[int], None]
"""Is told of the bytes of an answer as they come."""

Ask = Callable[[Server, Moved], Awaitable[T]]
"""Asks one member."""


@define
class _Question(Generic[T]):
    """What members are asked for one object, and what `discard` does with an answer that is not taken."""

    object_id: BlobID
    ask: Ask[T]
    version_of: Callable[[T], int]
    discard: Callable[[T], None]
    gone: int = 0
    """The newest version of which somebody has said that it is gone."""


async def _right_here(call: Callable[..., T], *arguments: Any) -> T:
    """Stand for a thread where there is none."""
    return call(*arguments)


class Downloads:
    """Asks the members in the order of placement; the first that has the object, with the right bytes, gives it."""

    _log = Logger()

    def __init__(
        self,
        cluster: Cluster,
        needed_in: Callable[[Group], int],
        clock: IReactorTime,
        missed: Looked = tell_nobody,
        in_thread: InThread = _right_here,
        most_memory: int = MOST_MEMORY,
    ) -> None:
        """Ask the members of a cluster; `needed_in` gives the copies that an acknowledgement needed in a group.

        `missed` is told of members that lack what another one of their group has, or have damaged it. What is held for
        clients, to be verified and poured, has `most_memory` bytes; `in_thread` hashes what is long.
        """
        self._cluster = cluster
        self._needed_in = needed_in
        self._clock = clock
        self._missed = missed
        self._suspects = Suspects(cluster, missed)
        self._lender = Lender(most_memory, clock)
        self._chunked = ChunkedObjects(cluster, clock, in_thread, self._lender, self._suspects)

    async def open(self, object_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open an object, or a span of it; the caller pours or stops the body.

        Up to `VERIFIED_WHOLE` bytes are verified before the result is there, and so is the first chunk of a larger object,
        each further one before its first byte is poured. A longer plain blob is verified while it is poured: its body fails
        with `BlobDamaged` before its last piece. A span of a longer one is not verified. Either has begun to come.

        Raises `BlobNotFound` when no acknowledged copy can hide from the answers, `Unavailable` otherwise, and
        `RangeNotSatisfiable`.
        """
        room = Reservation(self._lender)

        def ask(server: Server, moved: Moved) -> Awaitable[OpenBlob | ChunkedObject]:
            return self._open_at(server, object_id, span, moved, room)

        question = _Question(object_id, ask, lambda found: found.entry.version, _let_go)
        found = await self._with(room, question)
        return await self._chunked.open(found, span) if isinstance(found, ChunkedObject) else found

    async def stat(self, object_id: BlobID) -> Entry:
        """Give the entry of an object, with the size of all its bytes. Raises what `open` raises."""
        room = Reservation(self._lender)

        async def ask(server: Server, moved: Moved) -> Entry:
            entry = _of_object(await self._cluster.store_of(server).stat(object_id))
            return entry if entry.kind is Kind.BLOB else (await self._chunked.at(server, entry, moved, room)).entry

        return await self._with(room, _Question(object_id, ask, lambda entry: entry.version, lambda entry: None))

    # One member

    async def _open_at(
        self, server: Server, object_id: BlobID, span: Span | None, moved: Moved, room: Reservation
    ) -> OpenBlob | ChunkedObject:
        store = self._cluster.store_of(server)
        if span is not None or object_id in self._chunked.manifests:
            entry = _of_object(await store.stat(object_id))
            if entry.kind is Kind.MANIFEST:
                return await self._chunked.at(server, entry, moved, room)
            if span is not None and _is_long(entry):
                return await self._open_long_span(server, store, entry, span)
        opened = await store.fetch(object_id)
        _check_kind(opened)
        if opened.entry.kind is Kind.MANIFEST:
            return await self._chunked.read(server, opened, moved, room)
        if not _is_long(opened.entry):
            return await self._chunked.open_blob(server, opened, span, moved, room)
        return await self._open_long(server, opened)

    async def _open_long(self, server: Server, opened: OpenBlob) -> OpenBlob:
        entry = opened.entry
        expected = expected_of(entry)
        continuation = self._continuation(server, entry, None)
        if entry.size is None and expected is not None:  # an old server does not say the length, and it is usually short
            verified = self._verified_body(opened.body, entry, expected, continuation)
            return evolve(opened, body=await begun(verified, VERIFIED_WHOLE))
        body = await begun(opened.body)  # until bytes come, the next member may be asked
        return OpenBlob(entry, self._verified_body(continuation.of(body), entry, expected, continuation))

    async def _open_long_span(self, server: Server, store: IBlobFetcher, entry: Entry, span: Span) -> OpenBlob:
        opened = await store.fetch(entry.id, span)
        if opened.entry.kind is not entry.kind:
            opened.body.stopProducing()
            raise Unavailable("The object was replaced while it was being read; ask again.")
        body = await begun(opened.body)
        if isinstance(body, PushedBody):  # out of a store of this process: it can go to the client past us
            return evolve(opened, body=body)
        return evolve(opened, body=self._continuation(server, opened.entry, span).of(body))

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

        return body if expected is None else VerifiedBody(body, expected.hasher(), expected.digest, wrong)

    # All members

    async def _with(self, room: Reservation, question: _Question[T]) -> T:
        """Ask again as soon as there is memory, where there was none for the answer."""
        try:
            while True:
                try:
                    return await self._first(question)
                except NoRoom as no:
                    await room.wait(no.size)
        finally:
            room.end()

    async def _first(self, question: _Question[T]) -> T:
        """Ask those who may be read from, as they are now."""
        await self._cluster.heard_lately()
        return await self._cluster.asked(lambda: self._asked(question))

    async def _asked(self, question: _Question[T]) -> T:
        """Ask all groups, and home once more before a 404.

        A round carries strays home and forgets them: what was not home yet when home was asked may have left the other group
        before that one was. It moves in this direction alone, so who asks home last misses nothing.
        """
        home, *others = self._cluster.groups_for(question.object_id)
        try:
            return await self._asked_of([home, *others], question)
        except BlobNotFound:
            if not others:
                raise
        return await self._asked_of([home], question)

    async def _asked_of(self, groups: Sequence[Group], question: _Question[T]) -> T:
        object_id = question.object_id
        servers = [server for server in self._cluster.readers_for(object_id) if self._cluster.group_of(server) in groups]
        grace = 0.0 if any(map(self._cluster.is_resting, servers)) else GRACE

        async def believed(server: Server) -> T:
            try:
                answer = await question.ask(server, asking.moved)
            except BlobNotFound as error:
                question.gone = max(question.gone, error.gone or 0)
                raise
            if not self._cluster.is_read_from(server):  # its very answer may be the first to say so
                question.discard(answer)
                raise Unavailable(f"{server} has missed a round, and may hold what was deleted meanwhile.")
            if question.version_of(answer) < question.gone:  # whoever has told of that knows more
                question.discard(answer)
                self._missed(server, object_id)  # its peers have buried it
                raise BlobNotFound(object_id)
            return answer

        def is_absent(errors: Errors) -> bool:
            return self._is_absent(groups, errors)

        asking = FirstAnswer(believed, self._clock, self._cluster.failed, question.discard, is_absent, grace)
        try:
            answer = await asking.of(servers)
        except NoAnswer as no:
            raise self._verdict(object_id, groups, no.errors) from None
        if asking.errors and asking.winner is not None:
            self._suspects.name_those_without(object_id, asking.winner, asking.errors)
        return answer

    def _is_absent(self, groups: Sequence[Group], errors: Errors) -> bool:
        """Whether so many members have said no that no acknowledged copy can hide, in any of some groups."""
        return not any(
            may_hide(
                self._needed_in(group),
                len(group.members),
                sum(self._denies(member, errors) for member in group.members),
            )
            for group in groups
        )

    def _denies(self, member: Server, errors: Errors) -> bool:
        """Whether a member has said no, and is not one that may lack what its peers hold."""
        return isinstance(errors.get(member), BlobNotFound) and self._cluster.denies_truly(member)

    def _verdict(self, object_id: BlobID, groups: Sequence[Group], errors: Errors) -> SOSError:
        """Say what the answers come to when none of them was good. A 404 is true, never made by a fault."""
        self._log.debug("Nobody gives {id}: {errors}", id=object_id, errors=errors)
        for error in errors.values():
            if isinstance(error, RangeNotSatisfiable):
                return error
        if self._is_absent(groups, errors):
            return BlobNotFound(object_id)
        return Unavailable(f"Too few of the blob servers that may hold {object_id} can be asked, or have it undamaged, now.")


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


def _let_go(found: OpenBlob | ChunkedObject) -> None:
    """Let go of an answer that came too late."""
    if isinstance(found, OpenBlob):
        found.body.stopProducing()
