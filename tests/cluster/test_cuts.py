"""Torture F1 and F5: a member breaks at any byte of an upload, or commits and its answer never arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from sos.store.opening import open_disk_store
from sos.usecases.group_write import STRAGGLE
from sos.words.interfaces import ILocalStore
from sos.words.versions import HybridClock
from tests.cluster.conftest import Builder
from tests.cluster.lines import WRITE
from tests.cluster.town import NOW, STEP, Town, id_of
from tests.support import immediately

LONG = bytes(range(256)) * 1200
"""Larger than what is kept in the database, and than what goes out in one piece."""

PIECE = 64 * 1024
PLACES = [0, 1, PIECE - 1, PIECE, len(LONG) - 1, len(LONG)]
"""Bytes of the body that arrive before the member dies; with the last it commits, and cannot say so."""


@pytest.fixture
def town(build: Builder, tmp_path: Path) -> Town:
    """Give a town whose members keep their blobs on a disk."""

    def store_for(name: str, clock: HybridClock) -> ILocalStore:
        return open_disk_store(tmp_path / name, in_thread=immediately, commit_in_thread=immediately, wall=lambda: NOW)

    return build(store_for=store_for)


def assert_nothing_is_staged(tmp_path: Path) -> None:
    """No member has a byte left of what did not arrive whole."""
    assert list(tmp_path.glob("*/staging/*")) == []


@pytest.mark.parametrize("is_warm", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_a_member_that_dies_in_an_upload_costs_one_copy(town: Town, tmp_path: Path, place: int, is_warm: bool) -> None:
    """The two others take it; the dead one has all or nothing; and the upload again is 200 with three copies.

    With a warm pool the request goes over a connection that may be stale, and is sent again; there is nobody then.
    """
    if is_warm:
        assert town.stored(b"before") == 3
    town.members["b"].line.kill_after(place)
    answer = town.upload(LONG).answer
    assert (answer.status, answer.json["copies"]) == (200, 2)
    assert town.holders(LONG) == ("abc" if place == len(LONG) else "ac")
    assert_nothing_is_staged(tmp_path)
    assert town.fetched(LONG) == 200

    town.members["b"].line.heal()
    town.pass_time(10)
    assert town.stored(LONG) == 3
    assert len(town.entries(LONG)) == 1
    assert_nothing_is_staged(tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_too_many_deaths_are_503_and_leave_nothing_partial(town: Town, tmp_path: Path, place: int) -> None:
    """One copy of three is no promise. What a dead member committed is the whole object, and the upload again is 200."""
    for line in town.lines("bc"):
        line.kill_after(place)
    assert town.upload(LONG).answer.status == 503
    assert town.holders(LONG) == ("abc" if place == len(LONG) else "a")
    assert_nothing_is_staged(tmp_path)
    for line in town.lines("bc"):
        line.heal()
    assert town.stored(LONG) == 3
    assert len(town.entries(LONG)) == 1
    assert town.fetched(LONG) == 200


@pytest.mark.parametrize("place", PLACES)
def test_a_home_group_that_dies_hands_the_upload_to_the_next(build: Builder, place: int) -> None:
    """With as many copies as that one needs; it is found there while the home group is away, and after it is back."""
    town = build(one="ab", two="cd")
    home = next(town.api.cluster.groups_for(id_of(LONG)))
    away, others = ("ab", "cd") if home.name == "one" else ("cd", "ab")
    for line in town.lines(away):
        line.kill_after(place)
    assert town.stored(LONG) == 2
    assert set(others) <= set(town.holders(LONG))
    assert town.fetched(LONG) == 200
    for line in town.lines(away):
        line.heal()
    town.pass_time(60)
    assert town.fetched(LONG) == 200
    assert town.stored(LONG) == 2
    assert town.holders(LONG) == "abcd"


@pytest.mark.parametrize("place", PLACES)
def test_a_connection_that_breaks_once_is_not_the_end_of_a_member(town: Town, place: int) -> None:
    """The member is there: over a connection of the pool the upload is sent again, and all three have it."""
    assert town.stored(b"before") == 3
    line = town.members["b"].line
    line.to_member.break_after(place, lambda end: end.abort(), WRITE)
    assert town.stored(LONG) == 3
    assert len(town.entries(LONG)) == 1


# F5: the ack is lost


@pytest.mark.parametrize(("payload", "holders"), [(b"hello", "abc"), (LONG, "ab")])
def test_a_lost_ack_costs_a_moment_and_one_copy(town: Town, payload: bytes, holders: str) -> None:
    """Nobody heard of it: the two others are enough, and no copy is counted that was not promised.

    A small one was committed; of a long one the member is asked first whether it is there, and that answer is lost.
    """
    town.members["c"].line.to_api.hold()
    visitor = town.upload(payload)
    took = town.seconds_until(lambda: visitor.is_over)
    assert took <= STRAGGLE + STEP
    assert visitor.answer.json["copies"] == 2
    assert town.holders(payload) == holders
    assert len(town.entries(payload)) == 1


@pytest.mark.parametrize("names", ["bc", "abc"])
@pytest.mark.parametrize("is_late", [False, True])
def test_an_upload_whose_acks_are_lost_can_be_sent_again(town: Town, names: str, is_late: bool) -> None:
    """503 within the deadline, though all hold it. Again it is 200 and never 409, and all members hold the same.

    The answers are lost for good, or arrive late, when nobody waits for them any more. It is a small one: of a large one no
    byte is sent before the question is answered whether it is there.
    """
    for line in town.lines(names):
        line.to_api.hold()
    visitor = town.upload(b"hello", {"X-Colour": "red"})
    took = town.seconds_until(lambda: visitor.is_over)
    assert visitor.answer.status == 503
    assert took <= 30 + STEP
    assert town.holders(b"hello") == "abc"
    for line in town.lines(names):
        line.come_back() if is_late else line.heal()
    assert town.stored(b"hello") == 3
    assert len(town.entries(b"hello")) == 1
    assert town.fetched(b"hello") == 200


@pytest.mark.parametrize("lost", ["a", "b", "c", "ab", "bc", "abc"])
def test_a_lost_ack_of_the_second_upload_leaves_one_metadata(town: Town, lost: str) -> None:
    """The same bytes with other metadata, while acks are lost: whoever answered or not, all took the newer."""
    assert town.stored(LONG) == 3
    for line in town.lines(lost):
        line.to_api.hold()
    answer = town.answer_to(town.upload(LONG, {"X-Colour": "blue"}))
    assert answer.status == (200 if len(lost) == 1 else 503)
    for line in town.lines(lost):
        line.heal()
    (entry,) = town.entries(LONG)
    assert entry.metadata.value(b"x-colour") == b"blue"
