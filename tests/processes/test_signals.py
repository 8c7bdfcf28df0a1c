"""Signals: a clean end, and a configuration that is read again."""

from __future__ import annotations

import json
import signal
import socket

from tests.processes.harness import Household, ask, wait_until_refused


def test_sighup_reads_the_configuration_again_and_a_broken_one_changes_nothing(house: Household) -> None:
    """A server is exchanged under a running api; a typing mistake is named, and the api goes on as it was."""
    one, two = house.blob_server("data1"), house.blob_server("data2")
    config = house.directory / "sos.conf"
    config.write_text(f"http://127.0.0.1:{one.port('blobs')}\n")
    where = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0", "--replicate-every=0"]
    api = house.sos("api-server", f"--config={config}", *where)
    first = json.loads(ask("POST", api.port("uploads"), "/upload", b"first").body)["id"]

    config.write_text(f"http://127.0.0.1:{two.port('blobs')}\n")
    api.send(signal.SIGHUP)
    api.when_it_says("The configuration was read again")
    second = json.loads(ask("POST", api.port("uploads"), "/upload", b"second").body)["id"]
    assert json.loads(ask("GET", one.port("blobs"), "/blobs").body) == [first]
    assert json.loads(ask("GET", two.port("blobs"), "/blobs").body) == [second]

    config.write_text("what is this\n")
    api.send(signal.SIGHUP)
    api.when_it_says("what is this")
    assert ask("GET", api.port("downloads"), f"/fetch/{second}").body == b"second"
    assert "Traceback" not in api.output
    assert api.end() == 0


def test_an_answer_under_way_is_given_to_its_end_when_the_server_stops(house: Household) -> None:
    """SIGTERM closes the port, finishes the write that is arriving, acknowledges it, and ends with status 0."""
    server = house.blob_server("data")
    port = server.port("blobs")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"PUT /blob/abc HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        client.settimeout(30)
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        server.send(signal.SIGTERM)
        wait_until_refused(port)
        client.sendall(b"0123456789")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert server.when_it_ends() == 0
    again = house.blob_server("data")
    assert ask("GET", again.port("blobs"), "/blob/abc").body == b"0123456789"
