"""Backups over real processes: made of a server under load, killed half way, restored alone and into a group."""

from __future__ import annotations

import hashlib
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.processes.harness import PATIENCE, Household, ask
from tests.processes.test_commands import run

LONG = bytes(range(256)) * 400


def id_of(payload: bytes) -> str:
    """Name some bytes."""
    return hashlib.sha1(payload).hexdigest()


class Load(threading.Thread):
    """Somebody who uploads to a blob server, deletes some of it again, and remembers what was acknowledged."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[bytes] = []
        self.is_over = False
        self._port = port
        self._some = threading.Event()

    def run(self) -> None:
        """Go on until told otherwise."""
        number = 0
        while not self.is_over:
            number += 1
            kept = (b"%d " % number) + (LONG if number % 2 else b"small")
            assert ask("PUT", self._port, f"/blob/{id_of(kept)}", kept).status == 200
            self.acknowledged.append(kept)
            gone = b"gone %d" % number + LONG
            assert ask("PUT", self._port, f"/blob/{id_of(gone)}", gone).status == 200
            assert ask("DELETE", self._port, f"/blob/{id_of(gone)}").status == 204
            if number == 20:
                self._some.set()

    def when_some_is_there(self) -> list[bytes]:
        """Wait for the first, and give what has been acknowledged."""
        assert self._some.wait(PATIENCE)
        return list(self.acknowledged)

    def end(self) -> None:
        """Stop it."""
        self.is_over = True
        self.join(PATIENCE)


@pytest.mark.slow
def test_what_was_acknowledged_before_a_backup_is_in_it(house: Household) -> None:
    """The server is under load meanwhile, and then gone with its disk; so is the next backup, half way."""
    member = house.blob_server("data")
    load = Load(member.port("blobs"))
    load.start()
    promised = load.when_some_is_there()
    run(house.directory, "backup", "--store=data", "backup")
    more = list(load.acknowledged)
    again = house.sos("backup", "--store=data", "backup")
    wait_for(house.directory / "backup" / "sos.db.new", again)
    died = again.end(signal.SIGKILL)
    load.end()
    member.end(signal.SIGKILL)
    shutil.rmtree(house.directory / "data")
    assert b"0 faults" in run(house.directory, "backup", "--verify", "backup").stdout
    shutil.copytree(house.directory / "backup", house.directory / "restored")
    port = house.blob_server("restored").port("blobs")
    for payload in more if died == 0 else promised:
        answer = ask("GET", port, f"/blob/{id_of(payload)}")
        assert (answer.status, answer.body) == (200, payload)


def wait_for(path: Path, process: object) -> None:
    """Return when a file is there; a process that is done before has made it and taken it away."""
    given_up = time.monotonic() + PATIENCE
    while not path.exists():
        if process._process.poll() is not None:  # type: ignore[attr-defined]
            return
        assert time.monotonic() < given_up


@pytest.mark.slow
def test_a_restored_backup_is_an_old_copy_to_its_group(house: Household) -> None:
    """Torture F19: it is not read from before a round has caught it up, and what was deleted meanwhile stays so."""
    members = [house.blob_server(f"data{number}") for number in range(2)]
    ports = [member.port("blobs") for member in members]
    servers = "-blob-server=" + ",".join(f"http://127.0.0.1:{port}" for port in ports)
    api = house.api_server(*ports, min_copies=2)
    early, late = b"early" + LONG, b"late" + LONG
    upload = api.port("uploads")
    assert ask("POST", upload, "/upload", early).status == 200
    run(house.directory, "backup", "--store=data1", "backup")
    for port in ports:
        assert ask("DELETE", port, f"/blob/{id_of(early)}").status == 204
    assert ask("POST", upload, "/upload", late).status == 200
    run(house.directory, "replicate", servers)
    members[1].end(signal.SIGKILL)
    shutil.rmtree(house.directory / "data1")
    shutil.copytree(house.directory / "backup", house.directory / "data1")
    house.blob_server("data1", ports[1]).port("blobs")
    fetch = api.port("downloads")
    for _ in range(4):
        assert ask("GET", fetch, f"/fetch/{id_of(early)}").status == 404
        assert ask("GET", fetch, f"/fetch/{id_of(late)}").body == late
    assert ask("GET", ports[1], f"/blob/{id_of(early)}").status == 200
    run(house.directory, "replicate", servers)
    assert [ask("GET", port, f"/blob/{id_of(early)}").status for port in ports] == [404, 404]
    assert [ask("GET", port, f"/blob/{id_of(late)}").status for port in ports] == [200, 200]
    run(house.directory, "verify", servers)
