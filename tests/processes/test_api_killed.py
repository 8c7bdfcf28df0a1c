"""Torture F2: the api is killed at any byte of what it sends to its members, or gets from its client."""

from __future__ import annotations

import hashlib
import signal
import socket

from tests.processes.group import Trio, holds, start_trio
from tests.processes.harness import Household, Process
from tests.processes.relay import relay_to

SIZE = 300_000
PLACES = (0, 1, 65_535, 65_536, SIZE - 1, SIZE)


def payload_of(number: int) -> bytes:
    """Make an object of its own."""
    return hashlib.shake_256(b"%d" % number).digest(SIZE)


def uploaded_until_cut(api: Process, payload: bytes, sent: int = SIZE) -> bytes:
    """Send so much of an upload, and give what comes back before the connection ends."""
    with socket.create_connection(("127.0.0.1", api.port("uploads")), timeout=30) as client:
        try:
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE + payload[:sent])
            if sent < SIZE:
                api.send(signal.SIGKILL)
            return client.recv(65_536)
        except ConnectionError:
            return b""


def test_each_member_has_all_or_nothing_of_what_a_killed_api_sent(house: Household) -> None:
    """The client hears nothing; another api takes the upload, and all members have it."""
    members = [house.blob_server(f"data{number}") for number in range(3)]
    ports = [member.port("blobs") for member in members]
    for number, place in enumerate(PLACES):
        payload = payload_of(number)
        with relay_to(ports[1]) as relay:
            api = house.api_server(ports[0], relay.port, ports[2])
            api.port("uploads")
            relay.break_after(place, lambda api=api: api.send(signal.SIGKILL))  # type: ignore[misc]
            assert uploaded_until_cut(api, payload) == b""
            api.when_it_ends()
        has_all = holds(ports[1], payload)
        assert place == SIZE or not has_all
        trio = Trio(house, members, ports, house.api_server(*ports))
        trio.holders(payload)
        assert trio.copies_of_upload(payload) == 3
        assert trio.holders(payload) == [0, 1, 2]
        assert trio.staged() == []
        trio.api.end()


def test_a_killed_api_has_stored_nothing_of_half_an_upload(house: Household) -> None:
    """Wherever in the body of its client it died."""
    trio = start_trio(house)
    for sent in (0, 65_536, SIZE - 1):
        payload = payload_of(100 + sent)
        trio.api.port("uploads")
        assert uploaded_until_cut(trio.api, payload, sent) == b""
        trio.api.when_it_ends()
        assert trio.holders(payload) == []
        trio.api = house.api_server(*trio.ports)
    assert trio.staged() == []
