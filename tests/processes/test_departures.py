"""Torture F3: clients that leave in the middle, again and again, politely or not, leave nothing behind."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct

import pytest

from tests.processes.group import Trio, id_of, start_trio
from tests.processes.harness import PATIENCE, Household, Process, ask
from tests.torture.measures import descriptors_of, memory_of

SHORT = hashlib.shake_256(b"short").digest(300_000)
LONG = hashlib.shake_256(b"long").digest(12_000_000)
FEW = 40
MANY = 1000
SLACK = 8
"""Descriptors more than before that a process may have: connections that its pool keeps."""

MOST_GROWTH = 64 * 1024 * 1024


def leave(port: int, request: bytes, read: int, is_rude: bool) -> None:
    """Send something, read so many bytes of what comes back, and go: with a FIN, or with a reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(request)
        while read > 0 and (piece := client.recv(min(read, 65_536))):
            read -= len(piece)
        if is_rude:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif read == 0:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)


def departures(trio: Trio, count: int) -> None:
    """Leave in every way, at both roles: in the head, in a body that is sent, in a body that is read."""
    blobs, uploads, downloads = trio.ports[0], trio.api.port("uploads"), trio.api.port("downloads")
    half = b"Host: x\r\nContent-Length: 300000\r\n\r\n" + SHORT[:150_000]
    ways = [
        (blobs, b"POST /blob/abc HTTP/1.1\r\n" + half, 0),
        (uploads, b"POST /upload HTTP/1.1\r\n" + half, 0),
        (uploads, b"POST /upload HT", 0),
        (blobs, b"GET /blob/plain HTTP/1.1\r\nHost: x\r\n\r\n", 70_000),
        (downloads, b"GET /fetch/%b HTTP/1.1\r\nHost: x\r\n\r\n" % id_of(LONG).encode(), 70_000),
        (downloads, b"GET /fetch/%b HTTP/1.1\r\nHost: x\r\n\r\n" % id_of(LONG).encode(), 0),
        (downloads, b"GET /fetch/%b HTTP/1.1\r\nHost: x\r\n\r\n" % id_of(SHORT).encode(), 0),
    ]
    for number in range(count):
        for port, request, read in ways:
            leave(port, request, read, is_rude=number % 2 == 0)


def when_back_to(process: Process, base: int, port: int, path: str) -> None:
    """Wait until a process has hardly more open descriptors than before; asking it is what passes the time."""
    for _ in range(2000):
        if descriptors_of(process.pid) <= base + SLACK:
            return
        ask("GET", port, path)
    raise AssertionError(f"{descriptors_of(process.pid)} descriptors are open, {base} were before")


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.torture)])
def test_clients_that_leave_leave_nothing_behind(house: Household, count: int) -> None:
    """No staged bytes, no descriptors, no memory; no traceback; and everything is served as before."""
    trio = start_trio(house)
    for payload in (SHORT, LONG):
        assert trio.copies_of_upload(payload) == 3
        assert trio.fetch(payload).status == 200
    assert ask("POST", trio.ports[0], "/blob/plain", LONG).status == 200
    departures(trio, 5)
    processes = [*trio.members, trio.api]
    before = [(descriptors_of(process.pid), memory_of(process.pid)) for process in processes]
    departures(trio, count)
    for process, (descriptors, memory) in zip(processes, before, strict=True):
        is_api = process is trio.api
        port, path = (trio.api.port("downloads"), "/fetch/x") if is_api else (process.port("blobs"), "/alive")
        when_back_to(process, descriptors, port, path)
        assert memory_of(process.pid) < memory + MOST_GROWTH
        assert "Traceback" not in process.output
    assert trio.staged() == []
    assert ask("GET", trio.ports[0], "/blob/abc").status == 404
    for payload in (SHORT, LONG):
        assert trio.fetch(payload).status == 200
    assert trio.copies_of_upload(b"after") == 3
    assert "left alone" not in trio.api.output, "a client that left made a member look as if it had failed"
    assert all(process.end() == 0 for process in reversed(processes))
