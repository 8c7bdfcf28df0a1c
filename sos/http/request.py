"""A request, and the answer to it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer, IRequest
from zope.interface import implementer

from sos.http import outgoing
from sos.http.head import Head, Pair
from sos.http.request_body import RequestBody
from sos.http.stock import StockRequest
from sos.words.interfaces import IFileConsumer

if TYPE_CHECKING:
    from sos.http.channel import Channel

_OURS = frozenset({b"content-length", b"connection", b"transfer-encoding", b"server", b"date", b"x-content-type-options"})
"""Headers that say how an answer is framed, or stand in every answer: a stock resource does not write them."""


class _Stage(enum.Enum):
    """How far the answer is."""

    FRESH = enum.auto()  # nothing is known of it
    BEGUN = enum.auto()  # `begin` was called, or a stock resource wrote
    FINISHED = enum.auto()  # by whoever answers
    GONE = enum.auto()  # the client left, or the front took the request away: nothing can be said any more


class _BodyFraming(enum.Enum):
    """How the body of an answer says where it ends."""

    COUNTED = enum.auto()
    CHUNKED = enum.auto()
    BY_CLOSE = enum.auto()  # to clients of HTTP/1.0
    NONE = enum.auto()  # HEAD, 204 and 304


@implementer(IRequest, IFileConsumer)
class Request(StockRequest):
    """What a client asked, and the place to answer it.

    Either in one piece with `respond`, or with `begin`, then as an `IConsumer`, then `finish`; or as resources of
    twisted.web do it. Nothing leaves before the first byte of the body does, so until `has_begun` another answer may still
    be given. When the client leaves first, or its body turns bad, the request is gone: what is still called is ignored.
    """

    # Defaults on the class and no __slots__: most requests touch few of them, and stock resources may hang things here.
    has_begun = False
    sentLength = 0
    closes = False
    _stage = _Stage.FRESH
    _framing = _BodyFraming.COUNTED
    _pending: tuple[Sequence[Pair], int | None] | None = None
    _left = 0
    _body: IBodyProducer | None = None
    _producer: Any = None
    _pulls = False
    _is_pulling = False
    _writes = 0
    _waiting: list[Deferred[None]] | None = None
    _why_gone: Failure | None = None
    _on_gone: Callable[[], None] | None = None

    def __init__(self, channel: Channel, head: Head) -> None:
        """Make the request of a head that was read on a connection."""
        self.channel = channel
        self.method = head.method
        self.uri = head.target
        self.path = path = head.path
        self.query = head.query
        self.raw_headers = head.headers
        self.fields = head.fields
        self.head = head
        self.prepath: list[bytes] = []
        segments = path[1:].split(b"/")
        self.postpath = [unquote_to_bytes(segment) for segment in segments] if b"%" in path else segments

    def __repr__(self) -> str:
        """Say what was asked, for people."""
        return f"<Request {self.method.decode('latin-1')} {self.uri.decode('latin-1')}>"

    # What was asked

    @property
    def body(self) -> IBodyProducer:
        """The body: a stream, or in memory where it came with the head; an empty one where the request has none."""
        if self._body is None:
            self._body = RequestBody(self.channel, 0)
        return self._body

    @body.setter
    def body(self, body: IBodyProducer) -> None:
        self._body = body

    @property
    def peer(self) -> IAddress:
        """The address of the client."""
        return self.channel.peer

    @property
    def is_from_loopback(self) -> bool:
        """Whether the client is on this very machine; a client on a unix socket is."""
        return self.channel.is_from_loopback

    def header(self, name: bytes) -> bytes | None:
        """Give the value of a header by its lower-case name; of a list that came in several lines, all of them."""
        return self.fields.get(name)

    # Answering

    @property
    def is_answered(self) -> bool:
        """Whether the whole answer was given, by whoever had to."""
        return self._stage is _Stage.FINISHED

    @property
    def is_over(self) -> bool:
        """Whether nothing can be answered any more."""
        return self._stage is _Stage.FINISHED or self._stage is _Stage.GONE

    @property
    def startedWriting(self) -> bool:
        """What stock resources call `has_begun`."""
        return self.has_begun

    def respond(self, status: int, headers: Sequence[Pair] = (), body: bytes = b"") -> None:
        """Give a whole answer, in one write; it takes the place of one that was begun and has sent nothing.

        Raises `RuntimeError` after a byte of another answer is out.
        """
        if not self._may_begin():
            return
        self._start(status, headers, len(body))
        data = self._head_bytes()
        if body and self._framing is not _BodyFraming.NONE:
            self.sentLength = len(body)
            data += body
        self.channel.write(data)
        self._end()

    def begin(self, status: int, headers: Sequence[Pair], length: int | None) -> None:
        """Begin an answer of `length` bytes, or of as many as there will be; then `write` them and `finish`."""
        if self._may_begin():
            self._start(status, headers, length)

    def write(self, data: bytes) -> None:
        """Send a piece of the body. An answer with more bytes than its length is aborted."""
        if self._stage is _Stage.FRESH:
            self._begin_as_set(None)
        if self._stage is not _Stage.BEGUN or not data:
            return
        self._writes += 1
        if self._framing is _BodyFraming.COUNTED:
            self._left -= len(data)
            if self._left < 0:
                self.abort()
                return
        self._send(data)
        if self._pulls:
            self._pull()

    @property
    def takes_files(self) -> bool:
        """Whether bytes can go from an open file to the client without passing through this process."""
        return self._framing is _BodyFraming.COUNTED and self._stage is _Stage.BEGUN and self.channel.outlet.takes_files

    def take_from_file(self, descriptor: int, at: int, most: int) -> int:
        """Send bytes of an open file. An answer with more bytes than its length is aborted."""
        if most > self._left:
            self.abort()
            return 0
        if self._pending is not None:
            self.channel.write(self._head_bytes())
        taken = self.channel.send_file(descriptor, at, most)
        self._left -= taken
        self.sentLength += taken
        if self._left and self.takes_files:
            self.channel.wait()
        return taken

    def finish(self) -> None:
        """End the answer. One with fewer bytes than its length is aborted: it must not look complete."""
        if self._stage is _Stage.FINISHED:
            raise RuntimeError("The answer was finished before.")
        if self._stage is _Stage.FRESH:
            self._begin_as_set(0)
        if self._stage is not _Stage.BEGUN:
            return
        if self._framing is _BodyFraming.COUNTED and self._left:
            self.abort()
            return
        data = b"" if self._pending is None else self._head_bytes()
        if self._framing is _BodyFraming.CHUNKED:
            data += b"0\r\n\r\n"
        if data:
            self.channel.write(data)
        self._end()

    def abort(self) -> None:
        """Drop the connection, so that what went out cannot be taken for a whole answer."""
        if not self.is_over:
            self.channel.abort()

    loseConnection = abort

    def when_gone(self, call: Callable[[], None]) -> None:
        """Have one thing called when the client leaves before the answer is finished."""
        if self._why_gone is None:
            self._on_gone = call
        else:
            call()

    def notifyFinish(self) -> Deferred[None]:
        """Give a Deferred that fires when the answer is finished, and fails when the client left before."""
        if self._stage is _Stage.FINISHED:
            return succeed(None)
        if self._why_gone is not None:
            return fail(self._why_gone)
        waiting: Deferred[None] = Deferred()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(waiting)
        return waiting

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take bytes from a producer, of either kind; a request that is gone stops it at once."""
        if self._producer is not None:
            raise RuntimeError("Another producer is registered.")
        if self.is_over:
            producer.stopProducing()
            return
        self._producer = producer
        self._pulls = not streaming
        if self._pulls:
            self._pull()
        elif self.channel.is_clogged:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Let the producer go."""
        self._producer = None
        self._pulls = False

    # Called by the connection

    def pause(self) -> None:
        """Slow the producer down: the client does not read fast enough."""
        if self._producer is not None and not self._pulls:
            self._producer.pauseProducing()

    def resume(self) -> None:
        """Let the producer go on."""
        if self._pulls:
            self._pull()
        elif self._producer is not None:
            self._producer.resumeProducing()

    def leave(self, reason: Failure) -> None:
        """Say that nobody waits for the answer any more; from here on nothing that its maker calls has an effect."""
        self._stage = _Stage.GONE
        self._why_gone = reason

    def stop(self) -> None:
        """Stop what makes the answer, after `leave`."""
        producer = self._producer
        self.unregisterProducer()
        if producer is not None:
            producer.stopProducing()
        if self._on_gone is not None:
            self._on_gone()
        for waiting in self._taken_waiting():
            waiting.errback(self._why_gone)

    def finish_with(self, body: bytes) -> None:
        """Answer as a stock resource does that returned its whole body."""
        if self._stage is not _Stage.FRESH:
            raise RuntimeError("A resource wrote an answer and returned another.")
        if not isinstance(body, bytes):
            raise TypeError("A resource returns bytes or NOT_DONE_YET.")
        self._begin_as_set(len(body))
        if body:
            self.write(body)
        if not self.is_over:
            self.finish()

    # Inside

    def _may_begin(self) -> bool:
        if self._stage is _Stage.GONE:
            return False
        if self.has_begun or self._stage is _Stage.FINISHED:
            raise RuntimeError("Another answer was begun before.")
        return True

    def _start(self, status: int, headers: Sequence[Pair], length: int | None) -> None:
        self._stage = _Stage.BEGUN
        self.code = status
        self._pending = (headers, length)
        self._left = length or 0
        if self.method == b"HEAD" or status in outgoing.BODILESS:
            self._framing = _BodyFraming.NONE
        elif length is not None:
            self._framing = _BodyFraming.COUNTED
        else:
            self._framing = _BodyFraming.CHUNKED if self.head.is_http_11 else _BodyFraming.BY_CLOSE

    def _begin_as_set(self, length: int | None) -> None:
        """Begin the answer that a stock resource has set up header by header."""
        declared = self.responseHeaders.getRawHeaders(b"content-length", [])
        if declared:
            length = int(declared[-1])
        if self.code not in outgoing.BODILESS and not self.responseHeaders.hasHeader(b"content-type"):
            self.setHeader(b"content-type", self.defaultContentType)
        self._start(self.code, (), length)

    def _send(self, data: bytes) -> None:
        head = b"" if self._pending is None else self._head_bytes()
        if self._framing is _BodyFraming.NONE:
            data = head
        elif self._framing is _BodyFraming.CHUNKED:
            self.sentLength += len(data)
            data = b"%b%x\r\n%b\r\n" % (head, len(data), data)
        else:
            self.sentLength += len(data)
            data = head + data if head else data
        if data:
            self.channel.write(data)

    def _head_bytes(self) -> bytes:
        """Make the head at the last moment: only now it is known whether the connection can stay open."""
        headers, length = self._pending or ((), None)
        set_headers = self._response_headers
        if set_headers is not None:
            headers = [*self._headers_as_set(), *headers]
        lines = outgoing.header_lines(headers) if headers else b""  # may raise: then nothing of this answer is out
        self.closes = (
            self._framing is _BodyFraming.BY_CLOSE
            or (set_headers is not None and b"close" in set_headers.getRawHeaders(b"connection", []))
            or not self.channel.can_stay_open(self)
        )
        self._pending = None
        self.has_begun = True
        return b"%b%b%b%b%b\r\n" % (
            outgoing.status_line(self.code, self.code_message),
            self.channel.stamp.lines(),
            lines,
            self._framing_line(length),
            outgoing.CLOSE if self.closes else b"" if self.head.is_http_11 else outgoing.KEEP_ALIVE,
        )

    def _framing_line(self, length: int | None) -> bytes:
        if self.code in outgoing.BODILESS:
            return b""
        if length is not None:
            return b"Content-Length: %d\r\n" % length
        return b"Transfer-Encoding: chunked\r\n" if self.head.is_http_11 else b""

    def _headers_as_set(self) -> list[Pair]:
        return [
            (name, value)
            for name, values in self.responseHeaders.getAllRawHeaders()
            if name.lower() not in _OURS
            for value in values
        ]

    def _pull(self) -> None:
        """Ask a pull producer for more until the connection has enough; one that writes later is asked again then."""
        if self._is_pulling:
            return
        self._is_pulling = True
        try:
            while self._pulls and not self.channel.is_clogged:
                before = self._writes
                self._producer.resumeProducing()
                if self._writes == before:
                    return
        finally:
            self._is_pulling = False

    def _end(self) -> None:
        self._stage = _Stage.FINISHED
        self.unregisterProducer()
        for waiting in self._taken_waiting():
            waiting.callback(None)
        self.channel.answer_finished(self)

    def _taken_waiting(self) -> list[Deferred[None]]:
        waiting, self._waiting = self._waiting or [], None
        return waiting
