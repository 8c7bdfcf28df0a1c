"""Bodies whose first bytes are waited for."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sos.http.begun_body import BegunBody, begun
from sos.words.errors import ServerUnavailable
from tests.support import ScriptedConsumer, bytes_body, failure_of, success_of

GONE = ServerUnavailable("http://a:3001", "it is gone")


@implementer(IBodyProducer)
class Coming:
    """A body whose pieces the test brings, with a memory of what it was told."""

    length = 6

    def __init__(self) -> None:
        self.told: list[str] = []
        self.done: Deferred[None] = Deferred()
        self._consumer: IConsumer | None = None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self._consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")

    def bring(self, *pieces: bytes) -> None:
        """Write pieces, paused or not: a connection may have had them already."""
        assert self._consumer is not None
        for piece in pieces:
            self._consumer.write(piece)


def waiting_for(body: IBodyProducer) -> Deferred[IBodyProducer]:
    """Begin to wait."""
    return Deferred.fromCoroutine(begun(body))


def poured(body: IBodyProducer, consumer: IConsumer) -> list[object]:
    """Pour a body, and give a list that gets its result."""
    consumer.registerProducer(body, True)
    ends: list[object] = []
    body.startProducing(consumer).addBoth(ends.append)
    return ends


def values(ends: Iterable[object]) -> list[object]:
    """Give results, failures as their exceptions."""
    return [end.value if isinstance(end, Failure) else end for end in ends]


def test_it_waits_for_the_first_bytes_and_lets_the_rest_wait() -> None:
    """The source is paused until somebody wants the bytes."""
    body = Coming()
    waiting = waiting_for(body)
    assert not waiting.called
    body.bring(b"ab", b"cd")
    begun_body = success_of(waiting)
    verifyObject(IBodyProducer, begun_body)
    assert body.told == ["pause", "pause"]
    assert begun_body.length == 6
    consumer = ScriptedConsumer()
    ends = poured(begun_body, consumer)
    assert body.told[2:] == ["resume"]
    body.bring(b"ef")
    assert not ends
    body.done.callback(None)
    assert (consumer.payload, ends) == (b"abcdef", [None])


def test_a_failure_before_the_first_bytes_is_raised_and_one_behind_them_is_the_bodys() -> None:
    """So that whoever waits can ask somebody else, while there is time."""
    early = Coming()
    waiting = waiting_for(early)
    early.done.errback(GONE)
    assert failure_of(waiting) is GONE
    for is_poured_before in (True, False):
        body = Coming()
        waiting = waiting_for(body)
        body.bring(b"ab")
        begun_body = success_of(waiting)
        consumer = ScriptedConsumer()
        ends = poured(begun_body, consumer) if is_poured_before else []
        body.done.errback(GONE)
        ends = ends or poured(begun_body, consumer)
        assert values(ends) == [GONE]
        assert consumer.payload == b"ab"


def test_a_body_that_is_all_there_when_it_is_poured_ends_well() -> None:
    """Also one of no bytes."""
    for pieces in ([], [b"ab"], [b"ab", b"cd"]):
        body = Coming()
        waiting = waiting_for(body)
        body.bring(*pieces)
        body.done.callback(None)
        consumer = ScriptedConsumer()
        assert poured(success_of(waiting), consumer) == [None]
        assert consumer.payload == b"".join(pieces)


def test_a_full_consumer_pauses_it_between_the_pieces_that_waited() -> None:
    """And its end waits, too."""
    body = Coming()
    waiting = waiting_for(body)
    body.bring(b"ab", b"cd")
    begun_body = success_of(waiting)
    consumer = ScriptedConsumer(pause_after=2)
    ends = poured(begun_body, consumer)
    assert consumer.payload == b"ab"
    assert "resume" not in body.told
    body.done.callback(None)
    assert not ends
    consumer.go_on()
    assert (consumer.payload, ends) == (b"abcd", [None])


def test_who_waits_no_more_stops_the_body() -> None:
    """Before the first bytes, behind them, and in the middle; nothing is written after that."""
    waiting_body = Coming()
    waiting = waiting_for(waiting_body)
    waiting.cancel()
    waiting.addErrback(lambda failure: None)
    assert waiting_body.told == ["stop"]
    body = Coming()
    waiting = waiting_for(body)
    body.bring(b"ab")
    begun_body = success_of(waiting)
    consumer = ScriptedConsumer()
    ends = poured(begun_body, consumer)
    begun_body.stopProducing()
    begun_body.stopProducing()
    body.bring(b"cd")
    assert body.told.count("stop") == 1
    assert (consumer.payload, ends) == (b"ab", [])


def test_what_waits_for_nothing_is_given_back_as_it_is() -> None:
    """A file can still go to a socket without passing through this process."""
    body = bytes_body(b"hello")
    assert success_of(begun(body)) is body
    assert not isinstance(success_of(begun(body)), BegunBody)


def test_as_many_bytes_are_waited_for_as_are_asked_for() -> None:
    """In whatever pieces; or all, where there are fewer; and a failure among them is the caller's to hear of."""
    body = Coming()
    waiting = Deferred.fromCoroutine(begun(body, 5))
    body.bring(b"ab", b"cd")
    assert (waiting.called, body.told) == (False, [])
    body.bring(b"ef")
    assert body.told == ["pause"]
    consumer = ScriptedConsumer()
    poured(success_of(waiting), consumer)
    assert consumer.payload == b"abcdef"
    body = Coming()
    waiting = Deferred.fromCoroutine(begun(body, 5))
    body.bring(b"ab")
    body.done.callback(None)
    poured(success_of(waiting), consumer := ScriptedConsumer())
    assert consumer.payload == b"ab"
    body = Coming()
    waiting = Deferred.fromCoroutine(begun(body, 5))
    body.bring(b"ab")
    body.done.errback(GONE)
    assert failure_of(waiting) is GONE
