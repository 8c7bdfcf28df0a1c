"""A long body that goes on out of another source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.iweb import IBodyProducer

from sos.http.bodies import BytesBody, pour
from sos.http.resumed_body import ResumedBody
from sos.words.errors import BadInput, BlobDamaged, BlobTruncated, ServerUnavailable, SOSError, Unavailable
from tests.support import ScriptedConsumer, failure_of, success_of

GONE = ServerUnavailable("http://a:3001", "the connection was lost")
PAYLOAD = b"0123456789"


class Breaking(BytesBody):
    """A body that fails behind its pieces."""

    def __init__(self, error: SOSError, *pieces: bytes) -> None:
        super().__init__(*pieces)
        self.length = len(PAYLOAD)
        self.is_closed = False
        self._error = error

    def next_piece(self) -> bytes:
        piece = super().next_piece()
        if not piece:
            raise self._error
        return piece

    def close(self) -> None:
        self.is_closed = True


class Rest:
    """Gives what is missing, from one source after the other; each breaks off after so many bytes but the last."""

    def __init__(self, *breaks: int) -> None:
        self.asked: list[int] = []
        self._breaks = list(breaks)

    async def __call__(self, passed: int) -> IBodyProducer:
        self.asked.append(passed)
        if not self._breaks:
            return BytesBody(PAYLOAD[passed:])
        return Breaking(GONE, PAYLOAD[passed : passed + self._breaks.pop(0)])


async def nobody(passed: int) -> IBodyProducer:
    """Have nothing."""
    raise Unavailable("Nobody has it.")


@given(st.lists(st.integers(0, 4), max_size=5))
def test_however_often_it_breaks_off_all_bytes_come_once(breaks: list[int]) -> None:
    """In their order; each source is asked for what is missing by then."""
    consumer = ScriptedConsumer()
    rest = Rest(*breaks[1:])
    body = ResumedBody(Breaking(GONE, PAYLOAD[: breaks[0]]) if breaks else BytesBody(PAYLOAD), rest)
    assert body.length == len(PAYLOAD)
    success_of(pour(body, consumer))
    assert consumer.payload == PAYLOAD
    reached = [min(sum(breaks[: count + 1]), len(PAYLOAD)) for count in range(len(breaks))]
    assert rest.asked == reached


@pytest.mark.parametrize("error", [GONE, BlobTruncated("short"), BlobDamaged("abc")])
def test_it_fails_as_the_source_did_that_nobody_goes_on_for(error: SOSError) -> None:
    """That nobody has the rest is no news to the one who reads."""
    assert failure_of(pour(ResumedBody(Breaking(error, b"01"), nobody), ScriptedConsumer())) is error


def test_what_no_other_source_helps_against_comes_through() -> None:
    """Nobody is asked."""
    rest = Rest()
    error = BadInput("no")
    assert failure_of(pour(ResumedBody(Breaking(error, b"01"), rest), ScriptedConsumer())) is error
    assert rest.asked == []


def test_a_fault_of_ours_is_not_hidden() -> None:
    """It is worse than the source that broke off."""

    async def faulty(passed: int) -> IBodyProducer:
        raise ZeroDivisionError

    assert isinstance(failure_of(pour(ResumedBody(Breaking(GONE), faulty), ScriptedConsumer())), ZeroDivisionError)


@pytest.mark.parametrize("pause_after", range(1, 10))
def test_a_consumer_pauses_whichever_source_is_poured(pause_after: int) -> None:
    """Nothing comes until it has room again."""
    consumer = ScriptedConsumer(pause_after)
    pieces = [PAYLOAD[at : at + 1] for at in range(4)]

    async def rest(passed: int) -> IBodyProducer:
        return BytesBody(*(PAYLOAD[at : at + 1] for at in range(passed, 10)))

    pouring = Deferred.fromCoroutine(pour(ResumedBody(Breaking(GONE, *pieces), rest), consumer))
    assert consumer.payload == PAYLOAD[:pause_after]
    assert not pouring.called
    consumer.go_on()
    success_of(pouring)
    assert consumer.payload == PAYLOAD


@pytest.mark.parametrize("is_paused", [True, False])
def test_a_source_that_is_found_while_the_consumer_has_no_room_waits(is_paused: bool) -> None:
    """Else its first bytes would come too early: a body that begins knows of no pause."""
    consumer = ScriptedConsumer()
    found: Deferred[IBodyProducer] = Deferred()

    async def rest(passed: int) -> IBodyProducer:
        return await found

    body = ResumedBody(Breaking(GONE, PAYLOAD[:3]), rest)
    pouring = Deferred.fromCoroutine(pour(body, consumer))
    if is_paused:
        body.pauseProducing()
    found.callback(BytesBody(PAYLOAD[3:]))
    assert consumer.payload == (PAYLOAD[:3] if is_paused else PAYLOAD)
    if is_paused:
        body.resumeProducing()
    success_of(pouring)
    assert consumer.payload == PAYLOAD


def test_a_stop_reaches_whatever_is_there() -> None:
    """The source that is poured, the search for the next one, or the one that waits."""
    poured = Breaking(GONE, b"0", b"1")
    body = ResumedBody(poured, nobody)
    consumer = ScriptedConsumer(pause_after=1)
    consumer.registerProducer(body, True)
    body.startProducing(consumer)
    body.stopProducing()
    assert poured.is_closed

    cancelled: list[object] = []
    searching: Deferred[IBodyProducer] = Deferred(cancelled.append)

    async def rest(passed: int) -> IBodyProducer:
        return await searching

    body = ResumedBody(Breaking(GONE, b"0"), rest)
    done = body.startProducing(ScriptedConsumer())
    body.stopProducing()
    body.stopProducing()
    assert cancelled == [searching]
    assert not done.called

    waiting, found = Breaking(GONE, b"1"), Deferred[IBodyProducer]()

    async def later(passed: int) -> IBodyProducer:
        return await found

    body = ResumedBody(Breaking(GONE, b"0"), later)
    consumer = ScriptedConsumer()
    body.startProducing(consumer)
    body.pauseProducing()
    found.callback(waiting)
    body.stopProducing()
    body.resumeProducing()
    assert waiting.is_closed
    assert consumer.payload == b"0"


def test_whoever_cancels_stops_it() -> None:
    """As with every body."""
    source = Breaking(GONE, b"0", b"1")
    body = ResumedBody(source, nobody)
    consumer = ScriptedConsumer(pause_after=1)
    pouring = Deferred.fromCoroutine(pour(body, consumer))
    pouring.cancel()
    assert isinstance(failure_of(pouring), CancelledError)
    assert source.is_closed
