"""Torture F30: rounds with a member that is down, and a stop in the middle of one that hangs."""

from __future__ import annotations

import signal
import time

from tests.processes.group import id_of, start_trio
from tests.processes.harness import Household, ask

MOST_STOP = 2.0
"""Seconds that an api may take to stop in the middle of a round."""


def test_a_round_names_who_is_down_and_serves_the_others(house: Household) -> None:
    """Exit status 1 and the name of the server; the members that are there become equal. With it back: 0 and silence."""
    trio = start_trio(house)
    trio.members[1].end(signal.SIGKILL)
    assert trio.copies_of_upload(b"first") == 2
    trio.restart(1)
    trio.members[2].end(signal.SIGKILL)
    replicating = trio.replicate()
    assert replicating.end() == 1
    assert f"http://127.0.0.1:{trio.ports[2]}" in replicating.output
    assert str(trio.ports[1]) not in replicating.output
    assert "Traceback" not in replicating.output
    trio.restart(2)
    assert trio.holders(b"first") == [0, 1, 2]
    replicating = trio.replicate()
    assert (replicating.end(), replicating.output) == (0, "")


def test_an_api_whose_round_hangs_stops_at_once(house: Household) -> None:
    """A member is stopped, the timer's round waits for it; SIGTERM ends it within two seconds, and without a traceback."""
    trio = start_trio(house)
    trio.members[0].send(signal.SIGSTOP)
    servers = ",".join(f"http://127.0.0.1:{port}" for port in trio.ports)
    where = ["-api-host", "127.0.0.1", "-upload-port", "0", "-download-port", "0"]
    api = house.sos("api-server", "-blob-server", servers, "--replicate-every=1", *where)
    assert ask("GET", api.port("downloads"), "/alive").status == 404  # it runs, and its first round has begun
    before = time.monotonic()
    assert api.end() == 0
    assert time.monotonic() - before < MOST_STOP
    assert "Traceback" not in api.output
    replicating = house.sos("replicate", "-blob-server", servers, "-verbose")
    replicating.when_it_says("Group member")
    before = time.monotonic()
    replicating.send(signal.SIGTERM)
    replicating.when_it_ends()
    assert time.monotonic() - before < MOST_STOP
    trio.members[0].send(signal.SIGCONT)


def test_the_timer_of_an_api_lives_through_bad_rounds(house: Household) -> None:
    """A member is away while rounds run; when it is back, empty of what it missed, it gets that without anybody asking."""
    trio = start_trio(house, replicate_every=1)
    trio.members[1].end(signal.SIGKILL)
    assert trio.copies_of_upload(b"missed") == 2
    trio.api.when_it_says("goes on without")
    trio.restart(1)
    while ask("GET", trio.ports[1], f"/blob/{id_of(b'missed')}").status != 200:
        assert trio.fetch(b"missed").status == 200
    assert trio.holders(b"missed") == [0, 1, 2]
    assert "Traceback" not in trio.api.output
