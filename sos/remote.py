"""The remote store: a blob server at the far end of a connection, as the store that it is.

What it speaks is `sos.decisions.wire`, and nothing that a server answers is taken on trust: names, sizes and digests are
held against what was sent and asked for. What no blob server would answer is `ServerUnavailable`, with the reason.

A server that does not name its store in an answer is taken for one of the old contract: all it holds has version 0 and no
digest. It sends back every header that was sent to it, ours among them; of these only the kind is believed, for a
manifest on an old server is still a manifest, and lies about it come out where the digest of the object is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions import wire
from sos.decisions.names_reader import NamesReader
from sos.http.answer import Answer
from sos.http.bodies import BytesBody, BytesSource, collect
from sos.http.client import Client
from sos.http.cut_body import CutBody
from sos.http.origins import Origin
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import (
    BadInput,
    BlobTooLarge,
    DigestMismatch,
    RangeNotSatisfiable,
    ServerUnavailable,
    SOSError,
    Unsupported,
)
from sos.words.interfaces import IBlobStore, IBodySource, IProbed, OpenBlob, Received
from sos.words.versions import LARGEST

SIGN_OF_LIFE = 2.0
"""Seconds within which a member that is well gives a sign of life: nothing is read for it, and nothing written."""

Hear = Callable[[int | None, int | None, bool, bytes | None], None]
"""Is told of the clock and of the last completed round of a server, whether it has met only a part of its group since it
missed one, and of its incarnation. None for what an answer does not say."""

_STORE_UUID = re.compile(rb"[0-9A-Za-z-]{1,64}")


@implementer(IBlobStore, IProbed)
class RemoteStore:
    """The store of one blob server."""

    def __init__(self, client: Client, url: str, credential: bytes | None = None, hear: Hear = lambda *said: None) -> None:
        """Speak to the server under a URL; `credential` is the cluster key, and `hear` is told what answers say of it.

        Raises `BadConfig` for what is no such URL.
        """
        self._client = client
        self._hear = hear
        self._origin = Origin.of_url(url)
        self.server = url.rstrip("/")
        self._headers = [(b"X-Sos-Protocol", wire.PROTOCOL_NOW)]
        if credential is not None:
            self._headers.append((b"Authorization", b"Bearer " + credential))

    async def alive(self) -> None:
        """Ask for a sign of life. Raises `Unavailable`, and `Forbidden` where the credential is not taken."""
        answer = self._heard(
            await self._client.request(b"GET", self._origin, wire.ALIVE, self._headers, first_byte=SIGN_OF_LIFE)
        )
        await self._expect_200(answer, None)
        await self._payload_of(answer)

    async def status(self) -> dict[str, Any] | None:
        """Give what the server says of itself; None from one of the old contract, which is not asked that."""
        answer = await self._ask(b"GET", wire.STATUS)
        if answer.status == 404:
            answer.body.stopProducing()
            return None
        await self._expect_200(answer, None)
        try:
            return wire.json_object(await self._payload_of(answer))
        except BadInput as error:
            raise ServerUnavailable(self.server, f"its status cannot be read: {error}") from None

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        """Open a blob, or a span of it; see `IBlobFetcher`."""
        if span is not None and not span.length:
            return await self._open_nothing(blob_id, span)
        headers = [] if span is None else [(b"Range", wire.range_of(span))]
        answer = await self._ask(b"GET", wire.blob_path(blob_id), headers)
        if span is None or answer.status != 206:
            await self._expect_200(answer, blob_id)
        try:
            size, body = self._cut(answer, span)
            return OpenBlob(self._entry_of(blob_id, answer, size), body)
        except SOSError:
            answer.body.stopProducing()
            raise

    async def stat(self, blob_id: BlobID) -> Entry:
        """Give the entry of a blob; of an old server's larger blobs without a size. See `IBlobFetcher`."""
        answer = await self._ask(b"HEAD", wire.blob_path(blob_id))
        await self._expect_200(answer, blob_id)
        return self._entry_of(blob_id, answer, answer.length)

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        """Send a blob; see `IBlobReceiver`. A body whose bytes are in memory can be sent again, should it have to be."""
        length = _length_of(entry, body)
        headers = [*wire.internal_headers(entry), *entry.metadata.pairs]
        source: IBodySource | None = BytesSource(body.pieces) if isinstance(body, BytesBody) else None
        answer = await self._client.request(
            b"POST",
            self._origin,
            wire.blob_path(entry.id),
            [*self._headers, *headers],
            source=source,
            body=None if source is not None else body,
            length=length,
        )
        await self._expect_200(self._heard(answer), entry.id)
        if answer.was_early:
            answer.body.stopProducing()
            raise ServerUnavailable(self.server, "it acknowledged a blob before it had the whole of it")
        return self._received(entry, answer, await self._payload_of(answer))

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        """Give the next names; see `IBlobEnumerator`.

        An old server sends its whole list, each time: as much of it is read as is needed.
        """
        answer = await self._ask(b"GET", wire.names_path(prefix, after, limit, kind))
        await self._expect_200(answer, None)
        if kind is not None and not is_ours(answer):  # an empty page would say that it holds no manifests
            answer.body.stopProducing()
            raise Unsupported(f"{self.server} speaks the old contract, and cannot list blobs by their kind.")
        names = _Names(NamesReader(prefix, after, limit), answer.body)
        try:
            return await names.all()
        except BadInput as error:
            raise ServerUnavailable(self.server, str(error)) from None

    # Asking

    async def _ask(self, method: bytes, path: bytes, headers: wire.Headers = ()) -> Answer:
        return self._heard(await self._client.request(method, self._origin, path, [*self._headers, *headers]))

    def _heard(self, answer: Answer) -> Answer:
        """Pass on what an answer says of its server: its clock, how it stands in the rounds, and its incarnation."""
        clock, round_ = wire.heard_of(answer.header(wire.CLOCK)), wire.heard_of(answer.header(wire.ROUND))
        if is_ours(answer):
            self._hear(clock, round_, answer.header(wire.PARTIAL) == b"1", answer.header(wire.INCARNATION))
        return answer

    async def _expect_200(self, answer: Answer, blob_id: BlobID | None) -> None:
        """Raise the error that any other answer says."""
        if answer.status == 200:
            return
        try:
            payload = await collect(answer.body, wire.MOST_JSON)
        except SOSError:
            payload = b""  # the status has said it all
        raise wire.error_of(answer.status, answer.headers, payload, self.server, blob_id)

    async def _payload_of(self, answer: Answer) -> bytes:
        try:
            return await collect(answer.body, wire.MOST_JSON)
        except BlobTooLarge:
            raise ServerUnavailable(self.server, "it answered more than a blob server would") from None

    # Reading answers

    def _entry_of(self, blob_id: BlobID, answer: Answer, size: int | None) -> Entry:
        headers = answer.headers
        if not is_ours(answer):
            headers = [(name, value) for name, value in headers if not name.startswith(wire.INTERNAL) or name == wire.KIND]
        try:
            entry = wire.declared_entry(blob_id, headers, size)
        except BadInput as error:
            raise ServerUnavailable(self.server, f"its answer has a header that is wrong: {error}") from None
        if entry.version > LARGEST:
            raise ServerUnavailable(self.server, "its answer has a version that no clock can have made")
        return entry

    def _cut(self, answer: Answer, span: Span | None) -> tuple[int | None, IBodyProducer]:
        """Give the size of the blob, and a body of just the bytes that were asked for."""
        if span is None:
            return answer.length, answer.body
        if answer.status == 206:
            return self._cut_part(answer, span)
        size = answer.length
        if size is not None and span.stop > size:
            raise RangeNotSatisfiable(size)
        return size, CutBody(answer.body, span.start, span.length, span.stop != size, self.server)

    def _cut_part(self, answer: Answer, span: Span) -> tuple[int, IBodyProducer]:
        try:
            sent, size = wire.content_range_of(answer.header(b"content-range") or b"")
        except BadInput as error:
            raise ServerUnavailable(self.server, f"it sent a part of a blob and not which: {error}") from None
        if sent.start == span.start and sent.stop == size < span.stop:
            raise RangeNotSatisfiable(size)
        if sent != span or answer.length not in (None, span.length):
            raise ServerUnavailable(self.server, "it sent another part of a blob than it was asked for")
        return size, CutBody(answer.body, 0, span.length, False, self.server)

    async def _open_nothing(self, blob_id: BlobID, span: Span) -> OpenBlob:
        """Open a span of no bytes, which HTTP has no words for."""
        entry = await self.stat(blob_id)
        if entry.size is not None and span.stop > entry.size:
            raise RangeNotSatisfiable(entry.size)
        return OpenBlob(entry, BytesBody())

    def _received(self, entry: Entry, answer: Answer, payload: bytes) -> Received:
        """Take an answer for an acknowledgement, if it speaks of the very bytes that were sent."""
        try:
            name, size = wire.stored_of(payload)
        except BadInput as error:
            raise ServerUnavailable(self.server, f"its acknowledgement cannot be read: {error}") from None
        held = self._entry_of(entry.id, answer, size)
        is_same = entry.sha256 is None or held.sha256 in (None, entry.sha256)
        if name != entry.id or size != answer.sent or not is_same:
            raise ServerUnavailable(self.server, "it acknowledged another blob than the one that it was sent")
        held = attrs.evolve(entry, size=size, version=held.version, sha256=held.sha256 or entry.sha256)
        return Received(held, self._store_of(answer))

    def _store_of(self, answer: Answer) -> str | None:
        raw = answer.header(wire.STORE)
        if raw is None:
            return None
        if _STORE_UUID.fullmatch(raw) is None:
            raise ServerUnavailable(self.server, "it gives its store a name that is no UUID")
        return raw.decode("ascii")


def _length_of(entry: Entry, body: IBodyProducer) -> int | None:
    """Give the number of bytes that are to be sent. Raises, and stops the body, where it is clear that they are wrong."""
    length = body.length if isinstance(body.length, int) else None
    try:
        if not entry.is_live:
            raise BadInput("A tombstone comes without bytes.")
        if None not in (length, entry.size) and length != entry.size:
            raise DigestMismatch(f"The body has {length} bytes, and {entry.size} were declared.")
    except BadInput:
        body.stopProducing()
        raise
    return entry.size if length is None else length


def is_ours(answer: Answer) -> bool:
    """Whether the server names its store: an old one knows no such header, and was never sent one to send back."""
    return answer.header(wire.STORE) is not None


@implementer(IConsumer)
class _Names:
    """Reads names out of a body until there are enough."""

    def __init__(self, reader: NamesReader, body: IBodyProducer) -> None:
        self._reader = reader
        self._body = body
        self._done: Deferred[None] = Deferred(lambda _: body.stopProducing())

    async def all(self) -> Sequence[BlobID]:
        """Give the names that were asked for. Raises `BadInput` for a list that is none, and what the body raises."""
        self._body.startProducing(self).addCallbacks(self._finish, self._fail)
        await self._done
        return self._reader.names

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: a page of names never has to wait."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Read a piece; stop where nothing that follows is wanted."""
        if self._done.called:
            return
        try:
            self._reader.feed(data)
        except BadInput:
            self._body.stopProducing()
            self._done.errback()
        else:
            if self._reader.is_full and not self._reader.has_ended:
                self._body.stopProducing()
                self._done.callback(None)

    def _finish(self, _: object) -> None:
        if self._done.called:
            return
        try:
            self._reader.end()
        except BadInput:
            self._done.errback()
        else:
            self._done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if not self._done.called:
            self._done.errback(failure)
