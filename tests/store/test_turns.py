"""Readers of much: they give way to users, and to nobody for longer than that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred

from sos.store.turns import ENTRIES_A_PIECE, LONGEST_REST, PIECES, RESTS, Turns
from sos.words.blob import BlobID, Entry
from sos.words.errors import Unavailable
from tests.store.turn_clock import TurnClock
from tests.support import failure_of, success_of

LOOK = 0.001
NUMBER = 2 * ENTRIES_A_PIECE + 5


class Reader:
    """Does pieces in its turn, and notes each."""

    def __init__(self, turns: Turns, pieces: int) -> None:
        """Do so many."""
        self._turns = turns
        self._pieces = pieces
        self.done = 0
        self.reading = Deferred.fromCoroutine(self._read())

    async def _read(self) -> None:
        async with self._turns:
            for _ in range(self._pieces):
                self.done += 1
                await self._turns.give_way()


class Pages:
    """Gives entries that ascend by ID, and notes what it was asked for."""

    def __init__(self, number: int = NUMBER) -> None:
        """Have so many."""
        self.entries = [Entry(id=BlobID(f"{at:06}")) for at in range(number)]
        self.asked: list[tuple[str, int]] = []

    def __call__(self, after: str, limit: int) -> Sequence[Entry]:
        """Give the next ones."""
        self.asked.append((after, limit))
        return [entry for entry in self.entries if entry.id > after][:limit]


def test_where_nobody_asks_a_step_waits_for_a_turn() -> None:
    """All that waits is done in it, before the first piece and after the last, and then the next step follows."""
    clock = TurnClock(LOOK)
    reader = Reader(Turns(clock), 2 * PIECES + 1)
    for done in (0, PIECES, 2 * PIECES, 2 * PIECES + 1):
        assert reader.done == done
        assert clock.turn() == [0]
    success_of(reader.reading)


def test_a_step_that_is_full_with_the_last_piece_is_the_last() -> None:
    """There is no other turn to wait for."""
    clock = TurnClock(LOOK)
    reader = Reader(Turns(clock), PIECES)
    clock.turn()
    clock.turn()
    success_of(reader.reading)


def test_where_users_ask_a_step_is_one_piece_and_it_rests_for_longer_than_that_took() -> None:
    """Of users that came before the last step, nothing is known any more."""
    clock = TurnClock(LOOK)
    turns = Turns(clock)
    reader = Reader(turns, PIECES + 2)
    turns.note_user()
    assert clock.turn() == [0]
    assert clock.turn() == [pytest.approx(RESTS * LOOK)]
    assert reader.done == 1
    assert clock.turn() == [0]
    assert reader.done == 1 + PIECES
    assert clock.turn() == [0]
    assert reader.done == PIECES + 2
    assert clock.turn() == [0]
    success_of(reader.reading)


def test_users_that_come_in_the_turn_or_in_the_rest_count() -> None:
    """The turn belongs to the step before it, the rest to the step after it."""
    clock = TurnClock(LOOK)
    turns = Turns(clock)
    reader = Reader(turns, PIECES + 1)
    clock.turn()
    assert reader.done == PIECES
    turns.note_user()
    assert clock.turn() == [0]
    turns.note_user()
    assert clock.turn() == [pytest.approx(RESTS * LOOK)]
    assert reader.done == PIECES + 1
    clock.turn()
    assert clock.turn() == [pytest.approx(RESTS * LOOK)]
    assert clock.turn() == []
    success_of(reader.reading)


def test_who_leaves_before_his_turn_is_in_nobodys_way() -> None:
    """Neither while he waits for others to go on, nor while he waits for the reader before."""
    clock = TurnClock(LOOK)
    turns = Turns(clock)
    first, second, third = Reader(turns, 1), Reader(turns, 1), Reader(turns, 1)
    second.reading.cancel()
    first.reading.cancel()
    assert failure_of(first.reading)
    assert failure_of(second.reading)
    clock.calls = [call for call in clock.calls if call.active()]
    clock.turn()
    clock.turn()
    success_of(third.reading)
    assert (first.done, second.done, third.done) == (0, 0, 1)


@pytest.mark.parametrize(("look", "rest"), [(3600.0, LONGEST_REST), (-3600.0, 0.0)])
def test_a_machine_that_stood_still_and_a_clock_that_was_set_make_no_long_rest(look: float, rest: float) -> None:
    """Such a step says nothing."""
    clock = TurnClock(look)
    turns = Turns(clock)
    reader = Reader(turns, 1)
    clock.turn()
    turns.note_user()
    clock.turn()
    assert clock.turn() == [pytest.approx(rest)]
    success_of(reader.reading)


def test_one_reads_at_a_time() -> None:
    """The second begins when the first has ended."""
    clock = TurnClock()
    turns = Turns(clock)
    first, second = Reader(turns, PIECES + 1), Reader(turns, 1)
    seen = []
    while not second.reading.called:
        seen.append((first.done, second.done))
        clock.turn()
    assert seen == [(0, 0), (PIECES, 0), (PIECES + 1, 0), (PIECES + 1, 0), (PIECES + 1, 1)]


def test_without_a_clock_nobody_waits() -> None:
    """Whoever has a store to itself reads on."""
    turns = Turns(None)
    turns.note_user()
    success_of(Reader(turns, 3).reading)


@pytest.mark.parametrize("limit", [0, -1, 1, ENTRIES_A_PIECE, ENTRIES_A_PIECE + 1, NUMBER, NUMBER + 1, 10**6])
def test_a_list_in_steps_is_the_list(limit: int) -> None:
    """No entry is missing at the seams, and none comes twice."""
    pages = Pages()
    listed = success_of(Deferred.fromCoroutine(Turns(None).listed(pages, "000002", limit)))
    assert listed == pages.entries[3:][: max(0, limit)]


def test_a_list_is_read_in_pieces() -> None:
    """It ends where one finds fewer than it could give."""
    clock, pages = TurnClock(), Pages()
    listing = Deferred.fromCoroutine(Turns(clock).listed(pages, "", 1000))
    assert not pages.asked
    clock.turn()
    assert not listing.called
    clock.turn()
    assert success_of(listing) == pages.entries
    last = [pages.entries[at * ENTRIES_A_PIECE - 1].id for at in (1, 2)]
    assert pages.asked == [(after, ENTRIES_A_PIECE) for after in ("", *last)]


def test_a_list_has_an_end_where_there_are_more() -> None:
    """A thousand entries, as whoever asks can count on."""
    assert len(success_of(Deferred.fromCoroutine(Turns(None).listed(Pages(1100), "", 10**6)))) == 1000


def test_a_reader_that_fails_makes_way() -> None:
    """For the next one."""
    turns = Turns(None)

    def page(after: str, limit: int) -> Sequence[Entry]:
        raise Unavailable("The disk is gone.")

    assert isinstance(failure_of(Deferred.fromCoroutine(turns.listed(page, "", 10))), Unavailable)
    success_of(Reader(turns, 1).reading)
