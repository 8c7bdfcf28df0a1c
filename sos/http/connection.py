"""One connection to a server: a request goes out, its answer comes back, and then perhaps the next.

The order of things within one segment matters, and is this: the reader collects all that the segment holds; a connection
whose answer is complete goes back to the pool; only then does whoever waits hear of it. So a small answer is whole when its
head is known, and the next request may take this very connection from within the Deferred's callback.
"""

from __future__ import annotations

from typing import Any, Protocol

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from sos.http.alarm import Alarm
from sos.http.answer import Answer, AnswerBody
from sos.http.answer_reader import AnswerReader, AnswerRefused
from sos.http.bodies import PIECE, BytesBody
from sos.http.deadlines import Deadlines
from sos.http.departures import Departures
from sos.http.gathering import Gathering
from sos.http.intake import Intake
from sos.http.origins import Origin
from sos.http.outlet import Outlet, outlet_of
from sos.http.sending import Sending
from sos.words.errors import BlobTruncated, ServerUnavailable, SOSError
from sos.words.interfaces import IBodySource


class Stale(ServerUnavailable):
    """A connection that died before a byte of the answer came: one from the pool had been closed by the server before."""


class Home(Protocol):
    """Where a connection waits for its next request."""

    def enter(self, connection: Connection) -> None:
        """Notice that a connection was made."""

    def give_back(self, connection: Connection) -> None:
        """Take a connection that can serve another request."""

    def forget(self, connection: Connection) -> None:
        """Let a connection out of the pool that will serve no more requests."""

    def bury(self, connection: Connection) -> None:
        """Notice that a connection is gone."""


@define(eq=False)
class Outgoing:
    """A request on its way: its head, and where the body behind it comes from."""

    is_head: bool
    first_byte: float
    source: IBodySource | None = None
    body: IBodyProducer | None = None
    length: int | None = None
    head: bytes = b""

    @property
    def has_body(self) -> bool:
        """Whether there is a body to be sent, be it empty."""
        return self.source is not None or self.body is not None

    @property
    def may_be_repeated(self) -> bool:
        """Whether it can be sent again."""
        return self.body is None

    def take_body(self) -> IBodyProducer | None:
        """Give the body to be sent now; who takes it pours or stops it."""
        if self.source is not None:
            return self.source.body()
        body, self.body = self.body, None
        return body

    def let_go(self) -> None:
        """Stop the body that nobody has taken."""
        if self.body is not None:
            self.body.stopProducing()


class Connection(TwistedProtocol):
    """A connection to one origin, which serves one request at a time."""

    _outlet: Outlet
    _intake: Intake
    _gathering: Gathering

    def __init__(
        self, origin: Origin, clock: IReactorTime, deadlines: Deadlines, home: Home, departures: Departures
    ) -> None:
        """Make a connection that is not yet made; `home` keeps it while it is idle."""
        self.origin = origin
        self._deadlines = deadlines
        self._home = home
        self._departures = departures
        self._clock = clock
        self._alarm = Alarm(clock)
        self._first_byte = deadlines.first_byte
        self._answering: Deferred[Answer] | None = None
        self._reader: AnswerReader | None = None
        self._sending: Sending | None = None
        self._sent = 0  # bytes of a body that went out with its head
        self._body: AnswerBody | None = None
        self._has_heard = False
        self._is_reading = True
        self._is_dropped = False
        self._is_clogged = False

    @property
    def is_usable(self) -> bool:
        """Whether it can take a request now."""
        return self._reader is None and not self._is_dropped

    def exchange(self, outgoing: Outgoing) -> Deferred[Answer]:
        """Send a request; the Deferred fires with the head of its answer. Cancelling it drops the connection.

        Fails with `ServerUnavailable`, with `Stale`, or with whatever the body of the request failed with.
        """
        answering: Deferred[Answer] = Deferred(lambda _: self._give_up())
        self._answering = answering
        self._reader = AnswerReader(outgoing.is_head)
        self._has_heard = False
        self._first_byte = outgoing.first_byte
        body = outgoing.take_body()
        payload = _payload_of(body, outgoing.length)
        self._sent = len(payload or b"")
        if body is None or payload is not None:
            self._allow(outgoing.first_byte)
            if payload:
                self._outlet.send(outgoing.head + payload)
            else:
                self._outlet.write(outgoing.head)
        else:
            self._allow(self._deadlines.silence)
            self._sending = Sending(self._transport, self._outlet, outgoing.head, body, outgoing.length, self)
            self._sending.start()
        return answering

    def drop(self) -> None:
        """Close at once: nothing that may still come is wanted."""
        if not self._is_dropped:
            self._retire()
            self._transport.abortConnection()

    def fail(self, why: str) -> None:
        """Drop the connection, and tell whoever waits for something why."""
        self._fail(ServerUnavailable(str(self.origin), why))

    # What Twisted calls

    def connectionMade(self) -> None:
        """Send small requests at once, not when they have become large ones."""
        self._home.enter(self)
        self._outlet = outlet_of(self.transport, self._departures, self._clog)
        self._intake = Intake(self.transport)
        self._gathering = Gathering(self.transport, self._clock)
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)

    def dataReceived(self, data: bytes) -> None:
        """Read on. An idle connection on which something comes is of no use any more."""
        reader = self._reader
        if reader is None or self._is_dropped:
            self.drop()
            return
        self._has_heard = True
        try:
            reader.feed(data)
        except AnswerRefused as error:
            self.fail(str(error))
            return
        if self._body is not None:
            if self._intake.moved(len(data)):
                self._gathering.until(reader.left)
            self._carry_on(reader, self._body)
        elif reader.has_head:
            self._deliver(reader)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:
        """Tell whoever still waited for something."""
        self._retire()
        self._home.bury(self)
        kind = ServerUnavailable if self._has_heard else Stale
        where = "in the middle of its answer" if self._has_heard else "before it answered"
        how = (
            "it closed the connection"
            if reason.check(ConnectionDone)
            else f"the connection broke ({reason.getErrorMessage()})"
        )
        self._end_exchange(Failure(kind(str(self.origin), f"{how} {where}")))

    # What the body of the answer calls

    def pause(self) -> None:
        """Read nothing for now; the silence is ours, and does not count."""
        if self._is_reading and not self._is_dropped:
            self._is_reading = False
            self._alarm.clear()
            self._narrow()
            self._transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if not self._is_reading and not self._is_dropped:
            self._is_reading = True
            self._allow(self._deadlines.silence)
            self._transport.resumeProducing()

    # What the body of the request calls

    def body_moved(self) -> None:
        """Let the silence begin anew."""
        if self._answering is not None:
            self._allow(self._deadlines.silence)

    def body_sent(self) -> None:
        """Give the server its time to answer."""
        if self._answering is not None:
            self._allow(self._first_byte)

    def body_failed(self, failure: Failure) -> None:
        """Drop the connection: the server must not take half a body for a whole one."""
        self._end_exchange(failure)

    # Inside

    @property
    def _transport(self) -> Any:
        return self.transport  # Twisted declares only a part of what every transport can

    def _allow(self, seconds: float) -> None:
        """Let the server, or a body on its way to it, take so long from now on, whatever it was allowed before."""
        self._alarm.set(seconds, self._time_is_up)

    def _deliver(self, reader: AnswerReader) -> None:
        """Hand out the answer whose head is there, with as much of its body as came in the same segment."""
        sending = self._sending
        was_early = sending is not None and not sending.is_whole
        if was_early:
            self._stop_sending()
        answering, self._answering = self._answering, None
        assert answering is not None
        flowing: AnswerBody | None = None
        body: IBodyProducer
        if reader.is_complete:
            body = BytesBody(*reader.take())
            self._release(reader)
        else:
            body = flowing = self._body = AnswerBody(self, reader.length)
            flowing.take(reader.take())
            self._allow(self._deadlines.silence)
        sent = self._sent if sending is None else sending.sent
        answering.callback(Answer(reader.status, reader.headers, reader.length, body, was_early, sent))
        if flowing is not None and flowing is self._body and not flowing.is_flowing:
            self.pause()

    def _carry_on(self, reader: AnswerReader, body: AnswerBody) -> None:
        """Pass on what came of the body."""
        if reader.is_complete:
            self._body = None
            self._release(reader)
            body.finish(reader.take())
        else:
            if self._is_reading:
                self._allow(self._deadlines.silence)
            body.take(reader.take())

    def _release(self, reader: AnswerReader) -> None:
        """Go home after a complete answer, if everything was in order; else close."""
        self._reader = None
        sending, self._sending = self._sending, None
        is_sent = sending is None or sending.is_finished
        if sending is not None and not is_sent:
            sending.stop()
        if is_sent and reader.may_be_followed and not self._is_clogged:
            self.resume()
            self._narrow()
            self._allow(self._deadlines.idle)
            self._home.give_back(self)
        else:
            self.drop()

    def _retire(self) -> None:
        """Take no more requests, and let go of the clock, the pool and the body that was being sent."""
        self._is_dropped = True
        self._home.forget(self)
        self._alarm.stop()
        self._outlet.forget()
        self._gathering.forget()
        self._stop_sending()

    def _narrow(self) -> None:
        self._intake.narrow()
        self._gathering.end()

    def _give_up(self) -> None:
        """Whoever waited for the answer does so no more."""
        self._answering = None
        self.drop()

    def _time_is_up(self) -> None:
        if self._reader is None:
            self.drop()
        elif self._answering is None:
            self.fail(f"its answer stood still for {self._deadlines.silence:g} s")
        elif self._sending is None or self._sending.is_whole:
            self.fail(f"it did not answer within {self._first_byte:g} s")
        elif self._sending.is_paused:
            self.fail(f"it took nothing of the body for {self._deadlines.silence:g} s")
        else:
            still = f"The body that was to be sent stood still for {self._deadlines.silence:g} s."
            self._fail(BlobTruncated(still))

    def _fail(self, error: SOSError) -> None:
        self._end_exchange(Failure(error))

    def _end_exchange(self, failure: Failure) -> None:
        """Drop the connection, and tell whoever waits, for the head or for the body, that it will not come."""
        answering, self._answering = self._answering, None
        body, self._body = self._body, None
        self.drop()  # with nobody waiting any more: some transports say at once that they are lost
        if answering is not None:
            answering.errback(failure)
        if body is not None:
            body.fail(failure)

    def _clog(self) -> None:
        """Let the body wait. Behind it, serve no other request: who answers what it has not read is not to be trusted."""
        if self._sending is not None and not self._sending.is_finished:
            self._sending.clogged()
        else:
            self._is_clogged = True

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.stop()


def _payload_of(body: IBodyProducer | None, length: int | None) -> bytes | None:
    """Give the bytes of a body that are few and here: they go out with the head. None where they have to be poured."""
    if not isinstance(body, BytesBody) or body.length != length or length > PIECE:
        return None
    body.stopProducing()
    return b"".join(body.pieces)
