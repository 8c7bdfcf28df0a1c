"""Objects in chunks, from real blob servers through a real api, while members die and clients dawdle."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from sos.decisions.manifest import Manifest, manifest_json
from tests.processes.harness import Household, ask
from tests.usecases.cluster_of import chunks_of, manifest_for

MIB = 1024 * 1024


def resident(pid: int) -> int:
    """Give the memory of a process, in bytes."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def keep(ports: Sequence[int], payload: bytes, chunk_size: int) -> Manifest:
    """Store an object in chunks at each of some blob servers."""
    manifest = manifest_for(payload, hashlib.sha1(payload).hexdigest(), chunk_size)
    for port in ports:
        for chunk, piece in zip(manifest.chunks, chunks_of(payload, chunk_size), strict=True):
            store(port, chunk.id, piece, "chunk")
        store(port, manifest.object_id, manifest_json(manifest), "manifest")
    return manifest


def store(port: int, name: str, payload: bytes, kind: str) -> None:
    """Store a blob of some kind."""
    headers = {"X-Sos-Protocol": "1", "X-Sos-Version": "1", "X-Sos-Kind": kind}
    assert ask("POST", port, f"/blob/{name}", payload, headers).status == 200


def payload_of(mib: int) -> bytes:
    """Make bytes of which no two chunks are equal."""
    return b"".join(number.to_bytes(8, "big") * (MIB // 8) for number in range(mib))


@pytest.mark.slow
def test_a_member_that_is_killed_in_mid_download_is_not_noticed(house: Household) -> None:
    """Torture F36, kill -9: the other member gives the rest, and all bytes are right."""
    payload = payload_of(24)
    members = [house.blob_server(f"data{number}") for number in range(2)]
    ports = [member.port("blobs") for member in members]
    object_id = keep(ports, payload, MIB).object_id
    api = house.api_server(*ports)
    connection = http.client.HTTPConnection("127.0.0.1", api.port("downloads"), timeout=30)
    connection.request("GET", f"/fetch/{object_id}")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Length")) == (200, str(len(payload)))
    first = answer.read(3 * MIB)
    members[0].end(signal.SIGKILL)
    assert first + answer.read() == payload
    connection.close()
    assert "Traceback" not in api.output
    members[1].end(signal.SIGKILL)
    assert ask("GET", api.port("downloads"), f"/fetch/{object_id}").status == 503


@pytest.mark.slow
def test_clients_that_do_not_read_cost_no_more_memory_than_is_allowed(house: Household) -> None:
    """Torture F6, H63: thirty ask for 32 MiB and stop, and others are served."""
    payload = payload_of(32)
    server = house.blob_server("data")
    object_id = keep([server.port("blobs")], payload, 4 * MIB).object_id
    api = house.api_server(server.port("blobs"), download_memory="16MiB")
    port = api.port("downloads")
    path = f"/fetch/{object_id}"
    assert ask("GET", port, path).body == payload
    before = resident(api.pid)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(30)]
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            reader.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        for reader in readers:
            assert reader.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert ask("GET", port, path, headers={"Range": "bytes=5000000-5000007"}).body == payload[5_000_000:5_000_008]
        assert ask("GET", port, path).body == payload
        assert resident(api.pid) - before < 40 * MIB
