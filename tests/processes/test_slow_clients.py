"""Torture F6 in small, at the api: fifty clients that read little, and fifty that send little, beside one that is well."""

from __future__ import annotations

import contextlib
import hashlib
import socket

from sos.settings import DOWNLOAD_MEMORY
from tests.processes.group import id_of, start_trio
from tests.processes.harness import PATIENCE, Household
from tests.torture.measures import memory_of

CLIENTS = 50
LONG = hashlib.shake_256(b"long").digest(24_000_000)
READ = 64 * 1024
SENT = 10_000
MOST_GROWTH = 64 * 1024 * 1024


def test_slow_clients_of_an_api_cost_little_memory_and_hold_up_nobody(house: Household) -> None:
    """An api holds no more for them than its limit, a blob server nothing; a good client is served as before."""
    trio = start_trio(house)
    for payload in (LONG, b"well"):
        assert trio.copies_of_upload(payload) == 3
        assert trio.fetch(payload).status == 200
    processes = [*trio.members, trio.api]
    before = [memory_of(process.pid) for process in processes]
    with contextlib.ExitStack() as clients:
        for _ in range(CLIENTS):
            reader = socket.create_connection(("127.0.0.1", trio.api.port("downloads")), timeout=PATIENCE)
            clients.enter_context(reader)
            reader.sendall(b"GET /fetch/%b HTTP/1.1\r\nHost: x\r\n\r\n" % id_of(LONG).encode())
            writer = socket.create_connection(("127.0.0.1", trio.api.port("uploads")), timeout=PATIENCE)
            clients.enter_context(writer)
            writer.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + b"x" * SENT)
            assert len(reader.recv(READ)) > 0
        for number in range(20):
            assert trio.copies_of_upload(b"well %d" % number) == 3
            assert trio.fetch(b"well %d" % number).status == 200
        growth = [memory_of(process.pid) - base for process, base in zip(processes, before, strict=True)]
        assert max(growth[:-1]) < MOST_GROWTH, growth
        assert growth[-1] < MOST_GROWTH + DOWNLOAD_MEMORY, growth
    assert trio.fetch(LONG).status == 200
    assert trio.staged() == []
    assert "Traceback" not in trio.api.output
