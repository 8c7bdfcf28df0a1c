"""A load of uploads, each with a body of its own: ``python -m benchmarks.traffic`` writes what came of it as JSON.

Plain sockets and `selectors`: one process, one request in flight on each connection. Every answer is checked, and whoever
started the load can make the bodies again, from the run's seed and their numbers, and see that they were kept.
"""

from __future__ import annotations

import hashlib
import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from attrs import asdict, define, frozen

from benchmarks.figures import Wrong
from benchmarks.machine import LOAD_CORE, ROOT, Cores, on_core

SIZE = 4096
_PATIENCE = 60.0
_LENGTH = b"content-length: "


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


def ready(selector: selectors.BaseSelector) -> Iterator[Any]:
    """Give what was registered with each connection on which something came. Raises `Wrong` where nothing does."""
    keys = selector.select(_PATIENCE)
    if not keys:
        raise Wrong(f"No request was answered for {_PATIENCE:.0f} s.")
    for key, _ in keys:
        yield key.data


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


@define
class Talk:
    """One connection: a request, its answer, the next request."""

    connection: socket.socket
    name: bytes = b""
    received: bytes = b""

    def send(self, name: str, request: bytes) -> None:
        """Send a request; a socket's buffer has room for one of 4 KiB."""
        self.name, self.received = name.encode("ascii"), b""
        self.connection.sendall(request)

    def take(self) -> bool:
        """Read on; give whether the answer is complete. Raises `Wrong` for one that is not what it must be."""
        self.received = with_piece(self.received, self.connection.recv(65536))
        if body_start(self.received) is None:
            return False
        if not self.received.startswith(b"HTTP/1.1 200 ") or b'"%b"' % self.name not in self.received:
            raise Wrong(f"An upload was answered {self.received[:300]!r}.")
        return True


def run(order: Order) -> Done:
    """Upload until the time is over or all is done; what is in flight then is waited for, and counts."""
    numbers = _numbers(order)
    selector = selectors.DefaultSelector()
    started = time.perf_counter()
    talking = finished = 0
    for _, number in zip(range(order.clients), numbers, strict=False):  # in this order: else zip would drop a number
        talk = Talk(connected(order.host, order.port))
        talk.send(name_of(order, number), request_of(order, number))
        selector.register(talk.connection, selectors.EVENT_READ, talk)
        talking += 1
    while talking:
        for talk in ready(selector):
            if talk.take():
                finished += 1
                talking -= not _goes_on(talk, order, numbers)
    return Done(finished, time.perf_counter() - started)


def _goes_on(talk: Talk, order: Order, numbers: Iterator[int]) -> bool:
    number = next(numbers, None)
    if number is None:
        return False
    talk.send(name_of(order, number), request_of(order, number))
    return True


def _numbers(order: Order) -> Iterator[int]:
    """Count up while there is time."""
    deadline = time.perf_counter() + order.seconds
    for number in range(order.most):
        if time.perf_counter() >= deadline:
            return
        yield number


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
