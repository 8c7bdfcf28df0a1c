"""Sending a blob: whole, in spans, or not at all. Blob servers and downloads answer alike."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Sequence

from attrs import frozen
from twisted.web.iweb import IBodyProducer

from sos.http.bodies import PIECE, BytesBody, pour
from sos.http.conditions import Validators, Verdict
from sos.http.ranges import content_range, spans_of
from sos.http.request import Request
from sos.words.blob import Entry, Span
from sos.words.errors import Unavailable
from sos.words.interfaces import OpenBlob

Headers = list[tuple[bytes, bytes]]

_CONDITIONAL = frozenset({b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"})


class Representation:
    """What a resource can send. A subclass says where its bytes and its entry come from, and how that becomes headers."""

    __slots__ = ()

    def stat(self) -> Awaitable[Entry]:
        """Give the entry of what is sent."""
        raise NotImplementedError

    def fetch(self, span: Span | None) -> Awaitable[OpenBlob]:
        """Open what is sent, or a span of it."""
        raise NotImplementedError

    def headers(self, entry: Entry) -> Headers:
        """Put an entry into headers."""
        raise NotImplementedError

    def validators(self, entry: Entry) -> Validators:
        """Say what identifies the state of an entry."""
        raise NotImplementedError

    def is_same(self, entry: Entry, opened: Entry) -> bool:
        """Whether the bytes of what was opened are those of the entry that was asked for before."""
        return entry.sha256 == opened.sha256

    def send(self, request: Request) -> Awaitable[None]:
        """Answer a GET or HEAD. Raises what `stat` and `fetch` raise, and `RangeNotSatisfiable`."""
        if request.method == b"HEAD" or not _CONDITIONAL.isdisjoint(request.fields):
            return self._send_conditionally(request)
        return self.send_whole(request)

    async def send_whole(self, request: Request) -> None:
        """Answer a GET, whatever its conditions. Raises what `fetch` raises."""
        opened = await self.fetch(None)
        await _send(request, self._headers_of_whole(opened.entry), opened.entry.size, opened.body)

    async def _send_conditionally(self, request: Request) -> None:
        entry = await self.stat()
        validators = self.validators(entry)
        verdict = validators.judge(request.header)
        if verdict is Verdict.NOT_MODIFIED:
            request.respond(304, self.headers(entry))
        elif verdict is Verdict.FAILED:
            request.respond(412, self.headers(entry))
        else:
            spans = self._spans(request, entry, validators)
            await self._send_spans(request, entry, spans) if spans else await self._send_whole(request, entry)

    def _spans(self, request: Request, entry: Entry, validators: Validators) -> Sequence[Span]:
        if entry.size is None or not validators.allow_range(request.header(b"if-range")):
            return ()
        return spans_of(request.header(b"range"), entry.size)

    async def _send_whole(self, request: Request, entry: Entry) -> None:
        if request.method == b"HEAD":
            request.begin(200, self._headers_of_whole(entry), entry.size)
            request.finish()
        else:
            opened = await self._open_same(entry, None)
            await _send(request, self._headers_of_whole(entry), entry.size, opened.body)

    async def _send_spans(self, request: Request, entry: Entry, spans: Sequence[Span]) -> None:
        """Answer 206: one span as it is, several as ``multipart/byteranges`` (RFC 9110, section 14.6)."""
        parts = _Parts.of(entry, spans, self.headers(entry))
        if request.method == b"HEAD":
            request.begin(206, parts.headers, parts.length)
        else:
            opened = await self._open_same(entry, spans[0])  # before the head goes out: it may still become an error
            request.begin(206, parts.headers, parts.length)
            request.write(parts.heads[0])
            await pour(opened.body, request)
            for span, head in zip(spans[1:], parts.heads[1:], strict=True):
                request.write(head)
                await pour((await self._open_same(entry, span)).body, request)
            request.write(parts.end)
        request.finish()

    async def _open_same(self, entry: Entry, span: Span | None) -> OpenBlob:
        """Open the bytes of the very entry whose headers are sent."""
        opened = await self.fetch(span)
        if not self.is_same(entry, opened.entry):
            opened.body.stopProducing()
            raise Unavailable("The object was replaced while it was being sent; ask again.")
        return opened

    def _headers_of_whole(self, entry: Entry) -> Headers:
        return [*self.headers(entry), (b"Accept-Ranges", b"bytes")]


async def _send(request: Request, headers: Headers, size: int | None, body: IBodyProducer) -> None:
    """Answer 200: in one write where all bytes are here and are few, for that costs half as much."""
    if isinstance(body, BytesBody) and body.length <= PIECE and size in (None, body.length):
        request.respond(200, headers, b"".join(body.pieces))
    else:
        request.begin(200, headers, size)
        await pour(body, request)
        request.finish()


@frozen
class _Parts:
    """The framing of a partial answer: headers, what goes before each span and behind the last, and all bytes counted."""

    headers: Headers
    heads: Sequence[bytes]
    end: bytes
    length: int

    @classmethod
    def of(cls, entry: Entry, spans: Sequence[Span], headers: Headers) -> _Parts:
        assert entry.size is not None
        if len(spans) == 1:
            headers = [*headers, (b"Content-Range", content_range(spans[0], entry.size))]
            return cls(headers, [b""], b"", spans[0].length)
        boundary = os.urandom(12).hex().encode("ascii")
        kind = next((value for name, value in headers if name == b"Content-Type"), b"application/octet-stream")
        heads = [
            b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n" % (boundary, kind, content_range(span, entry.size))
            for span in spans
        ]
        end = b"\r\n--%b--\r\n" % boundary
        others = [(name, value) for name, value in headers if name != b"Content-Type"]
        length = sum(map(len, heads)) + sum(span.length for span in spans) + len(end)
        return cls([*others, (b"Content-Type", b"multipart/byteranges; boundary=" + boundary)], heads, end, length)
