"""Torture F28 over real processes: ``sos replicate`` is killed in each of its phases."""

from __future__ import annotations

import hashlib
import json
import signal

import pytest

from tests.processes.group import Trio, id_of, start_trio
from tests.processes.harness import Household, ask

PAYLOADS = [b"%d" % number * size for number in range(15) for size in (10, 100_000)]


def check_whole(trio: Trio) -> None:
    """What each member lists is whole, and nothing is staged."""
    for port in trio.ports:
        for name in json.loads(ask("GET", port, "/blobs").body):
            assert hashlib.sha1(ask("GET", port, f"/blob/{name}").body).hexdigest() == name


@pytest.mark.torture
def test_what_a_killed_replicator_leaves_the_next_one_finishes(house: Household) -> None:
    """Killed as it begins, as it lists, and again and again as it reads and writes."""
    trio = start_trio(house)
    servers = ",".join(f"http://127.0.0.1:{port}" for port in trio.ports)
    trio.members[2].end()
    for payload in PAYLOADS:
        assert trio.copies_of_upload(payload) == 2
    trio.restart(2)
    for line, count in (("Group member", 1), ("is missing", 1), ("Fetching", 1), ("Uploading", 5), ("Uploading", 20)):
        replicating = house.sos("replicate", "-blob-server", servers, "-verbose")
        replicating.when_lines_match(line, count)
        assert replicating.end(signal.SIGKILL) in (-signal.SIGKILL, 0)
        check_whole(trio)
    assert trio.replicate().end() == 0
    assert [len(json.loads(ask("GET", port, "/blobs").body)) for port in trio.ports] == [len(PAYLOADS)] * 3
    assert {ask("GET", trio.ports[2], f"/blob/{id_of(payload)}").body == payload for payload in PAYLOADS} == {True}
    assert trio.staged() == []
    replicating = house.sos("replicate", "-blob-server", servers, "-verbose")
    assert replicating.when_it_ends() == 0
    assert "Uploading" not in replicating.output
