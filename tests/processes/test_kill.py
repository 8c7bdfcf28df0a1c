"""kill -9: what was acknowledged is there afterwards, and nothing partial is."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.processes.harness import Household, Process, ask

CYCLES = 8
WRITERS = 4
SIZES = (0, 1, 4096, 65_536, 65_537, 300_000, 1_500_000)


class Writers:
    """Clients that store blobs of their own until the server is gone, and remember what was acknowledged."""

    def __init__(self, port: int, path: str, seed: int) -> None:
        """Write to ``path`` (``/upload``, or ``/blob/`` for names made by the client)."""
        self.acknowledged: dict[str, bytes] = {}
        self.enough = threading.Event()
        self._port = port
        self._path = path
        self._wanted = random.Random(seed).randrange(1, 25)
        self._threads = [threading.Thread(target=self._write, args=(seed * 100 + number,)) for number in range(WRITERS)]

    def run(self, server: Process) -> None:
        """Write until so many were acknowledged, kill the server at that moment, and wait for the writers."""
        for thread in self._threads:
            thread.start()
        assert self.enough.wait(30), f"nothing is acknowledged:\n{server.output}"
        server.end(signal.SIGKILL)
        for thread in self._threads:
            thread.join(30)

    def _write(self, seed: int) -> None:
        chance = random.Random(seed)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                payload = chance.randbytes(chance.choice(SIZES))
                name = hashlib.sha1(payload).hexdigest()
                path = self._path + name if self._path.endswith("/") else self._path
                answer = ask("POST", self._port, path, payload)
                if answer.status == 200:
                    assert json.loads(answer.body)["id"] == name
                    self.acknowledged[name] = payload
                if len(self.acknowledged) >= self._wanted:
                    self.enough.set()


def assert_nothing_is_lost_or_torn(port: int, acknowledged: dict[str, bytes]) -> None:
    """Every acknowledged blob is there with its bytes, and every blob that is listed has the bytes of its name."""
    listed = json.loads(ask("GET", port, "/blobs").body)
    assert listed == sorted(listed)
    assert set(acknowledged) <= set(listed)
    for name in listed:
        body = ask("GET", port, f"/blob/{name}").body
        assert hashlib.sha1(body).hexdigest() == name
        assert acknowledged.get(name, body) == body


@pytest.mark.parametrize("seed", range(CYCLES))
def test_a_blob_server_that_is_killed_keeps_what_it_acknowledged(house: Household, seed: int) -> None:
    """Killed while four clients write blobs of all sizes; started again, it has lost nothing and left nothing behind."""
    server = house.blob_server("data")
    writers = Writers(server.port("blobs"), "/blob/", seed)
    writers.run(server)
    again = house.blob_server("data")
    assert_nothing_is_lost_or_torn(again.port("blobs"), writers.acknowledged)
    assert list((house.directory / "data" / "staging").iterdir()) == []


@pytest.mark.parametrize("seed", range(2))
def test_an_api_that_is_killed_has_acknowledged_only_what_a_member_holds(house: Household, seed: int) -> None:
    """The api keeps nothing: another one finds every object that the first acknowledged."""
    blobs = house.blob_server("data")
    api = house.api_server(blobs.port("blobs"))
    writers = Writers(api.port("uploads"), "/upload", seed)
    writers.run(api)
    another = house.api_server(blobs.port("blobs"))
    for object_id, payload in writers.acknowledged.items():
        assert ask("GET", another.port("downloads"), f"/fetch/{object_id}").body == payload
    assert_nothing_is_lost_or_torn(blobs.port("blobs"), writers.acknowledged)


@pytest.mark.parametrize("sent", [0, 1, 65_536, 200_000, 299_999])
def test_a_client_that_leaves_in_mid_upload_leaves_nothing(house: Household, sent: int) -> None:
    """No blob, no answer, no staged bytes; and the next client is served."""
    server = house.blob_server("data")
    with socket.create_connection(("127.0.0.1", server.port("blobs"))) as client:
        client.sendall(b"POST /blob/abc HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * sent)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(30)
        answer = client.recv(65_536)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert ask("GET", server.port("blobs"), "/blob/abc").status == 404
    assert ask("GET", server.port("blobs"), "/blobs").body == b"[]"
    assert list(Path(house.directory, "data", "staging").iterdir()) == []
    assert ask("POST", server.port("blobs"), "/blob/abc", b"whole").status == 200
