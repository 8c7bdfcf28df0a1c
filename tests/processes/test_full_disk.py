"""Torture F11: no room at one member, and at all."""

from __future__ import annotations

from tests.processes.group import start_trio
from tests.processes.harness import Household, ask

FULL = "--reserve=1000000TiB"
ROOMY = "--reserve=1M"
LARGE = b"x" * 300_000


def test_uploads_go_where_there_is_room_and_heal_when_there_is_some_again(house: Household) -> None:
    """One full: two copies. All full: 507, while what is there is served. With room again: three."""
    trio = start_trio(house, ROOMY)
    assert trio.copies_of_upload(b"before") == 3
    trio.restart(0, FULL)
    for payload in (b"small", LARGE):
        assert trio.copies_of_upload(payload) == 2
        assert trio.holders(payload) == [1, 2]
        assert trio.fetch(payload).status == 200
    for number in (1, 2):
        trio.restart(number, FULL)
    for payload in (b"more", b"more" + LARGE):
        answer = trio.upload(payload)
        assert answer.status == 507
        assert "retry-after" in answer.headers
        assert trio.fetch(payload).status == 404
    for payload in (b"before", b"small", LARGE):
        assert trio.fetch(payload).status == 200
    direct = ask("POST", trio.ports[0], "/blob/abc", b"hello", {"Expect": "100-continue"})
    assert direct.status == 507
    for number in range(3):
        trio.restart(number, ROOMY)
    assert trio.copies_of_upload(b"more") == 3
    assert trio.replicate().end() == 0
    assert trio.holders(LARGE) == [0, 1, 2]
    assert trio.staged() == []
