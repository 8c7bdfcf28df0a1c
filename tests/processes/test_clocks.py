"""Torture F13 and F14 over real processes, whose clocks libfaketime sets: members and apis that are years apart."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.group import Trio, id_of, start_trio
from tests.processes.harness import PATIENCE, Answer, Household, Process, ask

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
PAYLOAD = b"hello"
SKEWS = [
    ("+0d", "+0d", "+0d", "+10y", "-3d"),
    ("+3d", "-3d", "+0d", "+3d", "-3d"),
    ("-10y", "+0d", "+10y", "+60d", "-10y"),
]
"""Of three members, and of two apis."""

pytestmark = pytest.mark.torture


@contextmanager
def clock(house: Household, wrong_by: str) -> Iterator[None]:
    """Let processes that are started have a wall clock that is wrong; what counts seconds goes right."""
    if not LIBRARIES:
        pytest.skip("SKIPPED: there is no libfaketime here, so no clock can be set; install faketime")
    house.environment = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": wrong_by,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    try:
        yield
    finally:
        house.environment = {}


class Skewed:
    """Three members and two apis, each with a clock of its own. Rounds are run by hand."""

    def __init__(self, house: Household, skews: tuple[str, ...]) -> None:
        self.house = house
        self.skews = skews
        members = [self.member(number) for number in range(3)]
        self.trio = Trio(house, members, [member.port("blobs") for member in members], members[0])
        self.apis = [self._api(skew) for skew in skews[3:]]

    def member(self, number: int, port: int = 0) -> Process:
        """Start a member."""
        with clock(self.house, self.skews[number]):
            return self.house.blob_server(f"data{number}", port)

    def _api(self, skew: str) -> Process:
        servers = ",".join(f"http://127.0.0.1:{port}" for port in self.trio.ports)
        where = ("-api-host", "127.0.0.1", "-upload-port", "0", "-download-port", "0")
        with clock(self.house, skew):
            return self.house.sos("api-server", "-blob-server", servers, *where, "--replicate-every=0", "--allow-delete")

    def upload(self, api: int, colour: str) -> None:
        """Upload by one of the apis."""
        answer = ask("POST", self.apis[api].port("uploads"), "/upload", PAYLOAD, {"X-Colour": colour})
        assert answer.status == 200, answer.body

    def delete(self, api: int) -> int:
        """Delete by one of the apis."""
        return ask("DELETE", self.apis[api].port("uploads"), f"/upload/{id_of(PAYLOAD)}").status

    def direct(self) -> list[tuple[int, str | None]]:
        """Ask each member."""
        answers: list[Answer] = [ask("GET", port, f"/blob/{id_of(PAYLOAD)}") for port in self.trio.ports]
        return [(answer.status, answer.headers.get("x-colour")) for answer in answers]

    def equalise(self) -> None:
        """Run a round."""
        replicating = self.trio.replicate()
        assert replicating.end() == 0, replicating.output


@pytest.mark.parametrize("skews", SKEWS)
def test_what_was_asked_later_wins_whatever_the_clocks_of_hosts(house: Household, skews: tuple[str, ...]) -> None:
    """Deletes and uploads by a fast api and a slow one, with a member away in between, and one that falls back by years."""
    skewed = Skewed(house, skews)
    fast, slow = 0, 1
    skewed.upload(fast, "red")
    assert skewed.delete(slow) == 204
    assert skewed.direct() == [(404, None)] * 3
    skewed.upload(fast, "blue")
    assert skewed.delete(fast) == 204
    skewed.upload(slow, "green")
    skewed.equalise()
    assert skewed.direct() == [(200, "green")] * 3
    skewed.trio.members[2].end()
    assert skewed.delete(slow) == 202
    skewed.skews = ("-20y",) * 5
    skewed.trio.members[2] = skewed.member(2, skewed.trio.ports[2])
    skewed.trio.members[2].port("blobs")
    skewed.equalise()
    assert skewed.direct() == [(404, None)] * 3
    skewed.apis[slow].when_it_says("is well again")
    skewed.upload(slow, "white")
    skewed.equalise()
    assert skewed.direct() == [(200, "white")] * 3


def test_an_api_and_its_members_go_on_though_their_clock_is_set_back(house: Household) -> None:
    """Torture F14: by years, while they run: rounds come as before, and a member that was away gets what it missed."""
    time_of_day = house.directory / "time"
    time_of_day.write_text("+0d")
    with clock(house, ""):
        del house.environment["FAKETIME"]
        house.environment |= {"FAKETIME_TIMESTAMP_FILE": str(time_of_day), "FAKETIME_NO_CACHE": "1"}
        trio = start_trio(house, replicate_every=1)
        trio.copies_of_upload(b"before")
        for number, wrong_by in enumerate(("-3d", "-10y", "+10y", "-1d")):
            time_of_day.write_text(wrong_by)
            trio.members[1].end(signal.SIGKILL)
            payload = b"missed%d" % number
            assert trio.copies_of_upload(payload) == 2
            trio.restart(1)
            given_up = time.monotonic() + PATIENCE
            while ask("GET", trio.ports[1], f"/blob/{id_of(payload)}").status != 200:
                assert time.monotonic() < given_up, f"no round comes: {trio.api.output}"
            assert trio.fetch(payload).status == trio.fetch(b"before").status == 200
