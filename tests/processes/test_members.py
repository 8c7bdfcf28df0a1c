"""A group of three members, one of which is bad: all goes on, and the answer says how many copies there are."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from attrs import frozen

from tests.processes.harness import Household, Process, ask


@frozen
class Trio:
    """Three blob servers in one group, and an api before them."""

    members: list[Process]
    ports: list[int]
    api: Process

    def upload(self, payload: bytes) -> dict[str, object]:
        """Upload and give the answer."""
        answer = ask("POST", self.api.port("uploads"), "/upload", payload)
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    def fetch(self, object_id: object) -> tuple[int, bytes]:
        """Fetch and give status and bytes."""
        answer = ask("GET", self.api.port("downloads"), f"/fetch/{object_id}")
        return answer.status, answer.body


@pytest.fixture
def trio(house: Household) -> Trio:
    """Start them."""
    members = [house.blob_server(f"data{number}") for number in range(3)]
    ports = [member.port("blobs") for member in members]
    return Trio(members, ports, house.api_server(*ports))


@contextlib.contextmanager
def answering(port: int, garbage: bytes) -> Iterator[None]:
    """Be something else than a blob server on a port."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(garbage)
                        connection.recv(65_536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def assert_all_goes_on(trio: Trio, before: dict[str, object]) -> None:
    """What was there is served, what comes is taken by the two others, and what is not there is truly not there."""
    assert trio.fetch(before["id"]) == (200, b"before")
    for number in range(4):
        payload = b"while it is bad %d" % number
        stored = trio.upload(payload)
        assert stored["copies"] == 2
        assert trio.fetch(stored["id"]) == (200, payload)
    assert trio.fetch("0" * 40)[0] == 404  # two of three have said no, and whatever was promised is on two
    assert "Traceback" not in trio.api.output


def test_three_members_make_three_copies(trio: Trio) -> None:
    """Each of them can be lost with another, and the object is still there."""
    stored = trio.upload(b"before")
    assert stored["copies"] == 3
    for member in trio.members[:2]:
        member.end(signal.SIGKILL)
    assert trio.fetch(stored["id"]) == (200, b"before")
    assert trio.fetch("0" * 40)[0] == 503
    assert ask("POST", trio.api.port("uploads"), "/upload", b"more").status == 503


def test_a_member_that_refuses_connections(trio: Trio) -> None:
    """Killed."""
    before = trio.upload(b"before")
    trio.members[0].end(signal.SIGKILL)
    assert_all_goes_on(trio, before)


def test_a_member_that_hangs(trio: Trio) -> None:
    """Stopped: the kernel accepts connections for it, and nobody answers."""
    before = trio.upload(b"before")
    trio.members[0].send(signal.SIGSTOP)
    assert_all_goes_on(trio, before)
    trio.members[0].send(signal.SIGCONT)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhullo",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhullo",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_member_that_answers_garbage(trio: Trio, garbage: bytes) -> None:
    """Something else listens on its port: it is never taken for a copy, and nothing of it reaches a client."""
    before = trio.upload(b"before")
    trio.members[0].end(signal.SIGKILL)
    with answering(trio.ports[0], garbage):
        assert_all_goes_on(trio, before)


def test_a_member_that_comes_back_is_used_again(house: Household, trio: Trio) -> None:
    """The background probe finds it: nobody has to tell the api."""
    trio.members[0].end(signal.SIGKILL)
    assert trio.upload(b"while it is away")["copies"] == 2
    house.blob_server("data0", trio.ports[0]).port("blobs")
    trio.api.when_it_says("is well again")
    assert trio.upload(b"when it is back")["copies"] == 3


def test_a_lost_disk_is_filled_again(house: Household, trio: Trio) -> None:
    """An empty server under the same URL, one round, and it holds what the others hold."""
    stored = trio.upload(b"before")
    trio.members[0].end(signal.SIGKILL)
    shutil.rmtree(house.directory / "data0")
    again = house.blob_server("data0", trio.ports[0])
    again.port("blobs")
    servers = ",".join(f"http://127.0.0.1:{port}" for port in trio.ports)
    assert house.sos("replicate", "-blob-server", servers).when_it_ends() == 0
    assert ask("GET", trio.ports[0], f"/blob/{stored['id']}").body == b"before"


def test_a_damaged_copy_is_never_served(house: Household, trio: Trio) -> None:
    """A byte is flipped in the file of a large blob at one member: every fetch gives the right bytes."""
    payload = bytes(range(256)) * 1000
    stored = trio.upload(payload)
    (file,) = (path for path in (house.directory / "data0" / "blobs").rglob("*") if path.is_file())
    damaged = bytearray(file.read_bytes())
    damaged[100_000] ^= 1
    file.write_bytes(damaged)
    assert hashlib.sha1(damaged).hexdigest() != stored["id"]
    for _ in range(6):
        assert trio.fetch(stored["id"]) == (200, payload)


def test_a_store_under_two_urls_is_one_copy(house: Household) -> None:
    """Torture F21: the answer counts stores, whatever the configuration says."""
    member = house.blob_server("data")
    port = member.port("blobs")
    where = ["-api-host", "127.0.0.1", "-upload-port", "0", "-download-port", "0"]
    servers = f"http://127.0.0.1:{port},http://localhost:{port}"
    api = house.sos("api-server", "-blob-server", servers, "--replicate-every=0", *where)
    assert json.loads(ask("POST", api.port("uploads"), "/upload", b"hello").body)["copies"] == 1
