"""The public ports of an api, as any client on the internet sees them. The client is treq's.

Redirects are not followed: an upload that is sent elsewhere would have to be read again, and an api redirects nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from attrs import frozen
from hyperlink import DecodedURL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse

from sos.cli.input_bodies import MeasuredBody
from sos.cli.network_faults import meaning_of
from sos.cli.patience import Patience
from sos.decisions import wire
from sos.words.blob import BlobID, Metadata
from sos.words.errors import BadInput, BlobTooLarge, DigestMismatch, ServerUnavailable, SOSError, Unavailable, Unsupported

SILENCE = 60.0
"""Seconds without a byte in either direction after which an api is given up: as long as its own front waits for a client."""

T = TypeVar("T")


@frozen
class Uploaded:
    """What an api acknowledged; `copies` is None where it does not count them."""

    object_id: str
    size: int
    copies: int | None


@frozen
class Download:
    """An object whose bytes are ready to be poured, from byte `start` on; `size` is that of all of it, None if unknown."""

    start: int
    size: int | None
    filename: bytes | None
    response: Any


class ApiClient:
    """Uploads to one port and downloads from another: each client knows one of them."""

    def __init__(self, agent: IAgent, url: DecodedURL, clock: IReactorTime, silence: float = SILENCE) -> None:
        """Speak to the port under a URL."""
        self._treq = HTTPClient(agent)
        self._url = url
        self._server = url.to_text().rstrip("/")
        self._patience = Patience(clock, silence)
        self._clock = clock

    async def upload(self, body: IBodyProducer, metadata: Metadata, passed: Callable[[int], None]) -> Uploaded:
        """Send an object, and hold the answer against the bytes that were sent. `passed` is told how many went by.

        Raises `ServerUnavailable`, `DigestMismatch`, what the body fails with, and what the api refuses it with.
        """

        def moved(count: int) -> None:
            self._patience.moved()
            passed(count)

        measured = MeasuredBody(body, moved)
        try:
            response = await self._ask("POST", self._url.child(wire.UPLOAD), Headers(dict(_lists(metadata))), measured)
            payload = await self._payload_of(response)
        finally:
            if not measured.is_complete:
                measured.stopProducing()
        if response.code != 200:
            raise self._refusal(response, payload, None)
        return self._checked(measured, payload)

    async def remove(self, object_id: BlobID) -> bool:
        """Delete an object, and say whether every member knows of it already.

        Raises `BlobNotFound`, `Unsupported` where the api lets nothing be deleted, `ServerUnavailable`, and what else it
        refuses it with.
        """
        response = await self._ask("DELETE", self._url.child(wire.UPLOAD, object_id), Headers())
        payload = await self._payload_of(response)
        if response.code == 405:
            raise Unsupported(f"{self._server} deletes nothing: an api does when it is started with --allow-delete.")
        if response.code not in (202, 204):
            raise self._refusal(response, payload, object_id)
        return bool(response.code == 204)

    async def open(self, object_id: BlobID, start: int = 0) -> Download:
        """Ask for an object, or for what follows its first `start` bytes.

        Raises `BlobNotFound`, `RangeNotSatisfiable`, `ServerUnavailable`, and what else the api refuses it with.
        """
        headers = Headers({b"Range": [b"bytes=%d-" % start]} if start else {})
        response = await self._ask("GET", self._url.child(wire.FETCH, object_id), headers)
        if response.code not in (200, 206):
            raise self._refusal(response, await self._payload_of(response), object_id)
        filename = _header(response, wire.ORIG_FILENAME)
        size = None if response.length is UNKNOWN_LENGTH else response.length
        if response.code == 200:
            return Download(0, size, filename, response)
        try:
            span, size = wire.content_range_of(_header(response, b"content-range") or b"")
        except BadInput as error:
            raise ServerUnavailable(self._server, f"it sent a part and not which: {error}") from None
        if span.start != start:
            raise ServerUnavailable(self._server, "it sent another part than it was asked for")
        return Download(start, size, filename, response)

    async def pour(self, download: Download, take: Callable[[bytes], object]) -> None:
        """Hand each piece to a function. Raises what that raises, and `ServerUnavailable` where the rest does not come."""

        def moved(piece: bytes) -> None:
            take(piece)
            self._patience.moved()

        await self._waited_for(_received(download.response, moved))

    # Asking

    async def _ask(self, method: str, url: DecodedURL, headers: Headers, body: MeasuredBody | None = None) -> IResponse:
        asking = self._treq.request(
            method,
            url,
            headers=headers,
            data=body,  # whatever provides IBodyProducer is taken as it is
            allow_redirects=False,
            unbuffered=True,
            reactor=self._clock,  # type: ignore[arg-type]
        )
        return await self._waited_for(asking)

    async def _payload_of(self, response: IResponse) -> bytes:
        pieces: list[bytes] = []

        def take(piece: bytes) -> None:
            pieces.append(piece)
            if sum(map(len, pieces)) > wire.MOST_JSON:
                raise BlobTooLarge("more than an api answers")

        try:
            await self._waited_for(_received(response, take))
        except BlobTooLarge:
            raise ServerUnavailable(self._server, f"it answered {response.code} and more than an api would") from None
        return b"".join(pieces)

    async def _waited_for(self, waiting: Deferred[T]) -> T:
        """Wait, and turn whatever the network comes up with into one sentence."""
        try:
            return await self._patience.wait_for(waiting)
        except Exception as error:  # of whatever kind: what is no fault of the network is raised again
            if self._patience.is_over:
                raise ServerUnavailable(self._server, "it was silent for too long") from None
            raise meaning_of(error, self._server) from None

    # Reading answers

    def _refusal(self, response: IResponse, payload: bytes, object_id: BlobID | None) -> SOSError:
        headers = [(name.lower(), value) for name, values in response.headers.getAllRawHeaders() for value in values]
        error = wire.error_of(response.code, headers, payload, self._server, object_id)
        if isinstance(error, ServerUnavailable):
            return Unavailable(f"{self._server} answered {response.code}: {error.why}")
        return error

    def _checked(self, sent: MeasuredBody, payload: bytes) -> Uploaded:
        """Take an answer for an acknowledgement, if it speaks of the very bytes that were sent."""
        try:
            object_id, size = wire.stored_of(payload)
            copies = wire.json_object(payload).get("copies")
        except BadInput as error:
            raise ServerUnavailable(self._server, f"its acknowledgement cannot be read: {error}") from None
        if not sent.is_complete:
            raise ServerUnavailable(self._server, "it acknowledged an upload before it had the whole of it")
        if object_id not in sent.names or size != sent.size:
            raise DigestMismatch(f"{self._server} acknowledged other bytes than it was sent: send it again.")
        return Uploaded(object_id, size, copies if type(copies) is int else None)


class _Receiver(Protocol):
    """Hands on the body of a response, piece by piece."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self.done: Deferred[None] = Deferred(self._drop)
        self._take = take

    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        try:
            self._take(data)
        except Exception:  # whatever it is: the one who waits has to know, not the connection
            self._drop()
            self.done.errback()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):  # without a length or chunks, the digest is what tells
            self.done.callback(None)
        else:
            self.done.errback(reason)

    def _drop(self, _: object = None) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


def _received(response: Any, take: Callable[[bytes], object]) -> Deferred[None]:
    receiver = _Receiver(take)
    response.deliverBody(receiver)
    return receiver.done


def _lists(metadata: Metadata) -> Iterator[tuple[bytes, list[bytes]]]:
    return ((name, [value]) for name, value in metadata.pairs)


def _header(response: IResponse, name: bytes) -> bytes | None:
    values: list[bytes] = response.headers.getRawHeaders(name, [])
    return values[0] if values else None
