"""The guess whether a chunk is there already."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from sos.decisions.guess import LONGEST_SILENCE, Guess


def asked_for(chunks: int, is_there: Callable[[int], bool]) -> list[int]:
    """Give the numbers of the chunks that are asked for; each answer comes before the next chunk."""
    guess = Guess()
    asked = []
    for number in range(chunks):
        if guess.is_worth_asking():
            asked.append(number)
            guess.learn(is_there(number))
    return asked


def test_an_object_that_is_there_is_asked_for_chunk_by_chunk() -> None:
    """No byte of it has to be sent."""
    assert asked_for(10, lambda number: True) == list(range(10))


def test_a_new_object_is_asked_for_rarely() -> None:
    """Never more than one round trip for so many chunks, once that is clear."""
    asked = asked_for(100, lambda number: False)
    assert asked[:5] == [0, 2, 5, 10, 19]
    assert all(later - earlier == LONGEST_SILENCE + 1 for earlier, later in pairwise(asked[4:]))


def test_an_upload_that_was_broken_off_goes_on_where_it_was() -> None:
    """What is there is not sent, what is not there is hardly asked for."""
    asked = asked_for(40, lambda number: number < 20)
    assert asked[:21] == list(range(21))
    assert len(asked) <= 25


def test_an_old_rest_behind_a_new_beginning_is_found() -> None:
    """Within so many chunks."""
    asked = asked_for(100, lambda number: number >= 50)
    first = next(number for number in asked if number >= 50)
    assert first <= 50 + LONGEST_SILENCE
    assert asked[asked.index(first) :] == list(range(first, 100))


def test_chunks_sent_before_the_first_answer_are_asked_for_too() -> None:
    """Nothing is known yet."""
    guess = Guess()
    assert guess.is_worth_asking() and guess.is_worth_asking()
