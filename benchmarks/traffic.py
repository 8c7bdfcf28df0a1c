"""A load of uploads, each with a body of its own: ``python -m benchmarks.traffic`` writes what came of it as JSON.

Plain sockets and `select.epoll`: one process, one request in flight on each connection. It shares the cores with what it
measures, so it makes requests before its clock runs, and checks answers after: each of them, for its name and its length.
Whoever started the load can make the bodies again, from the run's seed and their numbers, and see that they were kept.
"""

from __future__ import annotations

import hashlib
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from attrs import asdict, define, frozen

from benchmarks.figures import Wrong
from benchmarks.machine import LOAD_CORE, ROOT, Cores, on_core

SIZE = 4096
_PATIENCE = 60.0
_LENGTH = b"content-length: "

_MADE_AHEAD = 20_000
"""Requests that are made before the clock runs, 85 MB of them; further ones when they are sent."""

_MADE_A_SECOND = 10_000
"""Requests that may be needed a second."""


@frozen(kw_only=True)
class Order:
    """What a load is to do: until its time is over, or its number of uploads is done."""

    port: int
    host: str = "127.0.0.1"
    seed: str
    clients: int = 16
    seconds: float = 3600.0
    most: int = 1 << 40
    through_api: bool = False


@frozen
class Done:
    """What a load did: all of it answered well."""

    uploads: int
    seconds: float

    @property
    def rate(self) -> float:
        """Uploads a second."""
        return self.uploads / self.seconds


def body_of(seed: str, number: int) -> bytes:
    """Make the body of an upload: 4 KiB, unlike all others."""
    return hashlib.sha256(f"{seed}-{number}".encode("ascii")).digest() * (SIZE // 32)


def name_of(order: Order, number: int) -> str:
    """Give the ID of an upload: of its bytes through an api, any name else."""
    if order.through_api:
        return hashlib.sha1(body_of(order.seed, number)).hexdigest()
    return hashlib.sha1(f"{order.seed}-{number}".encode("ascii")).hexdigest()


def request_of(order: Order, number: int) -> bytes:
    """Make a whole request."""
    line = "POST /upload" if order.through_api else f"PUT /blob/{name_of(order, number)}"
    head = f"{line} HTTP/1.1\r\nHost: {order.host}\r\nContent-Length: {SIZE}\r\n\r\n"
    return head.encode("ascii") + body_of(order.seed, number)


def length_of(head: bytes) -> int:
    """Read the length that a head declares; 0 where it declares none."""
    lowered = head.lower()
    start = lowered.find(_LENGTH)
    if start < 0:
        return 0
    return int(lowered[start + len(_LENGTH) : lowered.index(b"\r\n", start)])


def connected(host: str, port: int) -> socket.socket:
    """Connect; what is sent leaves at once."""
    connection = socket.create_connection((host, port), _PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ready(connections: select.epoll) -> list[int]:
    """Give the descriptors of those on which something came. Raises `Wrong` where nothing does."""
    found = connections.poll(_PATIENCE)
    if not found:
        raise Wrong(f"No request was answered for {_PATIENCE:.0f} s.")
    return [descriptor for descriptor, _ in found]


def with_piece(received: bytes, piece: bytes) -> bytes:
    """Put a piece of an answer to those before it. Raises `Wrong` for the end of the connection."""
    if not piece:
        raise Wrong("A connection was closed in the middle of a load.")
    return received + piece


def body_start(received: bytes) -> int | None:
    """Say where the body of an answer begins, None as long as not all of it is there."""
    end = received.find(b"\r\n\r\n")
    is_whole = end >= 0 and len(received) >= end + 4 + length_of(received[: end + 2])
    return end + 4 if is_whole else None


def check_answer(order: Order, number: int, answer: bytes) -> None:
    """See that an answer is whole, and about what was sent. Raises `Wrong`."""
    start = body_start(answer)
    if start is None or answer.find(b'"%b"' % name_of(order, number).encode("ascii"), start) < 0:
        raise Wrong(f"Upload {number} was answered {answer[:300]!r}.")


@define
class Talk:
    """One connection: a request, its answer, the next request."""

    connection: socket.socket
    number: int = 0
    received: bytes = b""

    def send(self, number: int, request: bytes) -> None:
        """Send a request; a socket's buffer has room for one of 4 KiB."""
        self.number, self.received = number, b""
        self.connection.sendall(request)

    def take(self) -> bool:
        """Read on; give whether the answer is complete. Raises `Wrong` for a status that is not 200, and for its end.

        The objects of JSON that a server answers have no others in them, so a brace ends them: all else is checked later.
        """
        self.received = with_piece(self.received, self.connection.recv(65536))
        if not self.received.endswith(b"}") and body_start(self.received) is None:
            return False
        if not self.received.startswith(b"HTTP/1.1 200 "):
            raise Wrong(f"An upload was answered {self.received[:300]!r}.")
        return True


def run(order: Order) -> Done:
    """Upload until the time is over or all is done; what is in flight then is waited for, and counts."""
    made = [request_of(order, number) for number in range(min(order.most, _MADE_AHEAD, int(order.seconds * _MADE_A_SECOND)))]
    answers: list[tuple[int, bytes]] = []
    started = time.perf_counter()
    _talk(order, _numbered(order, made, started + order.seconds), answers)
    taken = time.perf_counter() - started
    for number, answer in answers:
        check_answer(order, number, answer)
    return Done(len(answers), taken)


def _talk(order: Order, requests: Iterator[tuple[int, bytes]], answers: list[tuple[int, bytes]]) -> None:
    """Send each request when the one before it on its connection is answered."""
    talking: dict[int, Talk] = {}
    with select.epoll() as connections:
        for _, request in zip(range(order.clients), requests, strict=False):  # in this order: else zip would drop a request
            talk = Talk(connected(order.host, order.port))
            talk.send(*request)
            connections.register(talk.connection, select.EPOLLIN)
            talking[talk.connection.fileno()] = talk
        while talking:
            for descriptor in ready(connections):
                talk = talking[descriptor]
                if talk.take():
                    answers.append((talk.number, talk.received))
                    _go_on(talk, requests, talking)


def _go_on(talk: Talk, requests: Iterator[tuple[int, bytes]], talking: dict[int, Talk]) -> None:
    request = next(requests, None)
    if request is not None:
        talk.send(*request)
        return
    del talking[talk.connection.fileno()]
    talk.connection.close()


def _numbered(order: Order, made: list[bytes], deadline: float) -> Iterator[tuple[int, bytes]]:
    """Give requests with their numbers while there is time."""
    for number in range(order.most):
        if time.perf_counter() >= deadline:
            return
        yield number, made[number] if number < len(made) else request_of(order, number)


def load(order: Order, cores: Cores = LOAD_CORE) -> Done:
    """Run a load in a process of its own, on the core that is not the servers' unless told otherwise."""
    command = [sys.executable, "-m", "benchmarks.traffic", json.dumps(asdict(order))]
    with on_core(cores):
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise Wrong(f"The load failed: {finished.stderr.strip().splitlines()[-1]}")
    return Done(**json.loads(finished.stdout))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(Order(**json.loads(sys.argv[1]))))))
