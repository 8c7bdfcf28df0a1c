"""The front over real sockets, plain and TLS: what transports of a test cannot show."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sos.http.bodies import PushedBody, pour
from sos.http.front import Front
from sos.http.request import Request
from tests.http.front_client import Leaf, answers_in
from tests.http.loopback import HEAD, all_of, talk


class Zeros(PushedBody):
    """Many zeros, counted."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.pushed = 0
        self.was_paused = threading.Event()

    def pauseProducing(self) -> None:
        """Note that somebody has enough."""
        super().pauseProducing()
        self.was_paused.set()

    def next_piece(self) -> bytes:
        """Give the next ones."""
        piece = bytes(min(65_536, self.length - self.pushed))
        self.pushed += len(piece)
        return piece


def front_of(render: Callable[[Request], object]) -> Front:
    """Make a front on the real clock."""
    return Front(Leaf(render), IReactorTime(reactor), time.time)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_still_sends_reads_its_answer_and_not_a_reset() -> None:
    """An early answer to a large body arrives whole."""

    def speak(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"POST /" + HEAD + b"Content-Length: 100000000\r\n\r\n")
            connection.recv(1, socket.MSG_PEEK)  # the answer is here, and the front has ended its side
            connection.sendall(bytes(500_000))
            return all_of(connection)

    said = await talk(front_of(lambda request: request.respond(413, [], b"too large")), speak)
    (answer,) = answers_in(said)
    assert (answer.status, answer.body) == (413, b"too large")


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_ends_behind_its_request_gets_a_whole_answer() -> None:
    """H66: FIN is no farewell."""

    def answer_later(request: Request) -> None:
        IReactorTime(reactor).callLater(0.05, request.respond, 200, [], bytes(1_000_000))

    def speak(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /" + HEAD + b"\r\n")
            connection.shutdown(socket.SHUT_WR)
            return all_of(connection)

    (answer,) = answers_in(await talk(front_of(answer_later), speak))
    assert len(answer.body) == 1_000_000


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_does_not_read_stops_the_source() -> None:
    """H63: socket buffers fill, and then nothing more is pushed."""
    sources: list[Zeros] = []
    started = threading.Event()

    def stream(request: Request) -> None:
        sources.append(Zeros(200_000_000))
        started.set()
        request.begin(200, [], 200_000_000)
        pouring = Deferred.fromCoroutine(pour(sources[0], request))
        request.notifyFinish().addErrback(lambda _: pouring.cancel())
        pouring.addErrback(lambda _: None)

    def speak(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /" + HEAD + b"\r\n")
            assert started.wait(5) and sources[0].was_paused.wait(5)
            return b"%d" % sources[0].pushed

    pushed = int(await talk(front_of(stream), speak))
    assert 0 < pushed < 20_000_000


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_refused_client_sees_the_end_at_once() -> None:
    """400c: closed within a second, though the front lingers, and whatever is still sent."""

    def speak(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"nonsense\r\n" + bytes(100_000))
            return all_of(connection)

    (answer,) = answers_in(await talk(front_of(lambda request: None), speak))
    assert answer.status == 400
