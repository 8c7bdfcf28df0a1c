"""The client: requests between servers, over connections that are kept.

It is for blobs, and strict: it follows no redirect, knows no proxy, unpacks nothing, and takes for an answer only what says
where it ends (`sos.http.answer_reader`). Whatever goes wrong on the way comes out as `ServerUnavailable`.

A request is sent again in one case only: its connection came from the pool and died before a byte of the answer, which
is how a connection looks that the server closed while nothing was going on. It is sent once more, over a new connection,
with a fresh body from its source. A body that can be used only once is therefore never sent over a connection that may be
stale, but over a new one: that costs a round trip, and otherwise a write would now and then fail for no reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IBodyProducer

from sos.http.answer import Answer
from sos.http.connection import Outgoing, Stale
from sos.http.deadlines import Deadlines
from sos.http.dialer import Dialer
from sos.http.origins import Connector, Origin
from sos.http.outgoing import header_lines
from sos.http.pool import Pool
from sos.words.errors import BadInput
from sos.words.interfaces import IBodySource

MOST_IDLE = 100
"""Idle connections kept to each origin: what an api under load has in flight to one member, with room to spare."""

_TARGET = re.compile(rb"/[\x21-\x7e]*")
_HAS_BODY = (b"POST", b"PUT")

Headers = Sequence[tuple[bytes, bytes]]


class Client:
    """Sends requests to servers."""

    def __init__(
        self,
        connect: Connector,
        clock: IReactorTime,
        deadlines: Deadlines = Deadlines(),
        most_idle: int = MOST_IDLE,
    ) -> None:
        """Reach servers through `connect`, and give them the time that `deadlines` has on `clock`."""
        self.clock = clock
        self._deadlines = deadlines
        self._pool = Pool(most_idle)
        self._dialer = Dialer(connect, clock, deadlines, self._pool)

    async def request(
        self,
        method: bytes,
        origin: Origin,
        path: bytes,
        headers: Headers = (),
        source: IBodySource | None = None,
        body: IBodyProducer | None = None,
        first_byte: float | None = None,
        length: int | None = None,
    ) -> Answer:
        """Send a request, and give the answer as soon as its head is there; the caller pours or stops its body.

        The request's body comes from a `source`, and may then be sent again; or it is a `body`, which is used once, and
        stopped where it is not used. Its length is `length`, or else what they say; where nobody says, it goes out in
        chunks. `first_byte` replaces the deadline of that name. Cancelling drops the connection.

        Raises `ServerUnavailable`, `BadInput` for what cannot be put into a head, and whatever the body raises.
        """
        outgoing = Outgoing(
            is_head=method == b"HEAD",
            first_byte=self._deadlines.first_byte if first_byte is None else first_byte,
            source=source,
            body=body,
            length=_length_of(source, body, length),
        )
        try:
            outgoing.head = _head_of(method, origin, path, headers, _framing_of(method, outgoing))
            return await self._exchange(origin, outgoing)
        finally:
            outgoing.let_go()

    async def _exchange(self, origin: Origin, outgoing: Outgoing) -> Answer:
        connection = self._pool.take(origin) if outgoing.may_be_repeated else None
        if connection is not None:
            try:
                return await connection.exchange(outgoing)
            except Stale:
                pass
        connection = await self._dialer.dial(origin)
        return await connection.exchange(outgoing)

    def close(self) -> Deferred[None]:
        """Drop all connections; requests under way fail, and so do all that come. Fires when the connections are gone."""
        self._dialer.close()
        return self._pool.close()


def _length_of(source: IBodySource | None, body: IBodyProducer | None, length: int | None) -> int | None:
    if length is None and source is not None:
        return source.size
    return body.length if length is None and body is not None and isinstance(body.length, int) else length


def _framing_of(method: bytes, outgoing: Outgoing) -> bytes:
    if not outgoing.has_body:
        return b"Content-Length: 0\r\n" if method in _HAS_BODY else b""
    if outgoing.length is None:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % outgoing.length


def _head_of(method: bytes, origin: Origin, path: bytes, headers: Headers, framing: bytes) -> bytes:
    """Write the head of a request. Raises `BadInput` for a path or a header that would end its line."""
    try:
        fields = header_lines(headers)
    except ValueError:
        fields = b"\0"
    if _TARGET.fullmatch(path) is None or b"\0" in fields:
        raise BadInput("A path or a header of a request has characters that HTTP does not allow.")
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (method, path, origin.authority, fields, framing)
