"""Readers that ask for much and take little: what they cost a blob server, and what they cost the others (F6, H63)."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

from tests.processes.harness import Household, ask

READERS = 50
SIZE = 100_000_000
MOST_GROWTH = 64 * 1024


def resident(pid: int) -> int:
    """Give the memory of a process, in KiB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_slow_readers_of_a_large_blob_cost_no_memory(house: Household) -> None:
    """Fifty ask for 100 MB, read 64 KiB and stop: the server grows by less than 64 MiB, and serves the next client."""
    server = house.blob_server("data")
    port = server.port("blobs")
    assert ask("PUT", port, "/blob/large", bytes(SIZE)).status == 200
    assert ask("PUT", port, "/blob/small", b"small").status == 200
    before = resident(server.pid)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(READERS)]
        for reader in readers:
            reader.sendall(b"GET /blob/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader in readers:
            assert reader.recv(65_536, socket.MSG_WAITALL).startswith(b"HTTP/1.1 200 OK\r\n")
        assert ask("GET", port, "/blob/small").body == b"small"
        assert resident(server.pid) - before < MOST_GROWTH
    assert ask("GET", port, "/blob/large", headers={"Range": "bytes=0-9"}).body == bytes(10)
