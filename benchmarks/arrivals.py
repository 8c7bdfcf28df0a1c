"""GETs whose answers the kernel times: ``python -m benchmarks.arrivals`` takes an order on its input and writes JSON.

Where the load shares its core, a kernel that interrupts no system call (``CONFIG_PREEMPT_NONE``) leaves it waiting for up to
4 ms until somebody else's is over. That is no time of the server's. So an answer counts as there when its last piece came to
the socket, by the kernel's own note of it (``SO_TIMESTAMPNS``, socket(7)): on one machine that is in the server's own call.
"""

from __future__ import annotations

import itertools
import json
import math
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence

from attrs import asdict, define, field, frozen

from benchmarks.figures import Wrong
from benchmarks.machine import LOAD_CORE, ROOT, on_core
from benchmarks.traffic import body_start, connected, ready, with_piece

_SO_TIMESTAMPNS = 35
"""Of ``asm-generic/socket.h``; Python's `socket` does not name it."""

_NEARLY_ALL = 0.99
_TIMESPEC = struct.Struct("@qq")
_A_SECOND = 1_000_000_000
_A_MILLISECOND = 1_000_000
"""In nanoseconds."""


@frozen(kw_only=True)
class Order:
    """What a load is to ask for: paths in turn, of bodies of one size, by so many clients and for so long."""

    port: int
    paths: Sequence[str]
    size: int
    clients: int
    seconds: float
    host: str = "127.0.0.1"


@frozen
class Slowest:
    """Of a hundred answers one took longer: in milliseconds, until it was there and until the client had it."""

    arrived: float
    seen: float


@define
class Asking:
    """One connection, its requests one after the other, and the nanoseconds that each answer took."""

    connection: socket.socket
    size: int
    arrived: list[int] = field(factory=list)
    seen: list[int] = field(factory=list)
    _sent: int = 0
    _received: bytes = b""

    def __attrs_post_init__(self) -> None:
        """Have the kernel note when something comes."""
        self.connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def send(self, request: bytes) -> None:
        """Ask for something."""
        self._received = b""
        self._sent = time.time_ns()
        self.connection.sendall(request)

    def take(self) -> bool:
        """Read on; give whether the answer is complete. Raises `Wrong` for one that is not what it must be."""
        piece, notes, _, _ = self.connection.recvmsg(65536, socket.CMSG_SPACE(_TIMESPEC.size))
        now = time.time_ns()
        self._received = with_piece(self._received, piece)
        start = body_start(self._received)
        if start is None:
            return False
        if not self._received.startswith(b"HTTP/1.1 200 ") or len(self._received) != start + self.size:
            raise Wrong(f"A GET was answered {self._received[:300]!r}.")
        self.seen.append(now - self._sent)
        came = _noted(notes)
        if came is not None:
            self.arrived.append(came - self._sent)
        return True


def run(order: Order) -> Slowest:
    """Ask until the time is over."""
    requests = itertools.cycle(
        [f"GET {path} HTTP/1.1\r\nHost: {order.host}\r\n\r\n".encode("ascii") for path in order.paths]
    )
    deadline = time.perf_counter() + order.seconds
    asking = [Asking(connected(order.host, order.port), order.size) for _ in range(order.clients)]
    by_descriptor = {each.connection.fileno(): each for each in asking}
    with select.epoll() as connections:
        for descriptor, each in by_descriptor.items():
            connections.register(descriptor, select.EPOLLIN)
            each.send(next(requests))
        while time.perf_counter() < deadline:
            for descriptor in ready(connections):
                if by_descriptor[descriptor].take():
                    by_descriptor[descriptor].send(next(requests))
    return slowest_of([took for each in asking for took in each.arrived], [took for each in asking for took in each.seen])


def slowest_of(arrived: Sequence[int], seen: Sequence[int]) -> Slowest:
    """Sum up nanoseconds. Raises `Wrong` where the kernel did not note nearly all that was seen."""
    if len(arrived) < _NEARLY_ALL * len(seen):
        raise Wrong("The kernel did not note when answers came to their sockets.")
    return Slowest(p99(arrived) / _A_MILLISECOND, p99(seen) / _A_MILLISECOND)


def p99(times: Sequence[int]) -> int:
    """Give the least time that 99 of 100 are not above. Raises `Wrong` without any."""
    if not times:
        raise Wrong("There was no answer at all.")
    return sorted(times)[math.ceil(0.99 * len(times)) - 1]


def _noted(notes: Sequence[tuple[int, int, bytes]]) -> int | None:
    """Read when something came, in nanoseconds of the unix time; the kernel may begin to note it a little late."""
    for level, kind, what in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(what)
            return int(seconds * _A_SECOND + nanoseconds)
    return None


def load(order: Order) -> Slowest:
    """Ask in a process of its own, on the core that is not the servers'."""
    command = [sys.executable, "-m", "benchmarks.arrivals"]
    with on_core(LOAD_CORE):
        finished = subprocess.run(
            command, input=json.dumps(asdict(order)), cwd=ROOT, capture_output=True, text=True, check=False
        )
    if finished.returncode:
        raise Wrong(f"The load failed: {finished.stderr.strip().splitlines()[-1]}")
    return Slowest(**json.loads(finished.stdout))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(Order(**json.load(sys.stdin))))))
