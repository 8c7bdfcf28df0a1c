"""Bodies: all their bytes or a failure, no faster than their consumer, and closed in the end."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface.verify import verifyObject

from sos.http.bodies import PIECE, BytesBody, BytesSource, FileBody, PushedBody, collect, pour, take_pieces
from sos.words.errors import BlobTooLarge, BlobTruncated
from sos.words.interfaces import IBodySource
from tests.support import ScriptedConsumer, failure_of, success_of


class NotingBody(PushedBody):
    """A body that notes how often it is closed, and that fails where a piece is an exception."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        super().__init__(sum(len(piece) for piece in pieces if isinstance(piece, bytes)))
        self.closed = 0
        self._given: Iterator[bytes | Exception] = iter(pieces)

    def next_piece(self) -> bytes:
        """Give the next piece, or raise it."""
        piece = next(self._given, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        """Note it."""
        self.closed += 1


@pytest.fixture
def opened(tmp_path: Path) -> int:
    """Give a descriptor of 300,000 bytes."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)) * 1200)
    return os.open(path, os.O_RDONLY)


def is_open(descriptor: int) -> bool:
    """Whether a descriptor still is one."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_bodies_are_twisteds(opened: int) -> None:
    """What we pour, everything of Twisted's can pour."""
    assert verifyObject(IBodyProducer, BytesBody(b"a"))
    body = FileBody(opened, 0, 1)
    assert verifyObject(IBodyProducer, body)
    body.stopProducing()
    assert verifyObject(IBodySource, BytesSource([b"a"]))


@pytest.mark.parametrize("pieces", [[], [b""], [b"one"], [b"one", b"", b"two"]])
def test_bytes_are_poured(pieces: list[bytes]) -> None:
    """All of them, in their order; an empty piece does not end them."""
    body, consumer = BytesBody(*pieces), ScriptedConsumer()
    assert body.length == len(b"".join(pieces))
    success_of(pour(body, consumer))
    assert consumer.payload == b"".join(pieces)
    assert consumer.producer is None


def test_a_source_gives_fresh_bodies() -> None:
    """Each from byte 0, as often as needed."""
    source = BytesSource([b"one", b"two"])
    assert source.size == 6
    assert [success_of(collect(source.body(), 6)) for _ in range(2)] == [b"onetwo"] * 2


@pytest.mark.parametrize(("start", "length"), [(0, 300_000), (0, 0), (1, PIECE), (299_999, 1), (7, 200_000)])
def test_a_span_of_a_file_is_poured(opened: int, start: int, length: int) -> None:
    """Exactly these bytes; then the descriptor is closed."""
    payload = os.pread(opened, length, start)
    while len(payload) < length:
        payload += os.pread(opened, length - len(payload), start + len(payload))
    body, consumer = FileBody(opened, start, length), ScriptedConsumer()
    success_of(pour(body, consumer))
    assert consumer.payload == payload
    assert max(map(len, consumer.pieces), default=0) <= PIECE
    assert not is_open(opened)


def test_a_file_that_is_too_short_fails(opened: int) -> None:
    """It does not end early as if it were whole."""
    assert isinstance(failure_of(collect(FileBody(opened, 299_000, 2000), 10**6)), BlobTruncated)
    assert not is_open(opened)


def test_a_paused_body_waits() -> None:
    """Until it is resumed, and no longer."""
    body, consumer = BytesBody(b"one", b"two", b"three"), ScriptedConsumer(pause_after=3)
    pouring = Deferred.fromCoroutine(pour(body, consumer))
    assert consumer.pieces == [b"one"]
    consumer.go_on(pause_after=6)
    assert consumer.pieces == [b"one", b"two"] and not pouring.called
    consumer.go_on()
    assert consumer.payload == b"onetwothree" and pouring.called


def test_a_consumer_may_resume_within_its_write() -> None:
    """The pieces keep their order, and each comes once."""
    body = BytesBody(*[b"%d" % number for number in range(10)])

    class Hasty(ScriptedConsumer):
        def write(self, data: bytes) -> None:
            super().write(data)
            body.pauseProducing()
            body.resumeProducing()

    consumer = Hasty()
    success_of(pour(body, consumer))
    assert consumer.payload == b"0123456789"


def test_a_stopped_body_pushes_nothing_more() -> None:
    """It is closed once, and its Deferred never fires by itself."""
    body, consumer = NotingBody(b"one", b"two"), ScriptedConsumer(pause_after=1)
    consumer.registerProducer(body, True)
    done = body.startProducing(consumer)
    body.stopProducing()
    body.stopProducing()
    body.resumeProducing()
    assert not done.called
    assert consumer.pieces == [b"one"]
    assert body.closed == 1


def test_a_body_that_was_never_begun_can_be_stopped() -> None:
    """Whoever opened a blob and does not want it closes it so."""
    body = NotingBody(b"one")
    body.stopProducing()
    assert body.closed == 1


def test_whoever_stops_waiting_stops_the_body() -> None:
    """A handler that is cancelled closes what it was pouring."""
    body, consumer = NotingBody(b"one", b"two"), ScriptedConsumer()
    body.pauseProducing()
    pouring = Deferred.fromCoroutine(pour(body, consumer))
    pouring.cancel()
    assert isinstance(failure_of(pouring), CancelledError)
    assert body.closed == 1
    assert consumer.pieces == []


def test_a_body_that_ended_is_not_stopped_again() -> None:
    """Consumers say stop whenever they end, too."""
    body = NotingBody(b"one")
    success_of(pour(body, ScriptedConsumer()))
    body.stopProducing()
    assert body.closed == 1


def test_a_body_that_ended_is_gone_when_nobody_needs_it_any_more() -> None:
    """It may be a whole chunk, and the collector of cycles takes its time."""
    body = BytesBody(b"hello")
    gone = weakref.ref(body)
    gc.disable()
    try:
        success_of(pour(body, ScriptedConsumer()))
        del body
        assert gone() is None
    finally:
        gc.enable()


def test_a_body_that_fails_tells_who_pours() -> None:
    """With its own error, after it was closed."""
    body, consumer = NotingBody(b"one", OSError("gone")), ScriptedConsumer()
    error = failure_of(pour(body, consumer))
    assert isinstance(error, OSError) and str(error) == "gone"
    assert body.closed == 1
    assert consumer.pieces == [b"one"]


def test_a_body_that_fits_is_collected() -> None:
    """The limit itself is within it."""
    assert success_of(collect(BytesBody(b"one", b"two"), 6)) == b"onetwo"


def test_a_body_that_says_it_is_too_large_is_not_begun() -> None:
    """Its length is enough."""
    body = NotingBody(b"seven!!")
    assert isinstance(failure_of(collect(body, 6)), BlobTooLarge)
    assert body.closed == 1


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_body_that_grows_too_large_is_stopped(is_paused: bool) -> None:
    """It is handed on no further than the limit, whether it comes at once or later."""
    body = NotingBody(b"one", b"two", b"three", b"four")
    body.length = UNKNOWN_LENGTH  # type: ignore[assignment]
    taken: list[bytes] = []
    if is_paused:
        body.pauseProducing()
    taking = Deferred.fromCoroutine(take_pieces(body, 7, taken.append))
    body.resumeProducing()
    assert isinstance(failure_of(taking), BlobTooLarge)
    assert taken == [b"one", b"two"]
    assert body.closed == 1


def test_whoever_stops_collecting_stops_the_body() -> None:
    """And hears that he did, not that the body was too large."""
    body = NotingBody(b"one")
    body.pauseProducing()
    collecting = Deferred.fromCoroutine(collect(body, 10))
    collecting.cancel()
    assert isinstance(failure_of(collecting), CancelledError)
    assert body.closed == 1
