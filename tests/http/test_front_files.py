"""Files go from the disk to the socket without passing through the process, and no less right for it (H63)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sos.http.bodies import PIECE, FileBody, pour
from sos.http.front import Front
from sos.http.request import Request
from sos.words.errors import BlobTruncated
from tests.http.front_client import Connection, Leaf, answers_in, front_of
from tests.http.loopback import HEAD, all_of, talk

SIZE = 5_000_003
PAYLOAD = os.urandom(SIZE)
GET = b"GET /" + HEAD + b"\r\n"
GET_AND_CLOSE = b"GET /" + HEAD + b"Connection: close\r\n\r\n"


class NotingFile(FileBody):
    """A body of a file that notes how much of it was read into memory, and when it was closed."""

    def __init__(self, path: Path, start: int, length: int) -> None:
        super().__init__(os.open(path, os.O_RDONLY), start, length)
        self.read = 0
        self.closed = threading.Event()

    def next_piece(self) -> bytes:
        """Note how much."""
        piece = super().next_piece()
        self.read += len(piece)
        return piece

    def close(self) -> None:
        """Note it."""
        super().close()
        self.closed.set()


class Sender:
    """Answers each request with spans of one file, and keeps the bodies and what became of them."""

    def __init__(self, path: Path, *spans: tuple[int, int], declared: int | None = None) -> None:
        self.bodies: list[NotingFile] = []
        self.failures: list[BaseException | None] = []
        self.started = threading.Event()
        self._path = path
        self._spans = spans or ((0, SIZE),)
        self._declared = declared

    def __call__(self, request: Request) -> None:
        """Begin to answer."""
        sending: Deferred[None] = Deferred.fromCoroutine(self._send(request))
        request.notifyFinish().addErrback(lambda _: sending.cancel())
        sending.addErrback(self._failed, request)

    def _failed(self, failure: Failure, request: Request) -> None:
        self.failures.append(failure.value)
        request.abort()

    async def _send(self, request: Request) -> None:
        length = self._declared or sum(length for _, length in self._spans) + len(self._spans)
        request.begin(200, [], length)
        for start, length in self._spans:
            request.write(b"|")
            body = NotingFile(self._path, start, length)
            self.bodies.append(body)
            pouring = Deferred.fromCoroutine(pour(body, request))
            self.started.set()
            await pouring
        request.finish()

    @property
    def read(self) -> int:
        """How many bytes were read into memory."""
        return sum(body.read for body in self.bodies)

    @property
    def are_closed(self) -> bool:
        """Whether no descriptor is open."""
        return all(body.closed.is_set() for body in self.bodies)

    def front(self, clock: IReactorTime | None = None) -> Front:
        """Make a front of it."""
        return Front(Leaf(self), clock or IReactorTime(reactor), time.time)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file."""
    path = tmp_path / "file"
    path.write_bytes(PAYLOAD)
    return path


@pytest.fixture
def long_path(tmp_path: Path) -> Path:
    """Give a file that no socket takes at once."""
    path = tmp_path / "long"
    path.write_bytes(bytes(50_000_000))
    return path


def asking(sent: bytes) -> Callable[[int], bytes]:
    """Make a client that sends some bytes and reads to the end."""

    def speak(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(sent)
            return all_of(connection)

    return speak


def stalling(receive_buffer: int, sender: Sender, then: Callable[[socket.socket], bytes]) -> Callable[[int], bytes]:
    """Make a client that asks and does not read, until the answer has begun; then it does something."""

    def speak(port: int) -> bytes:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", port))
            connection.sendall(GET)
            assert sender.started.wait(10)
            return then(connection)

    return speak


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_file_is_not_read_into_memory(path: Path) -> None:
    """The socket gets it from the kernel, whole, and the descriptor is closed behind it."""
    sender = Sender(path)
    (answer,) = answers_in(await talk(sender.front(), asking(GET_AND_CLOSE)))
    assert answer.body == b"|" + PAYLOAD
    assert (sender.read, sender.are_closed, sender.failures) == (0, True, [])


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_spans_of_a_file_stand_between_other_bytes(path: Path) -> None:
    """As in an answer of several ranges; every byte is where it belongs."""
    spans = ((0, 1), (1_000_000, 2_000_000), (SIZE - 1, 1), (7, 0))
    sender = Sender(path, *spans)
    (answer,) = answers_in(await talk(sender.front(), asking(GET_AND_CLOSE)))
    assert answer.body == b"".join(b"|" + PAYLOAD[start : start + length] for start, length in spans)
    assert (sender.read, sender.are_closed) == (0, True)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_pipelined_requests_are_answered_in_order(path: Path) -> None:
    """The connection lives on behind a file, and the next answer begins where that one ended."""
    sender = Sender(path)
    answers = list(answers_in(await talk(sender.front(), asking(GET * 2 + GET_AND_CLOSE))))
    assert [answer.body == b"|" + PAYLOAD for answer in answers] == [True] * 3
    assert (sender.read, sender.are_closed) == (0, True)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_reads_in_small_sips_gets_all(path: Path) -> None:
    """Sockets take parts, and parts of parts."""
    sender = Sender(path)

    def sip(connection: socket.socket) -> bytes:
        connection.shutdown(socket.SHUT_WR)
        return all_of(connection)

    (answer,) = answers_in(await talk(sender.front(), stalling(4096, sender, sip)))
    assert answer.body == b"|" + PAYLOAD


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_file_that_is_shorter_than_its_entry_ends_in_an_abort(path: Path) -> None:
    """Never a complete answer: the connection is dropped, and whoever poured learns why."""
    sender = Sender(path, (0, SIZE + 1))
    said = await talk(sender.front(), refused_in_the_end)
    _, _, body = said.partition(b"\r\n\r\n")
    assert len(body) < 1 + SIZE + 1  # what the head has promised
    assert [type(error) for error in sender.failures] == [BlobTruncated]
    assert sender.are_closed


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_file_with_more_bytes_than_were_promised_ends_in_an_abort(path: Path) -> None:
    """It must not run into the next answer."""
    sender = Sender(path, declared=SIZE)
    said = await talk(sender.front(), refused_in_the_end)
    _, _, body = said.partition(b"\r\n\r\n")
    assert len(body) < SIZE
    assert sender.are_closed


def refused_in_the_end(port: int) -> bytes:
    """Ask, and read until the connection is reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(GET)
        data = bytearray()
        try:
            while piece := connection.recv(65_536):
                data += piece
        except ConnectionResetError:
            return bytes(data)
    raise AssertionError("the answer ended in good order")


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_leaves_closes_the_file(long_path: Path) -> None:
    """With a reset in mid-answer; nothing is kept for it."""
    sender = Sender(long_path, (0, 50_000_000))

    def leave(connection: socket.socket) -> bytes:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        assert sender.bodies[0].closed.wait(10)
        return b""

    await talk(sender.front(), stalling(4096, sender, leave))
    assert sender.read in (0, PIECE)  # where sendfile meets the reset first, one piece is read, to see what is to blame


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_never_reads_is_dropped_in_the_end(long_path: Path) -> None:
    """H63: 60 s without progress, and its file is closed; while it waits, next to nothing is read."""
    sender, clock = Sender(long_path, (0, 50_000_000)), Clock()

    def wait(connection: socket.socket) -> bytes:
        for _ in range(100):
            if sender.bodies[0].closed.wait(0.1):
                return b"dropped"
            IReactorFromThreads(reactor).callFromThread(clock.advance, 15)
        return b"kept"

    assert await talk(sender.front(clock), stalling(4096, sender, wait)) == b"dropped"
    assert 60 <= clock.seconds() <= 300
    assert sender.read == 0


def test_other_transports_get_the_bytes_read(path: Path) -> None:
    """TLS has to encrypt them, and a transport in memory has no socket."""
    sender = Sender(path)
    connection = Connection(front_of(Leaf(sender)))
    connection.send(GET)
    while connection.transport.producerState == "paused":
        connection.channel.resumeProducing()
    assert connection.answer.body == b"|" + PAYLOAD
    assert (sender.read, sender.are_closed) == (SIZE, True)
