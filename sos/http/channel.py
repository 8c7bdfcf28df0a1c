"""One connection of a client: reads heads, hands requests on one by one, brings their bodies, keeps the deadlines.

What arrives goes into one buffer, and one loop takes from it what the moment allows: bytes of the body of the request that
is being answered, if that wants them; the next head, if no request is open and the client reads its answers. All else
waits, and when 64 KiB wait, or a body is paused, the transport is paused too. So there is one order of things, whatever
calls whom: each event changes the state and calls the loop, which does nothing if it is running already.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from sos.http import outgoing
from sos.http.addresses import is_loopback
from sos.http.alarm import Alarm
from sos.http.arrival import LOOKS, Arrival, arrival_of
from sos.http.channel_owner import ChannelOwner
from sos.http.head import Head, Refused
from sos.http.head_reader import HeadReader
from sos.http.outlet import Outlet, outlet_of
from sos.http.progress import Progress
from sos.http.request import Request
from sos.words.errors import BadInput, BlobTooLarge, BlobTruncated, SOSError


@implementer(IHalfCloseableProtocol, IPushProducer)
class Channel(Protocol):
    """Speaks HTTP/1.1 with one client.

    To the transport it is one push producer for as long as the connection lives: that is how it learns that the client
    does not read (`is_clogged`), in mid-answer as well as between pipelined ones. While it is not clogged, nothing waits in
    the transport of a plain socket: so what is written then may go past it (`sos.http.outlet`).
    """

    outlet: Outlet
    _progress: Progress

    def __init__(self, front: ChannelOwner, peer: IAddress, turned_away: Refused | None = None) -> None:
        """Wait for a connection from `peer`; `turned_away` is said to it instead of reading anything."""
        self.front = front
        self.peer = peer
        self.stamp = front.stamp
        self.limits = front.limits
        self.is_from_loopback = is_loopback(peer)
        self.is_secure = False
        self.is_clogged = False
        self._turned_away = turned_away
        self._alarm = Alarm(front.clock)
        self._buffer = b""
        self._reader: HeadReader | None = None
        self._is_head_timed = True  # the first head's deadline runs from the connection
        self._request: Request | None = None
        self._arrival: Arrival | None = None  # of a body that is not all here
        self._is_body_timed = False
        self._is_advancing = False
        self._is_reading = True
        self._has_peer_ended = False
        self._is_closing = False
        self._lingering_for = 0

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered, or an answer still has to leave."""
        return self._request is not None or self._is_closing

    # What the transport tells

    def connectionMade(self) -> None:
        """Wait for the first head."""
        transport = self._wire
        self.is_secure = ISSLTransport.providedBy(transport)
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        self.outlet = outlet_of(transport, self.front.departures, self.wait)
        self._progress = Progress(transport, self.limits.write_seconds, self._alarm, self.abort)
        transport.registerProducer(self, True)
        if self._turned_away is not None:
            self.refuse(self._turned_away)
        else:
            self._alarm.set(self.limits.head_seconds, self._close)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes, and do what they allow."""
        if self._is_closing:
            self._discard(data)
            return
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()

    def readConnectionLost(self) -> None:
        """Note that the client sends nothing more; it may well wait for its answers (torture H66)."""
        self._has_peer_ended = True
        if self._is_closing:
            self._wire.loseConnection()
        else:
            self._advance()

    def writeConnectionLost(self) -> None:
        """Note that the last answer is out; the client has a moment to read it before what it still sends resets it."""
        self._alarm.set(self.limits.linger_seconds, self._wire.loseConnection)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Stop everything that was going on for this client."""
        self._is_closing = True
        self._alarm.stop()
        self.outlet.forget()
        self._buffer = b""
        self._take_away(BlobTruncated("The client left before its body was complete."), reason)
        self.front.closed(self)

    def pauseProducing(self) -> None:
        """Note that the client does not read fast enough. Said again at each write, it is no news."""
        if self.is_clogged:
            return
        self.is_clogged = True
        self._is_body_timed = False
        self._progress.watch()
        if self._request is not None:
            self._request.pause()

    def resumeProducing(self) -> None:
        """Note that the client has read."""
        self.is_clogged = False
        if self._is_closing:
            return
        self._alarm.clear()
        self._is_body_timed = False
        if self._request is not None:
            self._request.resume()
            self._time_body()
        else:
            self._wait_for_next()
            self._advance()

    def stopProducing(self) -> None:
        """Do nothing: `connectionLost` follows."""

    # What requests and bodies tell

    def write(self, data: bytes) -> None:
        """Send bytes of an answer."""
        if self.is_clogged:
            self._wire.write(data)
        else:
            self.outlet.write(data)

    def send_file(self, descriptor: int, at: int, most: int) -> int:
        """Send bytes of an open file, and say how many; none while the client does not read."""
        self.outlet.flush()
        return 0 if self.is_clogged else self.outlet.send_file(descriptor, at, most)

    def wait(self) -> None:
        """Pause the answer until the client takes more, and until everybody else had a turn."""
        if not self.is_clogged:
            self.outlet.wait()
            self.pauseProducing()

    def can_stay_open(self, request: Request) -> bool:
        """Whether the connection survives the answer that begins now: a rest of the body must have arrived already."""
        if not request.head.is_persistent or self.front.is_draining:
            return False
        return self._arrival is None or self._arrival.rest_behind(self._buffer) is not None

    def answer_finished(self, request: Request) -> None:
        """Go on with the next request, or close."""
        self._request = None
        self.front.answered(request)
        if request.closes or not self._skip_body() or self.front.is_draining:
            self._close()
        else:
            if not self.is_clogged:
                self._wait_for_next()
            self._advance()

    def body_changed(self) -> None:
        """Look again what the body wants."""
        if self._arrival is not None and self._arrival.is_wanted:
            self._invite()
            self._time_body()
        elif self._is_body_timed:
            self._untime_body()
        self._advance()

    def abort(self) -> None:
        """Drop the connection and what was not sent."""
        self._is_closing = True
        self._alarm.clear()
        self.outlet.forget()
        self._take_away(BlobTruncated("The connection was dropped."), None)
        self._wire.abortConnection()

    def drain(self) -> None:
        """Close now if nothing is going on, and behind the answer otherwise."""
        if not self.is_busy:
            self._close()

    def refuse(self, refused: Refused) -> None:
        """Say what is wrong with the client's bytes, and read no more of them."""
        self.write(outgoing.refusal(self.stamp, refused.status, refused.headers, refused.sentence))
        self._close(may_come_more=True)

    # The loop

    def _advance(self) -> None:
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._buffer and self._step():
                pass
        finally:
            self._is_advancing = False
        if self._has_peer_ended and not self._is_closing:
            self._end_with_peer()
        self._regulate()

    def _step(self) -> bool:
        """Take the next thing from the buffer; say whether there was one."""
        if self._is_closing:
            self._buffer = b""
        elif self._arrival is not None:
            if not self._arrival.is_wanted:
                return False
            self._read_body(self._arrival)
        elif self._request is not None or self.is_clogged:
            return False
        else:
            self._read_head()
        return True

    def _regulate(self) -> None:
        """Pause the transport while what it would bring has to wait."""
        wants = self._is_closing or (
            len(self._buffer) < self.limits.read_ahead and not (self._arrival is not None and self._arrival.is_paused)
        )
        if wants != self._is_reading and not self._has_peer_ended:
            self._is_reading = wants
            if wants:
                self._wire.resumeProducing()
            else:
                self._wire.pauseProducing()

    def _read_head(self) -> None:
        reader = self._reader or HeadReader(self.limits)
        data, self._buffer = self._buffer, b""
        try:
            self._buffer = reader.feed(data)
        except Refused as refused:
            self._reader = None
            self.refuse(refused)
            return
        if reader.head is not None:
            self._reader = None
            self._begin(reader.head)
            return
        self._reader = reader
        if reader.has_begun and not self._is_head_timed:
            self._is_head_timed = True
            self._alarm.set(self.limits.head_seconds, self._close)

    def _begin(self, head: Head) -> None:
        self._alarm.clear()
        self._request = request = Request(self, head)
        if head.length:
            self._arrival, self._buffer = arrival_of(request, self._buffer, self.limits, self._wire)
        self.front.dispatch(request)

    def _read_body(self, arrival: Arrival) -> None:
        arrived, self._buffer = self._buffer, b""
        try:
            data, self._buffer = arrival.cut(arrived)
        except BlobTooLarge as error:
            self._fail_body(error, 413)
            return
        except BadInput as error:
            self._fail_body(error, 400)
            return
        if arrival.is_complete:
            self._arrival = None
            self._untime_body()
        arrival.deliver(data)

    def _end_with_peer(self) -> None:
        """Do what has to be done when the client's last byte was taken from the buffer."""
        if self._buffer:
            return
        if self._arrival is not None:
            self._fail_body(BlobTruncated("The body ended before it was complete."), 400)
        elif self._request is None:
            self._close()

    # The body

    def _skip_body(self) -> bool:
        """Leave out a body that its request did not need; say whether that could be done."""
        arrival, self._arrival = self._arrival, None
        if arrival is None:
            return True
        rest = arrival.rest_behind(self._buffer)
        if rest is None:
            self._arrival = arrival
            return False
        self._buffer = rest
        self._untime_body()
        arrival.give_up()
        return True

    def _invite(self) -> None:
        """Tell a client to send the body that it announced, once somebody wants it (torture H24)."""
        request = self._request
        if request is not None and request.head.expects_continue:
            request.head.expects_continue = False
            if not self._buffer and not request.has_begun:
                self.write(outgoing.CONTINUE)

    def _time_body(self) -> None:
        """Begin to measure how fast the body comes."""
        if self._arrival is not None and self._arrival.is_wanted and not self.is_clogged:
            self._is_body_timed = True
            self._arrival.begin_period()
            self._alarm.set(self.limits.body_rate_seconds / LOOKS, self._check_rate)

    def _untime_body(self) -> None:
        if self._is_body_timed:
            self._is_body_timed = False
            self._alarm.clear()

    def _check_rate(self) -> None:
        if self._arrival is not None and self._arrival.look():
            self._fail_body(BlobTruncated("The body came too slowly."), 408)
        else:
            self._alarm.set(self.limits.body_rate_seconds / LOOKS, self._check_rate)

    def _fail_body(self, error: SOSError, status: int) -> None:
        """End a request whose body is no good: its handler first, then answer in its place if nothing was answered."""
        request = self._request
        has_begun = request is None or request.has_begun
        if request is not None and not has_begun:
            request.code = status
        self._take_away(error, None)
        if has_begun:
            self.abort()
        else:
            self.refuse(Refused(status, str(error)))

    def _take_away(self, error: Exception, reason: Failure | None) -> None:
        """Take the open request from its handler. The body fails first, so that the handler learns why."""
        request, self._request = self._request, None
        arrival, self._arrival = self._arrival, None
        if request is not None:
            request.leave(reason or Failure(error))
        if arrival is not None:
            arrival.give_up(error)
        if request is not None:
            request.stop()
            self.front.answered(request)

    # Closing

    def _wait_for_next(self) -> None:
        self._is_head_timed = False
        self._alarm.set(self.limits.idle_seconds, self._close)

    def _close(self, may_come_more: bool = False) -> None:
        """Close behind what was written. Where the client may still be sending, closing would reset it, so linger."""
        if self._is_closing:
            return
        self._is_closing = True
        may_come_more = may_come_more or self._arrival is not None or bool(self._buffer)
        self._take_away(BlobTruncated("The request was answered before its body was read."), None)
        self._buffer = b""
        self.outlet.flush()
        transport = self._wire
        transport.unregisterProducer()
        self._progress.watch()
        if may_come_more and not self.is_secure and not self._has_peer_ended and hasattr(transport, "loseWriteConnection"):
            self._regulate()
            transport.loseWriteConnection()
        else:  # TLS lingers by itself: it waits for the other side's goodbye
            transport.loseConnection()

    def _discard(self, data: bytes) -> None:
        """Throw away what comes behind the last answer."""
        self._lingering_for += len(data)
        if self._lingering_for > self.limits.linger_bytes:
            self._wire.loseConnection()

    @property
    def _wire(self) -> Any:
        """The transport, whose interface has many parts that only some transports have."""
        return self.transport
