"""GETs that the kernel times: which answers count, and how long they took."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.arrivals import Asking, Order, Slowest, load, p99, slowest_of
from benchmarks.figures import Wrong

BODY = b"0123456789"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + BODY
WITHIN = 10.0
LATER = 20_000_000


@contextmanager
def connected() -> Iterator[tuple[Asking, socket.socket]]:
    """Give the two ends of a connection: of a pair of sockets the kernel notes no time."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname(), WITHIN)
        theirs, _ = listening.accept()
    with ours, theirs:
        yield Asking(ours, len(BODY)), theirs


def test_an_answer_is_complete_with_its_last_byte() -> None:
    """Wherever it is cut."""
    with connected() as (asking, theirs):
        asking.send(b"request")
        assert theirs.recv(100) == b"request"
        for piece in (GOOD[:10], GOOD[10:-1]):
            theirs.sendall(piece)
            assert not asking.take()
        theirs.sendall(GOOD[-1:])
        assert asking.take()
        assert len(asking.seen) == 1


def test_an_answer_took_until_it_came_and_not_until_it_was_read() -> None:
    """The time that passes before it is read is the client's. The kernel has some for beginning to note times."""
    deadline = time.monotonic() + WITHIN
    with connected() as (asking, theirs):
        while not asking.arrived and time.monotonic() < deadline:
            asking.send(b"request")
            theirs.sendall(GOOD)
            came = time.monotonic_ns()
            while time.monotonic_ns() < came + LATER:
                pass
            assert asking.take()
    assert 0 < asking.arrived[0] <= asking.seen[-1] - LATER


@pytest.mark.parametrize(
    "answer",
    [
        GOOD.replace(b"200 OK", b"404 Not Found"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: 9")[:-1],
        GOOD + b"x",
    ],
)
def test_what_is_no_answer_ends_the_load(answer: bytes) -> None:
    """A refusal is quicker than a blob, and so are some of its bytes."""
    with connected() as (asking, theirs):
        asking.send(b"request")
        theirs.sendall(answer)
        with pytest.raises(Wrong, match="was answered"):
            asking.take()


def test_a_connection_that_closes_ends_the_load() -> None:
    """What was not answered would be missing among the slowest."""
    with connected() as (asking, theirs):
        theirs.close()
        with pytest.raises(Wrong, match="closed"):
            asking.take()


@pytest.mark.parametrize(
    ("times", "slowest"), [([7], 7), (range(1, 101), 99), (range(100, 0, -1), 99), (range(1, 201), 198), ([1, 2], 2)]
)
def test_of_a_hundred_answers_one_took_longer(times: list[int], slowest: int) -> None:
    """With fewer, none did."""
    assert p99(list(times)) == slowest


def test_no_answer_at_all_is_no_figure() -> None:
    """Not even a good one."""
    with pytest.raises(Wrong, match="no answer"):
        p99([])


def test_what_the_kernel_did_not_note_is_no_figure() -> None:
    """The first few may be missing, for it begins a little later than it was asked to."""
    assert slowest_of([1_000_000] * 199, [3_000_000] * 200) == Slowest(1.0, 3.0)
    with pytest.raises(Wrong, match="did not note"):
        slowest_of([1_000_000] * 197, [3_000_000] * 200)


def test_a_load_asks_for_its_paths_in_turn() -> None:
    """In a process of its own, by so many clients; what it says is in milliseconds."""
    asked: set[bytes] = set()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=_serve, args=(listening, 2, asked))
        serving.start()
        port = listening.getsockname()[1]
        slowest = load(Order(port=port, paths=["/a", "/b", "/c"], size=len(BODY), clients=2, seconds=0.2))
        serving.join(WITHIN)
    assert asked == {b"/a", b"/b", b"/c"}
    assert 0 < slowest.arrived <= slowest.seen < 10_000


def _serve(listening: socket.socket, clients: int, asked: set[bytes]) -> None:
    """Answer so many clients until they go."""
    threads = [threading.Thread(target=_answer, args=(listening.accept()[0], asked)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN)


def _answer(connection: socket.socket, asked: set[bytes]) -> None:
    with connection, suppress(ConnectionResetError):  # the last answers are not waited for
        while request := connection.recv(4096):
            asked.add(request.split(b" ")[1])
            connection.sendall(GOOD)
