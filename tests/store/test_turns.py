"""Readers of much: they give way to users, and to nobody for longer than that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred

from sos.store.turns import ENTRIES_A_STEP, LONGEST_REST, RESTS, Turns
from sos.words.blob import BlobID, Entry
from sos.words.errors import Unavailable
from tests.store.turn_clock import TurnClock
from tests.support import failure_of, success_of

LOOK = 0.001
NUMBER = 2 * ENTRIES_A_STEP + 5


class Reader:
    """Takes steps in its turn, and notes each."""

    def __init__(self, turns: Turns, steps: int) -> None:
        """Take so many."""
        self._turns = turns
        self._steps = steps
        self.done = 0
        self.reading = Deferred.fromCoroutine(self._read())

    async def _read(self) -> None:
        async with self._turns:
            for _ in range(self._steps):
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
    """All that waits is done in it, and then the next step follows."""
    clock = TurnClock(LOOK)
    reader = Reader(Turns(clock), 3)
    for number in (1, 2, 3):
        assert reader.done == number
        assert clock.turn() == [0]
    success_of(reader.reading)


def test_where_users_ask_it_rests_for_longer_than_the_step_took() -> None:
    """Of users that came before the last step, nothing is known any more."""
    clock = TurnClock(LOOK)
    turns = Turns(clock)
    reader = Reader(turns, 2)
    turns.note_user()
    assert clock.turn() == [0]
    assert clock.turn() == [pytest.approx(RESTS * LOOK)]
    assert reader.done == 2
    assert clock.turn() == [0]
    success_of(reader.reading)


def test_users_that_come_in_the_turn_or_in_the_rest_count() -> None:
    """The turn belongs to the step before it, the rest to the step after it."""
    clock = TurnClock(LOOK)
    turns = Turns(clock)
    clock.callLater(0, turns.note_user)
    reader = Reader(turns, 3)
    clock.turn()
    turns.note_user()
    assert clock.turn() == [pytest.approx(RESTS * LOOK)]
    clock.turn()
    assert clock.turn() == [pytest.approx(RESTS * LOOK)]
    assert reader.done == 3
    clock.turn()
    assert clock.turn() == []
    success_of(reader.reading)


@pytest.mark.parametrize(("look", "rest"), [(3600.0, LONGEST_REST), (-3600.0, 0.0)])
def test_a_machine_that_stood_still_and_a_clock_that_was_set_make_no_long_rest(look: float, rest: float) -> None:
    """Such a step says nothing."""
    clock = TurnClock(look)
    turns = Turns(clock)
    reader = Reader(turns, 1)
    turns.note_user()
    clock.turn()
    assert clock.turn() == [pytest.approx(rest)]
    success_of(reader.reading)


def test_one_reads_at_a_time() -> None:
    """The second begins when the first has ended."""
    clock = TurnClock()
    turns = Turns(clock)
    first, second = Reader(turns, 2), Reader(turns, 1)
    seen = []
    while not second.reading.called:
        seen.append((first.done, second.done))
        clock.turn()
    assert seen == [(1, 0), (2, 0), (2, 1)]


def test_without_a_clock_nobody_waits() -> None:
    """Whoever has a store to itself reads on."""
    turns = Turns(None)
    turns.note_user()
    success_of(Reader(turns, 3).reading)


@pytest.mark.parametrize("limit", [0, -1, 1, ENTRIES_A_STEP, ENTRIES_A_STEP + 1, NUMBER, NUMBER + 1, 10**6])
def test_a_list_in_steps_is_the_list(limit: int) -> None:
    """No entry is missing at the seams, and none comes twice."""
    pages = Pages()
    listed = success_of(Deferred.fromCoroutine(Turns(None).listed(pages, "000002", limit)))
    assert listed == pages.entries[3:][: max(0, limit)]


def test_a_list_gives_way_before_each_step_and_after_the_last() -> None:
    """It ends where a step finds fewer than it could give."""
    clock, pages = TurnClock(), Pages()
    listing = Deferred.fromCoroutine(Turns(clock).listed(pages, "", 1000))
    for number in range(3):
        assert len(pages.asked) == number
        clock.turn()
    assert not listing.called
    clock.turn()
    assert success_of(listing) == pages.entries
    last = [pages.entries[at * ENTRIES_A_STEP - 1].id for at in (1, 2)]
    assert pages.asked == [(after, ENTRIES_A_STEP) for after in ("", *last)]


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
