"""The commands for people, against real servers: what they print, and the exit statuses that scripts rely on."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes.harness import PATIENCE, ROOT, Household, Process

SOS = "import sys; from sos.cli.main import main; sys.exit(main())"
PAYLOAD = bytes(range(256)) * 12_000
SHA1 = hashlib.sha1(PAYLOAD).hexdigest()


class Installation:
    """Three members, an api, and whoever types commands."""

    def __init__(self, house: Household) -> None:
        """Start them all."""
        self.members = [house.blob_server(f"data{number}") for number in range(3)]
        self.ports = [member.port("blobs") for member in self.members]
        self.api = house.api_server(*self.ports)
        self.directory = house.directory
        self.uploads = f"--url=http://127.0.0.1:{self.api.port('uploads')}"
        self.downloads = f"--url=http://127.0.0.1:{self.api.port('downloads')}"
        self.servers = "--blob-server=" + ",".join(f"http://127.0.0.1:{port}" for port in self.ports)

    def run(self, *arguments: str, status: int = 0, sent: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end; whatever happens, nobody is shown a traceback."""
        return run(self.directory, *arguments, status=status, sent=sent)


def run(directory: Path, *arguments: str, status: int = 0, sent: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, and look at its status."""
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(directory), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", SOS, *arguments],
        cwd=directory,
        env=environment,
        input=sent,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert b"Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def installation(house: Household) -> Installation:
    """Everything that there is to start."""
    return Installation(house)


def test_a_file_goes_in_and_comes_back(installation: Installation) -> None:
    """Put, ls, stat and get: the same bytes, under the name that they came with."""
    (installation.directory / "photo.jpg").write_bytes(PAYLOAD)
    assert installation.run("put", "photo.jpg", installation.uploads).stdout == SHA1.encode() + b"\n"
    assert installation.run("ls", installation.servers).stdout == SHA1.encode() + b"\n"
    listed = installation.run("ls", "-long", installation.servers).stdout.split()
    assert listed == [b"3072000", b"3", SHA1.encode(), b"image/jpeg", b"photo.jpg"]
    shown = installation.run("stat", SHA1, installation.servers).stdout.decode()
    assert "3 of 3 copies in group default." in shown
    assert shown.count("x-orig-filename: photo.jpg") == 3
    assert hashlib.sha256(PAYLOAD).hexdigest() in shown
    assert installation.run("get", SHA1, installation.downloads).stdout == PAYLOAD
    installation.run("get", SHA1, "-o", "copy", installation.downloads)
    assert (installation.directory / "copy").read_bytes() == PAYLOAD


def test_a_pipe_goes_in(installation: Installation) -> None:
    """What has no length before it ends is sent as it comes."""
    done = installation.run("put", "-", "-H", "X-Colour: blue", installation.uploads, "-v", sent=PAYLOAD)
    assert done.stdout == SHA1.encode() + b"\n"
    assert done.stderr.startswith(b"-: 3072000 bytes, copies: ")
    assert b"x-colour: blue" in installation.run("stat", SHA1, installation.servers).stdout
    empty = installation.run("put", "-", installation.uploads).stdout
    assert empty.strip().decode() == hashlib.sha1().hexdigest()


def test_one_bad_file_does_not_keep_the_others_back(installation: Installation) -> None:
    """It is named, and the status says that something was left out."""
    (installation.directory / "one").write_bytes(b"one")
    (installation.directory / "two").write_bytes(b"two")
    done = installation.run("put", "one", "missing", ".", "two", installation.uploads, status=1)
    names = [line.split(b"  ") for line in done.stdout.splitlines()]
    assert names == [[hashlib.sha1(name).hexdigest().encode(), name] for name in (b"one", b"two")]
    assert b"missing was not uploaded: it cannot be read: No such file" in done.stderr
    assert b". was not uploaded: it is a directory" in done.stderr


def test_the_status_follows_the_losses(installation: Installation) -> None:
    """Healthy, then degraded, then at risk."""
    assert b"Healthy: 3 members in 1 group" in installation.run("status", installation.servers).stdout
    kill(installation.members[0])
    degraded = installation.run("status", installation.servers, status=1).stdout.decode()
    assert f"Degraded: http://127.0.0.1:{installation.ports[0]} is down (it refused the connection)." in degraded
    kill(installation.members[1])
    told = json.loads(installation.run("status", "--json", installation.servers, status=3).stdout)
    assert told["state"] == "at risk"
    assert [member["state"] for member in told["groups"][0]["members"]] == ["down", "down", "up"]


def test_a_member_out_of_reach_is_named(installation: Installation) -> None:
    """By ls and by stat, each with what the others know."""
    installation.run("put", "-", installation.uploads, sent=PAYLOAD)
    kill(installation.members[0])
    gone = f"http://127.0.0.1:{installation.ports[0]}"
    listed = installation.run("ls", installation.servers, status=1)
    assert listed.stdout.decode().split() == [SHA1]
    assert gone in listed.stderr.decode()
    shown = installation.run("stat", SHA1, installation.servers, status=1).stdout.decode()
    assert "2 of 3 copies in group default; 1 member out of reach." in shown
    assert f"{gone}: unknown (it refused the connection)" in shown


def test_what_is_not_there(installation: Installation) -> None:
    """Get says so, and leaves no file; stat has a status of its own for it."""
    done = installation.run("get", SHA1, "-o", "copy", installation.downloads, status=1)
    assert f"There is no object {SHA1}" in done.stderr.decode()
    assert [path for path in installation.directory.iterdir() if path.is_file()] == []
    assert installation.run("stat", SHA1, installation.servers, status=3).stdout.startswith(SHA1.encode() + b": No member")


def test_the_cluster_key_is_taken_along(house: Household) -> None:
    """With it the member answers; without it the reason is named."""
    key = house.directory / "key"
    key.write_text("abcdefghijklmnopqrstuvwxyz012345\n")
    key.chmod(0o600)
    member = house.sos("blob-server", "-store", "data", "-port", "0", "--cluster-key-file=key")
    server = f"--blob-server=http://127.0.0.1:{member.port('blobs')}"
    assert b"Healthy" in run(house.directory, "status", server, "--cluster-key-file=key").stdout
    assert b"it asks for another cluster key" in run(house.directory, "status", server, status=3).stdout


def test_a_port_where_nobody_listens(house: Household) -> None:
    """One sentence for each command."""
    member = house.blob_server("data")
    port = member.port("blobs")
    kill(member)
    url = f"http://127.0.0.1:{port}"
    sentence = f"{url} is out of reach: it refused the connection".encode()
    assert sentence in run(house.directory, "put", "-", f"--url={url}", status=1).stderr
    assert sentence in run(house.directory, "get", SHA1, f"--url={url}", status=1).stderr
    assert sentence in run(house.directory, "ls", f"-blob-server={url}", status=1).stderr


def test_a_download_that_is_interrupted_leaves_nothing(house: Household) -> None:
    """Ctrl-C while a slow api sends: no file, no part of one, and the status that shells know."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        slow.settimeout(PATIENCE)
        command = house.sos("get", SHA1, "-v", "-o", "copy", f"--url=http://127.0.0.1:{slow.getsockname()[1]}")
        connection, _ = slow.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
            command.when_it_says("Writing")
            assert command.end(signal.SIGINT) == 130
    assert list(house.directory.iterdir()) == []
    assert "Traceback" not in command.output


def kill(process: Process) -> None:
    """End a process at once."""
    process.end(signal.SIGKILL)
