"""The lender of memory: counted to the byte, given out in turn, and asked back from those who rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sos.usecases.lender import PATIENCE, Lender, NoRoom, Reservation, Share
from tests.support import failure_of, success_of

LIMIT = 10


@pytest.fixture
def clock() -> Clock:
    """Make a clock."""
    return Clock()


@pytest.fixture
def lender(clock: Clock) -> Lender:
    """Make a lender of ten bytes."""
    return Lender(LIMIT, clock)


def given_to(waiting: Deferred[Share]) -> bool:
    """Whether somebody who waited has got a share."""
    return waiting.called


def test_nobody_waits_while_there_is_enough(lender: Lender) -> None:
    """And what is given back can be had again."""
    shares = [success_of(lender.take(5)), success_of(lender.take(5))]
    assert lender.used == LIMIT
    assert lender.if_free(1) is None
    for share in shares:
        share.give_back()
        share.give_back()
    assert lender.used == 0
    assert lender.if_free(LIMIT) is not None


def test_who_waits_longest_is_next_whatever_the_others_want(lender: Lender) -> None:
    """A large wish must not starve behind small ones."""
    first = success_of(lender.take(8))
    large, small = lender.take(9), lender.take(1)
    assert not given_to(large) and not given_to(small)
    assert lender.if_free(1) is None, "nobody goes before those who wait"
    first.give_back()
    assert given_to(large) and given_to(small)


def test_more_than_there_is_can_be_had_alone(lender: Lender) -> None:
    """A chunk may be larger than all memory: refused it would wait for ever."""
    first = success_of(lender.take(1))
    huge, next_one = lender.take(LIMIT + 5), lender.take(1)
    assert not given_to(huge)
    first.give_back()
    assert given_to(huge) and not given_to(next_one)
    success_of(huge).give_back()
    assert given_to(next_one)


def test_a_wish_can_be_taken_back(lender: Lender) -> None:
    """A client has left; whoever waited behind it is served if there is enough for him."""
    success_of(lender.take(8))
    large, small = lender.take(9), lender.take(2)
    large.cancel()
    assert isinstance(failure_of(large), CancelledError)
    assert given_to(small)


def test_a_share_that_rests_is_asked_back_when_somebody_waits(lender: Lender, clock: Clock) -> None:
    """Not before it has rested for a while, and not while nobody needs it."""
    share = success_of(lender.take(LIMIT))
    share.rest(share.give_back)
    clock.advance(10 * PATIENCE)
    assert lender.used == LIMIT
    assert given_to(lender.take(1)), "it has rested for long enough before"
    assert not clock.getDelayedCalls()


def test_a_share_that_rests_for_a_moment_is_left_alone(lender: Lender, clock: Clock) -> None:
    """A client that reads at full speed pauses all the time."""
    share = success_of(lender.take(LIMIT))
    waiting = lender.take(1)
    for _ in range(5):
        share.rest(share.give_back)
        clock.advance(PATIENCE * 0.9)
        share.use()
    assert not given_to(waiting)
    share.rest(share.give_back)
    clock.advance(PATIENCE)
    assert given_to(waiting)
    assert not clock.getDelayedCalls()


def test_no_more_is_asked_back_than_is_needed(lender: Lender, clock: Clock) -> None:
    """What rests longest goes first."""
    shares = [success_of(lender.take(5)), success_of(lender.take(5))]
    gone: list[int] = []

    def give_up(number: int) -> None:
        gone.append(number)
        shares[number].give_back()

    shares[1].rest(lambda: give_up(1))
    shares[0].rest(lambda: give_up(0))
    clock.advance(PATIENCE)
    assert given_to(lender.take(3))
    assert gone == [1]


def test_a_thousand_who_give_back_at_once_are_no_matter(lender: Lender, clock: Clock) -> None:
    """Each is served by the one before, and nobody runs out of stack."""
    share = success_of(lender.take(LIMIT))
    waiting = [lender.take(LIMIT).addCallback(Share.give_back) for _ in range(3000)]
    share.rest(share.give_back)
    clock.advance(PATIENCE)
    assert all(one.called for one in waiting) and lender.used == 0


def test_a_reservation_gives_what_was_waited_for(lender: Lender) -> None:
    """Where nothing is free, one has to let go and wait; what is not used goes back."""
    share = success_of(lender.take(LIMIT))
    room = Reservation(lender)
    with pytest.raises(NoRoom):
        room.claim(3)
    room.claim(0).give_back()
    waiting = Deferred.fromCoroutine(room.wait(3))
    assert not waiting.called
    Reservation(lender).claim(0)
    share.give_back()
    success_of(waiting)
    assert lender.used == 3
    claimed = room.claim(2)
    room.end()
    claimed.give_back()
    assert lender.used == 0
    room.claim(4).give_back()
    success_of(room.wait(5))
    room.claim(6).give_back()  # it has come to be larger: the smaller share is of no use
    success_of(room.wait(5))
    room.end()
    assert lender.used == 0


class Crowd:
    """Holders and those who wait, and what must hold of them at any time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lender = Lender(LIMIT, self.clock)
        self.held: list[Share] = []
        self.waiting: list[Deferred[Share]] = []
        self.served: list[int] = []

    def take(self, size: int) -> None:
        """Want so many bytes."""
        number = len(self.waiting)

        def receive(share: Share) -> None:
            self.served.append(number)
            self.held.append(share)

        wish = self.lender.take(size)
        self.waiting.append(wish)
        wish.addCallbacks(receive, lambda failure: failure.trap(CancelledError))

    def take_if_free(self, size: int) -> None:
        """Want so many bytes now or not at all."""
        share = self.lender.if_free(size)
        if share is not None:
            self.held.append(share)

    def cancel(self, size: int) -> None:
        """Have one of those who wait leave."""
        if self.waiting:
            self.waiting[size % len(self.waiting)].cancel()

    def give_back(self, size: int) -> None:
        """Have one of the holders give back his share."""
        if self.held:
            self.give_up(self.held[size % len(self.held)])

    def give_up(self, share: Share) -> None:
        """Have a holder give back this share."""
        self.held.remove(share)
        share.give_back()

    def rest(self, size: int) -> None:
        """Have one of the holders pause."""
        if self.held:
            share = self.held[size % len(self.held)]
            share.rest(lambda: self.give_up(share))

    def use(self, size: int) -> None:
        """Have one of the holders go on."""
        if self.held:
            self.held[size % len(self.held)].use()

    def wait(self, size: int) -> None:
        """Let some time pass."""
        self.clock.advance(size / 4)

    def check(self) -> None:
        """The sum is right, the limit holds but for a single larger share, and nobody was served before his turn."""
        assert self.lender.used == sum(share.size for share in self.held)
        assert self.lender.used <= LIMIT or len(self.held) == 1
        assert self.served == sorted(self.served)


STEPS = [Crowd.take, Crowd.take_if_free, Crowd.cancel, Crowd.give_back, Crowd.rest, Crowd.use, Crowd.wait]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 14)), max_size=60))
def test_whatever_happens_the_sum_is_right_and_nobody_is_forgotten(steps: list[tuple[Callable[..., None], int]]) -> None:
    """At the end all who waited were served, and nothing is held."""
    crowd = Crowd()
    for step, size in steps:
        step(crowd, size)
        crowd.check()
    while crowd.held:
        crowd.give_back(0)
        crowd.check()
    assert crowd.lender.used == 0
    assert all(wish.called for wish in crowd.waiting)
    assert not crowd.clock.getDelayedCalls()
