"""The history checker finds what is wrong in histories that were made bad by hand, and nothing in good ones."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.simulation.history import Operation, Outcome, Verb, violations_of

DONE, PARTLY, ABSENT, UNKNOWN, REFUSED = Outcome.DONE, Outcome.PARTLY, Outcome.ABSENT, Outcome.UNKNOWN, Outcome.REFUSED
INF = float("inf")


def up(called: float, returned: float = INF, outcome: Outcome = DONE, name: str = "a") -> Operation:
    """Make an upload."""
    return Operation(verb=Verb.UPLOAD, object=name, called=called, returned=returned, outcome=outcome)


def rm(called: float, returned: float = INF, outcome: Outcome = DONE, name: str = "a") -> Operation:
    """Make a delete."""
    return Operation(verb=Verb.DELETE, object=name, called=called, returned=returned, outcome=outcome)


def get(
    called: float,
    returned: float = INF,
    outcome: Outcome = DONE,
    name: str = "a",
    *,
    right: bool = True,
    final: bool = False,
) -> Operation:
    """Make a fetch."""
    return Operation(
        verb=Verb.FETCH, object=name, called=called, returned=returned, outcome=outcome, is_right=right, is_final=final
    )


GOOD = {
    "an upload is seen": [up(0, 1), get(2, 3)],
    "an upload under way may be seen": [up(0, 5), get(2, 3)],
    "an upload under way may not be there yet": [up(0, 5), get(2, 3, ABSENT)],
    "an upload nobody heard of may be seen": [up(0, INF, UNKNOWN), get(2, 3)],
    "or not": [up(0, INF, UNKNOWN), get(2, 3, ABSENT)],
    "or now and then": [up(0, INF, UNKNOWN), get(2, 3), get(4, 5, ABSENT), get(6, 7)],
    "a deleted object is absent": [up(0, 1), rm(2, 3), get(4, 5, ABSENT)],
    "a delete under way may be seen or not": [up(0, 1), rm(2, 9), get(3, 4), get(5, 6, ABSENT)],
    "a delete nobody heard of may have happened": [up(0, 1), rm(2, INF, UNKNOWN), get(4, 5, ABSENT)],
    "or not at all": [up(0, 1), rm(2, INF, UNKNOWN), get(4, 5), get(6, 7, final=True)],
    "an upload after a delete lives": [up(0, 1), rm(2, 3), up(4, 5), get(6, 7)],
    "an upload beside a delete may live": [up(0, 1), rm(2, 5), up(3, 4), get(6, 7)],
    "or die": [up(0, 1), rm(2, 5), up(3, 4), get(6, 7, ABSENT)],
    "a partial delete may show its object": [up(0, 1), rm(2, 3, PARTLY), get(4, 5)],
    "an outage is no loss": [up(0, 1), get(2, 3, UNKNOWN), get(4, 5, REFUSED), get(6, 7)],
    "what was refused need not be there": [up(0, 1, REFUSED), get(2, 3, ABSENT)],
    "deleting what is not there changes nothing": [rm(0, 1, ABSENT), up(2, 3), get(4, 5)],
    "objects are apart": [up(0, 1), rm(2, 3), up(2, 3, name="b"), get(4, 5, name="b"), get(4, 5, ABSENT)],
    "an upload that was in doubt outlives a delete": [up(0, INF, UNKNOWN), rm(2, 3), get(4, 5)],
}

BAD = {
    "an acknowledged object is gone": [up(0, 1), get(2, 3, ABSENT)],
    "it is gone after it was seen": [up(0, 1), get(2, 3), get(4, 5, ABSENT)],
    "it is gone for a while": [up(0, 1), get(2, 3, ABSENT), get(4, 5)],
    "it is gone in the end": [up(0, 1), get(2, 3, ABSENT, final=True)],
    "it is gone, says a delete": [up(0, 1), rm(2, 3, ABSENT)],
    "it is gone after another upload failed": [up(0, 1), up(2, 3, UNKNOWN), get(4, 5, ABSENT)],
    "it is gone after a delete was refused": [up(0, 1), rm(2, 3, REFUSED), get(4, 5, ABSENT)],
    "an older delete kills it": [rm(0, 1), up(2, 3), get(4, 5, ABSENT)],
    "an older delete kills it later": [up(0, 1), rm(2, 3), up(4, 5), get(6, 7), get(8, 9, ABSENT)],
    "another object's delete kills it": [up(0, 1), rm(2, 3, name="b"), get(4, 5, ABSENT)],
    "a deleted object is seen": [up(0, 1), rm(2, 3), get(4, 5)],
    "a deleted object comes back": [up(0, 1), rm(2, 3), get(4, 5, ABSENT), get(6, 7)],
    "it comes back in the end": [up(0, 1), rm(2, 3), get(8, 9, final=True)],
    "a partial delete is undone in the end": [up(0, 1), rm(2, 3, PARTLY), get(8, 9, final=True)],
    "a refused upload does not bring it back": [up(0, 1), rm(2, 3), up(4, 5, REFUSED), get(6, 7)],
    "a later upload does not bring it back before": [up(0, 1), rm(2, 3), get(4, 5), up(6, 7)],
    "two deletes, and it is there": [up(0, 1), rm(2, 3), rm(4, 5), get(6, 7)],
    "nobody ever uploaded it": [get(2, 3)],
    "it is there before its upload": [get(0, 1), up(2, 3)],
    "only another object was uploaded": [up(0, 1, name="b"), get(2, 3)],
    "what was refused is there": [up(0, 1, REFUSED), get(2, 3)],
    "other bytes": [up(0, 1), get(2, 3, right=False)],
    "no answer in the end": [up(0, 1), get(8, 9, UNKNOWN, final=True)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_good_history_has_no_violation(history: Sequence[Operation]) -> None:
    """Whatever an order of events explains."""
    assert list(violations_of(history)) == []


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_a_bad_history_is_found(history: Sequence[Operation]) -> None:
    """Each of these was made bad by hand, in one place."""
    assert len(list(violations_of(history))) == 1


def test_there_are_twenty_of_them() -> None:
    """As the proof of the checker asks for."""
    assert len(BAD) >= 20
