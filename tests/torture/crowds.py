"""Many clients at once, and few means to serve them (torture H40, H54, H64, H65)."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import subprocess
import sys
import time

from tests.corpus.rows import TEN, TEN_ID, Port, get, id_of, upload
from tests.http.front_client import answers_in
from tests.processes.harness import ROOT, Household, Process
from tests.sockets.cast import Cast
from tests.sockets.raw import converse
from tests.torture.measures import descriptors_of, memory_of, seconds_of
from tests.torture.tally import Tally

FETCH = get(b"/fetch/" + TEN_ID, b"Connection: close")


def tiny_chunks(cast: Cast) -> Tally:
    """H40: 10 MB in chunks of a byte take at most two seconds of the processor."""
    tally = Tally("H40 10 MB in chunks of a byte")
    body = b"1\r\nx\r\n" * 10_000_000 + b"0\r\n\r\n"
    head = b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    processes = {Port.UPLOAD: cast.api, Port.BLOB: cast.blob_server}
    for port, path in ((Port.UPLOAD, b"POST /upload"), (Port.BLOB, b"PUT /blob/tiny")):
        before = seconds_of(processes[port].pid)
        (answer,) = converse(cast.ports[port], path + head + body).answers()
        spent = seconds_of(processes[port].pid) - before
        tally.note(f"{port.value} {spent:.2f} s")
        tally.expect(spent < 2 or answer.status == 408, f"{spent:.2f} s at the {port.value} port, {answer.status}")
        tally.expect(answer.status in (200, 408, 413), f"it answered {answer.status}")
    return tally


def pipelines(cast: Cast) -> Tally:
    """H54: while the first of many requests is answered, the others wait, most of them outside of the process."""
    tally = Tally("H54 pipelined requests behind a slow one")
    cast.blob_server.send(signal.SIGSTOP)
    try:
        memory = memory_of(cast.api.pid)
        connection = socket.create_connection(("127.0.0.1", cast.ports[Port.DOWNLOAD]), timeout=10)
        asked = b"".join(get(b"/fetch/" + TEN_ID, b"Range: bytes=%d-%d" % (n, n)) for n in range(3))
        connection.sendall(asked)
        flood = get(b"/nothing") * 500
        sent = _sent_until_full(connection, flood, 200)
        grown = memory_of(cast.api.pid) - memory
        tally.note(f"{sent / 1e6:.1f} MB taken, mostly by the kernel; the api {grown / 1e6:+.1f} MB")
        tally.expect(sent < len(flood) * 200, "it took everything")
        tally.expect(grown < 2_000_000, f"the api grew by {grown} bytes")
        readable, _, _ = _select(connection)
        tally.expect(not readable, "it answered before the first request was answered")
    finally:
        cast.blob_server.send(signal.SIGCONT)
    with connection:
        bodies = _first_bodies(connection, 3)
        tally.expect(bodies == [TEN[:1], TEN[1:2], TEN[2:3]], f"it answered {bodies}")
    return tally


def _select(connection: socket.socket) -> tuple[bool, bool, bool]:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0.5)), False, False


def _sent_until_full(connection: socket.socket, data: bytes, times: int) -> int:
    """Send until nothing is taken for a second; give the number of bytes that were."""
    connection.settimeout(1)
    sent = 0
    with contextlib.suppress(TimeoutError):
        for _ in range(times):
            at = 0
            while at < len(data):
                taken = connection.send(data[at:])
                at += taken
                sent += taken
    connection.settimeout(10)
    return sent


def _first_bodies(connection: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(b"HTTP/1.1 ") <= count:
        piece = connection.recv(65_536)
        if not piece:
            break
        data += piece
    whole = data[: [at for at in range(len(data)) if data.startswith(b"HTTP/1.1 ", at)][count]]
    return [answer.body for answer in answers_in(whole)]


class Slow:
    """A thousand clients that are slow in their ways: with the head, with the body, with reading; they come again."""

    _HEAD = get(b"/fetch/" + TEN_ID, *[b"X-%d: %b" % (n, b"a" * 40) for n in range(20)])
    _RANGES = get(b"/fetch/" + TEN_ID, b"Range: bytes=" + b",".join(b"%d-%d" % (n % 10, n % 10) for n in range(1000)))

    def __init__(self, ports: dict[Port, int], count: int) -> None:
        """Connect them all."""
        self._ports = ports
        self._left: dict[socket.socket, bytes] = {}
        for index in range(count):
            self._join(index)
        self.count = count

    def _join(self, index: int) -> None:
        kind = index % 4
        port = self._ports[Port.UPLOAD if kind == 1 else Port.DOWNLOAD]
        connection = socket.socket()
        if kind == 3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.setblocking(False)
        body = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + bytes(90_000)
        self._left[connection] = (self._HEAD, body, self._RANGES * 5, self._HEAD * 50)[kind]

    def step(self) -> int:
        """Let each send its next few bytes; give how many are still connected."""
        for index, (connection, left) in enumerate(list(self._left.items())):
            step = 2048 if left.startswith((b"POST", b"\0")) else 7
            try:
                connection.send(left[:step])
                self._left[connection] = left[step:] or self._HEAD
            except BlockingIOError:
                pass
            except OSError:
                del self._left[connection]
                connection.close()
                self._join(index)
        return len(self._left)

    def close(self) -> None:
        """Let them go."""
        for connection in self._left:
            connection.close()


def canary(port: int, seconds: float) -> subprocess.Popen[str]:
    """Start a good client, which asks for some seconds."""
    command = [sys.executable, "-m", "tests.torture.canary", str(port), "/fetch/" + TEN_ID.decode(), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def worst_of(good: subprocess.Popen[str]) -> float:
    """Give the 99th percentile of what a good client waited for."""
    said, _ = good.communicate(timeout=60)
    _, worst, _ = map(float, said.split())
    return worst


def slow_crowd(cast: Cast) -> Tally:
    """H64: among a thousand slow ones, a good client waits less than twice as long. The best of three rounds counts."""
    tally = Tally("H64 1,000 slow clients and a good one")
    rounds = []
    port = cast.ports[Port.DOWNLOAD]
    for _ in range(3):
        alone = worst_of(canary(port, 4))
        crowd = Slow(dict(cast.ports), 1000)
        good = canary(port, 6)
        while good.poll() is None:
            tally.expect(crowd.step() == 1000, "a slow client could not come again")
            time.sleep(1)
        among = worst_of(good)
        crowd.close()
        rounds.append((among / alone, alone, among))
    ratio, before, amid = min(rounds)
    tally.note(f"p99 {before * 1e3:.1f} ms alone, {amid * 1e3:.1f} ms among them")
    tally.expect(ratio < 2, f"it waits {ratio:.1f} times as long: {rounds}")
    return tally


def exhaustion(house: Household) -> Tally:
    """H65: daemons with 64 descriptors, and 200 connections to each: who is served stays so, others hear why not."""
    tally = Tally("H65 64 descriptors, 200 connections")
    blob_server = house.twistd("--role=blob", "--store=few", "--port=0", descriptors=64)
    server = f"--blob-server=http://127.0.0.1:{blob_server.port('blobs')}"
    ports = ("--api-host=127.0.0.1", "--upload-port=0", "--download-port=0", "--replicate-every=0")
    api = house.twistd("--role=api", server, *ports, descriptors=64)
    body = bytes(200_000)  # in a file: each answer needs a descriptor of its own
    assert converse(api.port("uploads"), upload(body, b"Connection: close")).answers()[0].status == 200
    for process, port, path in ((api, "downloads", b"/fetch/"), (blob_server, "blobs", b"/blob/")):
        _fill(tally, process, process.port(port), path + id_of(body))
    return tally


def _fill(tally: Tally, process: Process, port: int, path: bytes) -> None:
    """Connect far more often than there are descriptors, and let go again."""
    base, lines = descriptors_of(process.pid), len(process.lines)
    served = socket.create_connection(("127.0.0.1", port), timeout=5)
    tally.expect(_status(served, path) == 200, "the first client was not served")
    others = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(200)]
    told = [_told(other) for other in others]
    tally.note(f"{sum(b'Retry-After' in said for said in told)} of 200 hear when to come again")
    tally.expect(any(b"HTTP/1.1 503 " in said and b"Retry-After" in said for said in told), "none heard 503")
    tally.expect(_status(served, path) == 200, "a client that was there before was not served")
    before = seconds_of(process.pid)
    time.sleep(2)
    spent = seconds_of(process.pid) - before
    tally.expect(spent < 0.2, f"it spent {spent:.2f} s of 2 on nothing")
    said = len(process.lines) - lines
    tally.expect(said <= 5, f"it wrote {said} lines for 200 connections")
    for connection in [served, *others]:
        connection.close()
    time.sleep(1)
    answers = converse(port, get(path, b"Connection: close")).answers()
    tally.expect([answer.status for answer in answers] == [200], f"a second later it answers {answers}")
    left = descriptors_of(process.pid)
    tally.expect(left <= base + 2, f"{left} descriptors are open, {base} were before")


def _told(connection: socket.socket) -> bytes:
    """Give what a server says to one that only connects, within a moment."""
    connection.settimeout(0.02)
    try:
        return connection.recv(65_536)
    except OSError:
        return b""


def _status(connection: socket.socket, path: bytes) -> int:
    """Ask over a connection that stays open, and read the answer to its end."""
    connection.settimeout(5)
    connection.sendall(get(path))
    data = b""
    while len(data) < 200_000:
        piece = connection.recv(65_536)
        if not piece:
            break
        data += piece
    return next(iter(answers_in(data))).status if data else 0
