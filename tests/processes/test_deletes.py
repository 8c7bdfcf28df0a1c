"""Deletes over real processes: members that are down, killed, or put back from an old copy bring nothing back."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping

import pytest

from tests.processes.group import Trio, id_of
from tests.processes.harness import PATIENCE, Answer, Household, Process, ask

HELLO, LATER, LONG = b"hello", b"later", bytes(range(256)) * 800
"""Two in the database, and one in a file."""


class Deleting(Trio):
    """Three members, and an api that lets objects be deleted. Rounds are run by hand."""

    def another_api(self) -> Process:
        """Start one that knows nothing yet."""
        servers = ",".join(f"http://127.0.0.1:{port}" for port in self.ports)
        where = ("-api-host", "127.0.0.1", "-upload-port", "0", "-download-port", "0")
        return self.house.sos("api-server", "-blob-server", servers, *where, "--replicate-every=0", "--allow-delete")

    def put(self, payload: bytes, headers: Mapping[str, str] = {}) -> None:
        """Upload to the members that are there."""
        answer = ask("POST", self.api.port("uploads"), "/upload", payload, headers)
        assert answer.status == 200, answer.body

    def delete(self, payload: bytes) -> int:
        """Delete, and give the status."""
        return ask("DELETE", self.api.port("uploads"), f"/upload/{id_of(payload)}").status

    def direct(self, payload: bytes) -> list[Answer]:
        """Ask each member."""
        return [ask("GET", port, f"/blob/{id_of(payload)}") for port in self.ports]

    def statuses(self, payload: bytes) -> list[int]:
        """What each member answers."""
        return [answer.status for answer in self.direct(payload)]

    def equalise(self) -> None:
        """Run a round, after which ``sos verify`` finds all members equal."""
        assert self.verify().when_it_ends() in (0, 1)
        replicating = self.replicate()
        assert replicating.when_it_ends() == 0, replicating.output
        verifying = self.verify()
        assert verifying.when_it_ends() == 0, verifying.output
        assert "group default: equal" in verifying.output

    def verify(self) -> Process:
        """Compare the members."""
        return self.house.sos("verify", "-blob-server", ",".join(f"http://127.0.0.1:{port}" for port in self.ports))

    def start(self, number: int) -> None:
        """Start a member that was ended, on its port."""
        self.members[number] = self.house.blob_server(f"data{number}", self.ports[number])
        self.members[number].port("blobs")

    def copy(self, source: str, target: str) -> None:
        """Copy a directory with all that belongs to it."""
        shutil.rmtree(self.house.directory / target, ignore_errors=True)
        subprocess.run(["cp", "-a", source, target], cwd=self.house.directory, check=True)


@pytest.fixture
def trio(house: Household) -> Deleting:
    """Start them."""
    members = [house.blob_server(f"data{number}") for number in range(3)]
    trio = Deleting(house, members, [member.port("blobs") for member in members], members[0])
    trio.api = trio.another_api()
    return trio


@pytest.mark.slow
def test_a_member_that_was_down_learns_of_it_all_in_one_round(trio: Deleting) -> None:
    """Torture F17: deletes, an upload after a delete, and metadata that were replaced."""
    for payload in (HELLO, LONG, LATER):
        trio.put(payload, {"X-Colour": "red"})
    trio.members[2].end()
    assert trio.delete(HELLO) == trio.delete(LONG) == 202
    assert trio.fetch(HELLO).status in (404, 503)  # the member that is away might hold a later upload
    trio.put(LATER, {"X-Colour": "blue"})
    trio.put(LONG, {"X-Colour": "blue"})
    trio.start(2)
    trio.equalise()
    assert trio.statuses(HELLO) == [404] * 3
    assert trio.fetch(HELLO).status == 404
    for payload in (LATER, LONG):
        assert [answer.headers.get("x-colour") for answer in trio.direct(payload)] == ["blue"] * 3
        assert trio.fetch(payload).status == 200
    trio.api.when_it_says("is well again")  # until then it cannot say that nobody has it
    assert trio.delete(HELLO) == 404
    assert trio.delete(LONG) == 204
    trio.members[1].end(signal.SIGKILL)
    trio.start(1)
    assert trio.statuses(LONG) == [404] * 3
    assert trio.fetch(LONG).status == 404


@pytest.mark.slow
def test_an_old_copy_of_a_member_brings_nothing_back(trio: Deleting) -> None:
    """Torture F19: it is not read from until a round has caught it up, by an api that knew it before as by a new one."""
    for payload in (HELLO, LONG):
        trio.put(payload)
    trio.equalise()
    trio.members[2].end()
    trio.copy("data2", "copy")
    trio.start(2)
    assert trio.delete(HELLO) == trio.delete(LONG) == 204
    trio.put(LATER)
    trio.equalise()
    trio.members[2].end()
    trio.copy("copy", "data2")
    trio.start(2)
    new = trio.another_api().port("downloads")
    for payload, status in ((HELLO, 404), (LONG, 404), (LATER, 200)):
        for _ in range(6):
            assert trio.fetch(payload).status == status
            assert ask("GET", new, f"/fetch/{id_of(payload)}").status == status
    assert trio.statuses(HELLO) == [404, 404, 200]  # it is there, and nobody reads it
    trio.equalise()
    assert trio.statuses(HELLO) == trio.statuses(LONG) == [404] * 3
    assert trio.statuses(LATER) == [200] * 3
    assert trio.fetch(HELLO).status == trio.fetch(LONG).status == 404
    trio.put(HELLO)
    assert trio.statuses(HELLO) == [200] * 3


@pytest.mark.slow
def test_what_expires_is_gone_at_once_and_everywhere(trio: Deleting) -> None:
    """Nobody has to be told."""
    trio.put(HELLO, {"X-Delete-After": "1"})
    given_up = time.monotonic() + PATIENCE
    while trio.fetch(HELLO).status != 404:
        assert time.monotonic() < given_up
    assert trio.statuses(HELLO) == [404] * 3
    assert json.loads(ask("GET", trio.ports[0], "/blobs").body) == []
    trio.put(HELLO)
    trio.equalise()
    assert trio.statuses(HELLO) == [200] * 3
