"""An operator's mistakes: one sentence that says what to do, an exit status, and no traceback."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from tests.processes.harness import Household, Process, ask


def assert_refused(process: Process, status: int, *words: str) -> None:
    """It ended with this status, and said these words in a sentence."""
    assert process.when_it_ends() == status, process.output
    for word in words:
        assert word in process.output, process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize("command", [["sos", "blob-server"], ["twistd", "--role=blob"]])
def test_a_port_in_use(house: Household, command: Sequence[str]) -> None:
    """It says which port, and that something else has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        start = house.sos if command[0] == "sos" else house.twistd
        assert_refused(start(*command[1:], "--store=data", f"--port={port}"), 1, str(port), "in use")


@pytest.mark.parametrize("command", [["sos", "blob-server"], ["twistd", "--role=blob"]])
def test_a_directory_that_is_no_store(house: Household, command: Sequence[str]) -> None:
    """Somebody's documents are not turned into a store."""
    (house.directory / "documents").mkdir()
    (house.directory / "documents" / "letter.txt").write_text("Dear all")
    start = house.sos if command[0] == "sos" else house.twistd
    assert_refused(start(*command[1:], "--store=documents", "--port=0"), 1, "documents", "letter.txt")
    assert (house.directory / "documents" / "letter.txt").read_text() == "Dear all"
    assert [path.name for path in (house.directory / "documents").iterdir()] == ["letter.txt"]


def test_a_directory_that_cannot_be_made(house: Household) -> None:
    """A file stands where the directory should be."""
    (house.directory / "file").write_text("")
    assert_refused(house.sos("blob-server", "-store", "file/data", "-port", "0"), 1, "file/data")


def test_a_second_server_on_one_store(house: Household) -> None:
    """The first goes on, the second is refused."""
    first = house.blob_server("data")
    port = first.port("blobs")
    assert_refused(house.blob_server("data"), 1, "data")
    assert ask("GET", port, "/alive").body == b"alive"


def test_a_store_that_must_exist_and_does_not(house: Household) -> None:
    """An unmounted disk is not an empty store."""
    assert_refused(house.sos("blob-server", "-store", "data", "-port", "0", "--must-exist"), 1, "data")
    assert not (house.directory / "data").exists()


def test_an_unknown_role(house: Household) -> None:
    """Twistd says which there are."""
    assert_refused(house.twistd("--role=king"), 1, "king", "blob")


def test_a_line_of_the_configuration_that_cannot_be_understood(house: Household) -> None:
    """File, line and text."""
    (house.directory / "sos.conf").write_text("[1]\nhttp://127.0.0.1:3001\nwhat is this\n")
    mistaken = house.sos("api-server", "--config", "sos.conf")
    assert mistaken.when_it_ends() != 0
    assert "Traceback" not in mistaken.output
    for word in ("sos.conf", "3", "what is this"):
        assert word in mistaken.output


def test_an_unknown_command(house: Household) -> None:
    """The commands there are follow."""
    assert_refused(house.sos("blub-server"), 2, "blub-server", "blob-server")


def test_a_member_that_is_no_blob_server(house: Household) -> None:
    """An SSH server's banner is no answer: the upload is refused with 503, and the api lives."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(30)
        api = house.api_server(other.getsockname()[1])
        upload = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        with socket.create_connection(("127.0.0.1", api.port("uploads"))) as client:
            client.sendall(upload)
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                client.settimeout(30)
                answer = client.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in answer
    assert ask("GET", api.port("downloads"), "/fetch/abc").status == 503
    assert "Traceback" not in api.output
