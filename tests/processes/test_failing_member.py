"""Torture F12 over real processes: EIO from a member's disk under load, and EIO from one file."""

from __future__ import annotations

import contextlib
import http.client
import time

import pytest

from tests.processes.failing_disk import failing
from tests.processes.group import Trio, id_of, start_trio
from tests.processes.harness import PATIENCE, Household, ask

LARGE = b"large" * 40_000

pytestmark = pytest.mark.torture


def uploaded(trio: Trio, count: int, text: str) -> list[bytes]:
    """Upload small and large objects while all of them are fetched; each is acknowledged by two members at least."""
    payloads = [f"{text}{number}".encode() * size for number in range(count) for size in (1, 20_000)]
    for payload in payloads:
        assert trio.copies_of_upload(payload) in (2, 3)
        assert trio.fetch(payload).status == trio.fetch(LARGE).status == 200
    return payloads


def test_a_disk_that_fails_costs_a_copy_and_no_read(house: Household) -> None:
    """The member is read-only until it is started again, whatever its disk says; nothing of it was acknowledged."""
    trio = start_trio(house)
    assert trio.copies_of_upload(LARGE) == 3
    with failing(trio.members[0], "fsync,fdatasync", "error=EIO"):
        payloads = uploaded(trio, 10, "under load")
    trio.members[0].when_it_says("takes no more writes")
    payloads += uploaded(trio, 3, "afterwards")
    assert trio.copies_of_upload(b"more") == 2
    assert ask("GET", trio.ports[0], f"/blob/{id_of(LARGE)}").body == LARGE
    assert trio.fetch(b"unknown").status == 404
    trio.restart(0)
    assert trio.replicate().end() == 0
    assert {tuple(trio.holders(payload)) for payload in [*payloads, b"more", LARGE]} == {(0, 1, 2)}
    assert trio.staged() == []


def test_a_file_that_cannot_be_read_is_served_by_others(house: Household) -> None:
    """Its member says 503, or breaks off where the head has gone out already; never 404, and never a whole answer."""
    trio = start_trio(house)
    assert trio.copies_of_upload(LARGE) == trio.copies_of_upload(b"small") == 3
    (bad,) = house.directory.glob(f"data0/blobs/*/*/{id_of(LARGE)}.*")
    with failing(trio.members[0], "openat,read,pread64,sendfile", "error=EIO", [bad]):
        given_up = time.monotonic() + PATIENCE
        while "takes no more writes" not in trio.members[0].output:
            assert time.monotonic() < given_up
            with contextlib.suppress(ConnectionError, http.client.IncompleteRead):
                assert ask("GET", trio.ports[0], f"/blob/{id_of(LARGE)}").status == 503
        for _ in range(10):
            assert trio.fetch(LARGE).status == trio.fetch(b"small").status == 200
        assert trio.copies_of_upload(b"more") == 2
    bad.unlink()
    trio.restart(0)
    assert ask("GET", trio.ports[0], f"/blob/{id_of(LARGE)}").status == 503
    assert trio.replicate().end() == 0
    assert trio.holders(LARGE) == trio.holders(b"more") == [0, 1, 2]
