"""Clients that say nothing, too little, or that do not listen, and how long a server bears them (torture H61 to H63)."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.corpus.rows import TEN_ID, Port, get
from tests.http.front_client import answers_in
from tests.sockets.cast import Cast
from tests.torture.measures import memory_of
from tests.torture.tally import Tally

HEAD, IDLE, RATE, WRITE = 10.0, 60.0, 30.0, 60.0
"""Seconds after which a head, an idle connection, a slow body, and a reader that takes nothing are given up."""

SLACK = 2.0
"""Seconds that a deadline may be late on a machine with other things to do."""

Case = Callable[[int], str | None]
"""Plays one client to a port; says what was violated."""


def all_at_once(tally: Tally, cases: Iterable[tuple[str, int, Case]]) -> Tally:
    """Play clients beside each other, each in a thread; count them."""
    played = list(cases)
    with ThreadPoolExecutor(len(played)) as threads:
        for (name, _, _), fault in zip(played, threads.map(lambda one: one[2](one[1]), played), strict=True):
            tally.expect(fault is None, f"{name}: {fault}")
    return tally


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def _drips(connection: socket.socket, drops: Sequence[bytes], every: float, most: float) -> tuple[bytes, float]:
    """Send a drop every so many seconds, until the server closes or time is up; give what came, and when it ended."""
    began = time.monotonic()
    received, left = b"", list(drops)
    next_drop = began
    while time.monotonic() < began + most:
        now = time.monotonic()
        if left and now >= next_drop:
            next_drop += every
            try:
                connection.sendall(left.pop(0))
            except OSError:
                left.clear()
        readable, _, _ = select.select([connection], [], [], max(0.0, min(next_drop - now, 0.5)) if left else 0.5)
        if readable:
            try:
                piece = connection.recv(65_536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return received, time.monotonic() - began
            received += piece
    return received, most


def _is_at(seconds: float, due: float) -> bool:
    return due - 0.3 <= seconds <= due + SLACK


def says_nothing(port: int) -> str | None:
    """H61: connect, and that is all."""
    with _connect(port) as connection:
        received, seconds = _drips(connection, [], 1, HEAD + 5)
    return None if _is_at(seconds, HEAD) and not received else f"closed after {seconds:.1f} s with {received!r}"


def drips_its_head(port: int) -> str | None:
    """H61: a byte of the head every second."""
    with _connect(port) as connection:
        received, seconds = _drips(connection, [b"%c" % byte for byte in get(b"/a", b"X-A: bcdefghijkl")], 1, HEAD + 5)
    return None if _is_at(seconds, HEAD) and not received else f"closed after {seconds:.1f} s with {received!r}"


def sends_empty_lines(port: int) -> str | None:
    """H9: line ends, and no request behind them."""
    with _connect(port) as connection:
        received, seconds = _drips(connection, [b"\r\n" * 1000] * 12, 1, HEAD + 5)
    return None if _is_at(seconds, HEAD) and not received else f"closed after {seconds:.1f} s with {received!r}"


def keeps_idle(port: int) -> str | None:
    """H61: one request, then nothing."""
    with _connect(port) as connection:
        received, seconds = _drips(connection, [get(b"/a")], 1, IDLE + 5)
    statuses = [answer.status for answer in answers_in(received)]
    return None if _is_at(seconds, IDLE) and statuses == [404] else f"closed after {seconds:.1f} s with {statuses}"


def drips_its_second_head(port: int) -> str | None:
    """H61: one request, some silence, and a byte of the next every second."""
    with _connect(port) as connection:
        drops = [get(b"/a"), *([b""] * 15), *[b"%c" % byte for byte in get(b"/b", b"X-A: bcdefghijkl")]]
        received, seconds = _drips(connection, drops, 1, 16 + HEAD + 5)
    statuses = [answer.status for answer in answers_in(received)]
    return None if _is_at(seconds, 16 + HEAD) and statuses == [404] else f"closed after {seconds:.1f} s with {statuses}"


def drips_its_body(head: bytes, drop: bytes) -> Case:
    """H62: the body comes at one byte a second."""

    def play(port: int) -> str | None:
        with _connect(port) as connection:
            received, seconds = _drips(connection, [head, *([drop] * 60)], 1, RATE + 10)
        statuses = [answer.status for answer in answers_in(received)]
        return None if _is_at(seconds, RATE) and statuses == [408] else f"ended after {seconds:.1f} s with {statuses}"

    return play


def is_slow_but_honest(head: bytes) -> Case:
    """H62: 1.3 KiB a second are taken for as long as they come."""

    def play(port: int) -> str | None:
        with _connect(port) as connection:
            received, seconds = _drips(connection, [head, *([b"x" * 1300] * 40), b""], 1, 45)
        statuses = [answer.status for answer in answers_in(received)]
        return None if statuses == [200] else f"ended after {seconds:.1f} s with {statuses}"

    return play


def does_not_read(path: bytes) -> Case:
    """H63: ask for 100 MB, and take none of them."""

    def play(port: int) -> str | None:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        with connection:
            connection.connect(("127.0.0.1", port))
            connection.sendall(get(path))
            began = time.monotonic()
            watch = select.poll()
            watch.register(connection, 0)
            watch.poll((WRITE + WRITE / 4 + SLACK + 5) * 1000)
            seconds = time.monotonic() - began
        is_well = WRITE - 1 <= seconds <= WRITE + WRITE / 4 + SLACK
        return None if is_well else f"let go after {seconds:.1f} s"

    return play


def silence(cast: Cast) -> Tally:
    """H61: heads that do not come, and connections that nobody uses."""
    played = (says_nothing, drips_its_head, sends_empty_lines, keeps_idle, drips_its_second_head)
    cases = [(f"{play.__name__} at the {port.value} port", cast.ports[port], play) for port in Port for play in played]
    return all_at_once(Tally("H61 heads and idle connections"), cases * 3)


def slow_bodies(cast: Cast) -> Tally:
    """H62: bodies that come too slowly, and one that just does not."""
    cases: list[tuple[str, int, Case]] = []
    for port, path in ((Port.UPLOAD, b"/upload"), (Port.BLOB, b"/blob/slow")):
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        counted, chunked = head + b"Content-Length: %d\r\n\r\n", head + b"Transfer-Encoding: chunked\r\n\r\n"
        cases += [
            (f"1 B/s at the {port.value} port", cast.ports[port], drips_its_body(counted % 50_000, b"x")),
            (f"chunks at 1 B/s at the {port.value} port", cast.ports[port], drips_its_body(chunked, b"1\r\nx\r\n")),
            (f"1.3 KiB/s at the {port.value} port", cast.ports[port], is_slow_but_honest(counted % (40 * 1300))),
        ]
    return all_at_once(Tally("H62 slow bodies"), cases * 2)


def deaf_readers(cast: Cast, large: bytes) -> Tally:
    """H63: readers that stop, twenty at each port."""
    tally = Tally("H63 readers that stop")
    before = {process.pid: memory_of(process.pid) for process in cast.processes}
    cases = [
        ("at the downloads", cast.ports[Port.DOWNLOAD], does_not_read(b"/fetch/" + large)),
        ("at the blobs", cast.ports[Port.BLOB], does_not_read(b"/blob/" + large)),
    ]
    with ThreadPoolExecutor(1) as watching:
        playing = watching.submit(all_at_once, tally, cases * 20)
        time.sleep(20)
        for process, name, allowed in zip(cast.processes, ("api", "blob server"), (128 << 20, 40 << 20), strict=True):
            grown = memory_of(process.pid) - before[process.pid]
            tally.note(f"{name} {grown / 1e6:+.1f} MB")
            tally.expect(grown < allowed, f"the {name} grew by {grown} bytes")
        playing.result()
    answer = cast.one(Port.DOWNLOAD, get(b"/fetch/" + TEN_ID, b"Connection: close"))
    tally.expect(answer.status == 200, f"it does not serve others: {answer}")
    return tally
