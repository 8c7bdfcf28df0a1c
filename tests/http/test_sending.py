"""The body of a request on its way out: past the transport while the socket takes it, behind it when it does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sos.http.bodies import PIECE, BytesBody
from sos.http.departures import Departures
from sos.http.outlet import SocketOutlet
from sos.http.sending import Sending
from tests.http.client_case import ScriptedBody
from tests.http.test_outlet import Ends, SocketTransport, arrived

HEAD = b"POST /blob/a HTTP/1.1\r\n\r\n"
LONG = 100_000_000
"""Bytes that no socket takes at once."""


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Give the two ends of a connection; ours does not block."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


class Way:
    """A body's way out of a plain socket, and what is heard of it."""

    def __init__(self, own: socket.socket, body: ScriptedBody | BytesBody, length: int | None) -> None:
        self.clock = Clock()
        self.transport = SocketTransport(own)
        self.outlet = SocketOutlet(self.transport, Departures(self.clock), lambda: self.sending.clogged())
        self.sending = Sending(self.transport, self.outlet, HEAD, body, length, self)
        self.heard: list[str] = []
        self.sending.start()

    def body_moved(self) -> None:
        """Let it be."""

    def body_sent(self) -> None:
        """Write it down."""
        self.heard.append("sent")

    def body_failed(self, failure: Failure) -> None:
        """Write it down."""
        self.heard.append("failed")


def fill(way: Way, body: ScriptedBody) -> int:
    """Write pieces until the body is paused, and say how many."""
    count = 0
    while "pause" not in body.calls:
        body.consumer.write(b"%d" % (count % 10) * PIECE)
        count += 1
    return count


def test_a_long_body_goes_past_the_transport(ends: Ends) -> None:
    """Each piece as it comes, the first one with the head before it."""
    pieces = [b"a" * PIECE, b"b" * 10]
    way = Way(ends[0], BytesBody(*pieces), PIECE + 10)
    assert way.heard == ["sent"]
    assert arrived(ends[1]) == HEAD + b"".join(pieces)
    assert (way.transport.value(), way.transport.producer) == (b"", None)


def test_a_long_body_without_a_length_ends_with_its_last_chunk(ends: Ends) -> None:
    """Nothing of it is behind that."""
    way = Way(ends[0], BytesBody(b"a" * 10), None)
    way.clock.advance(0)
    assert arrived(ends[1]) == HEAD + b"a\r\n" + b"a" * 10 + b"\r\n0\r\n\r\n"
    assert way.transport.value() == b""


def test_a_short_body_is_the_transports(ends: Ends) -> None:
    """It is one write with its head, and nobody has to wait for it."""
    way = Way(ends[0], BytesBody(b"a" * PIECE), PIECE)
    assert way.heard == ["sent"]
    assert arrived(ends[1]) == b""
    assert way.transport.value() == HEAD + b"a" * PIECE


def test_what_the_socket_does_not_take_pauses_the_body(ends: Ends) -> None:
    """The transport has the rest; once it is rid of that, the body goes on past it."""
    body = ScriptedBody(LONG)
    way = Way(ends[0], body, LONG)
    count = fill(way, body)
    assert way.sending.is_paused and way.transport.watches and way.transport.producerPaused
    whole = HEAD + b"".join(b"%d" % (number % 10) * PIECE for number in range(count))
    rest = way.transport.value()
    got = arrived(ends[1])
    assert rest and got + rest == whole
    way.transport.clear()
    way.sending.resumeProducing()
    assert not way.sending.is_paused and body.calls == ["pause", "resume"]
    body.consumer.write(b"x" * PIECE)
    assert arrived(ends[1]) == b"x" * PIECE
    assert way.transport.value() == b""


def test_what_comes_behind_a_rest_stays_behind_it(ends: Ends) -> None:
    """Not every body pauses at once, and the last bytes may come when the socket is full."""
    body = ScriptedBody()
    way = Way(ends[0], body, None)
    count = fill(way, body)
    body.consumer.write(b"last")
    body.done.callback(None)
    chunks = [b"%x\r\n" % PIECE + b"%d" % (number % 10) * PIECE + b"\r\n" for number in range(count)]
    got = arrived(ends[1])
    way.clock.advance(0)
    assert arrived(ends[1]) == b""
    assert got + way.transport.value() == HEAD + b"".join(chunks) + b"4\r\nlast\r\n0\r\n\r\n"
    assert way.heard == ["sent"]


def test_a_body_that_was_stopped_is_not_paused(ends: Ends) -> None:
    """What waits in the outlet may still find the socket full, and then nobody is left to wait."""
    body = ScriptedBody(LONG)
    way = Way(ends[0], body, LONG)
    way.sending.stop()
    way.sending.clogged()
    assert body.calls == ["stop"]
