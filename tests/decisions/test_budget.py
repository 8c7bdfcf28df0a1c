"""The budget of memory: never over its limit, and everybody comes to an end, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.budget import Budget, Share

LIMIT = 64
PIECE = 4
LARGEST = LIMIT // 2
"""Bytes of the largest share."""


class Buffer:
    """A buffer that fills as fast as it may and as its client sends, and is sent and dropped when it is full."""

    def __init__(self, budget: Budget, most: int) -> None:
        self.calls = 0
        self.share = budget.open(most, self._changed)

    def _changed(self) -> None:
        self.calls += 1

    @property
    def is_full(self) -> bool:
        """Whether it has all its bytes."""
        return self.share.size == self.share.most

    def arrive(self, count: int) -> None:
        """Take some bytes, if it may."""
        if self.share.may_grow:
            self.share.grow(min(count, self.share.most - self.share.size))


def filled(budget: Budget, most: int) -> Buffer:
    """Open a buffer and let it take what it may, a piece at a time."""
    buffer = Buffer(budget, most)
    while buffer.share.may_grow and not buffer.is_full:
        buffer.arrive(PIECE)
    return buffer


def test_everybody_may_grow_while_there_is_room() -> None:
    """A share costs what it has, not what it may come to."""
    budget = Budget(LIMIT, PIECE)
    buffers = [Buffer(budget, LARGEST) for _ in range(100)]
    assert budget.used == 0
    assert all(buffer.share.may_grow for buffer in buffers)


def test_when_half_of_it_is_used_up_the_oldest_go_on_alone() -> None:
    """All that they may come to is set aside, and what does not fit has to wait."""
    budget = Budget(LIMIT, PIECE)
    old, young = Buffer(budget, 20), Buffer(budget, 20)
    filled(budget, 30)
    assert old.share.may_grow and not young.share.may_grow
    assert old.calls == 2  # it was told to wait, and that it may go on
    assert not Buffer(budget, 1).share.may_grow  # strictly in turn, or a large one would wait for ever


def test_the_next_has_its_turn_when_the_oldest_is_dropped() -> None:
    """Dropped, not sealed: as long as its bytes are sent they are there."""
    budget = Budget(LIMIT, PIECE)
    old, young = Buffer(budget, 20), Buffer(budget, 20)
    filled(budget, 30)
    while not old.is_full:
        old.arrive(PIECE)
    old.share.seal()
    assert not young.share.may_grow
    old.share.drop()
    assert young.share.may_grow


def test_what_was_set_aside_and_is_not_needed_is_for_others() -> None:
    """A body may end early."""
    budget = Budget(LIMIT, PIECE)
    old, young = Buffer(budget, 20), Buffer(budget, 20)
    filled(budget, 30)
    old.share.seal()
    assert young.share.may_grow


def test_all_may_grow_again_when_there_is_room_again() -> None:
    """They are told."""
    budget = Budget(LIMIT, PIECE)
    large = filled(budget, 30)
    waiting = [Buffer(budget, LARGEST) for _ in range(3)]
    assert [buffer.share.may_grow for buffer in waiting] == [True, False, False]
    before = [buffer.calls for buffer in waiting]
    large.share.drop()
    assert all(buffer.share.may_grow for buffer in waiting)
    assert [buffer.calls > calls for buffer, calls in zip(waiting[1:], before[1:], strict=True)] == [True, True]


def test_a_share_that_is_told_may_end_at_once_and_let_the_next_do_the_same() -> None:
    """Ten thousand in a row are no stack of ten thousand."""
    budget = Budget(LIMIT, PIECE)
    filled(budget, 30)
    oldest = Buffer(budget, LARGEST)  # nothing is left to be set aside for others
    ended: list[Share] = []

    def end() -> None:
        share = shares[len(ended)]
        ended.append(share)
        share.grow(1)
        share.drop()

    shares = [budget.open(1, end) for _ in range(10_000)]
    assert not ended
    oldest.share.drop()
    assert len(ended) == 10_000


step = st.tuples(st.integers(0, 19), st.integers(1, PIECE), st.sampled_from(["arrive", "drop", "open"]))


@given(st.lists(step, max_size=300), st.lists(st.integers(1, LARGEST), min_size=1, max_size=20))
def test_it_is_never_over_its_limit_and_everybody_ends(schedule: list[tuple[int, int, str]], sizes: list[int]) -> None:
    """Bytes come and clients leave in any order; then whoever may grow does, is sent and dropped, until nobody is left."""
    budget = Budget(LIMIT, PIECE)
    buffers: list[Buffer] = []
    for which, count, what in schedule:
        if what == "open" or not buffers:
            buffers.append(Buffer(budget, sizes[which % len(sizes)]))
        buffer = buffers[which % len(buffers)]
        if what == "drop":
            buffer.share.drop()
            buffers.remove(buffer)
        else:
            buffer.arrive(count)
        assert budget.used <= LIMIT
        assert sum(buffer.share.size for buffer in buffers) <= budget.used
    while buffers:
        growing = [buffer for buffer in buffers if buffer.share.may_grow]
        assert growing, "they wait for each other"
        for buffer in growing:
            buffer.arrive(PIECE)
            assert budget.used <= LIMIT
        for buffer in [buffer for buffer in buffers if buffer.is_full]:
            buffer.share.drop()
            buffers.remove(buffer)
    assert budget.used == 0


def test_bytes_that_are_all_there_are_taken_at_once_or_not_at_all() -> None:
    """They count like those of a share; where everybody has to wait for their turn, they are not taken."""
    budget = Budget(LIMIT, PIECE)
    taken = 0
    while budget.take(PIECE):
        taken += PIECE
    assert taken == budget.used == LIMIT // 2
    assert not Buffer(budget, LARGEST + 1).share.may_grow
    budget.give_back(taken)
    assert budget.used == 0
    assert budget.take(PIECE)


def test_bytes_that_are_taken_let_the_oldest_go_on_alone() -> None:
    """As a share does that grows: those that were told to wait are told again when the bytes are given back."""
    budget = Budget(LIMIT, PIECE)
    old, young = Buffer(budget, 20), Buffer(budget, 20)
    taken = 0
    while budget.take(PIECE):
        taken += PIECE
    assert old.share.may_grow and not young.share.may_grow
    budget.give_back(taken)
    assert young.share.may_grow
