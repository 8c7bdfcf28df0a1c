"""Torture F8: api and members apart. Who is there answers; what cannot be known is 503, never 404."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sos.http.deadlines import Deadlines
from sos.usecases.group_write import STRAGGLE
from tests.cluster.conftest import Builder
from tests.cluster.lines import Line
from tests.cluster.town import STEP, Town

APART: dict[str, Callable[[Line], None]] = {
    "refused": Line.refuse,
    "reset": Line.reset,
    "dropped": Line.drop,
    "stopped": Line.go_silent,
}
WAITS = {"refused": 0.0, "reset": 0.0, "dropped": Deadlines().connect, "stopped": Deadlines().connect}
"""Seconds that a fetch may lose to the first member that is asked; refused and reset cost nothing (100 ms at most)."""


@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize("how", APART)
def test_one_of_three_apart(build: Builder, how: str, is_warm: bool) -> None:
    """Uploads have two copies, known objects come, and an unknown one is truly 404: two of three have said no."""
    town = build()
    town.stored(b"known")
    if not is_warm:
        town.add_api(town.api.cluster.topology)
        town.api.end()
        town.api = town.apis[-1]
    APART[how](town.members["a"].line)
    asked = {b"known": 200, b"unknown": 404}
    for payload, status in asked.items():
        for method in ("GET", "HEAD"):
            visitor = town.fetch(payload, method)
            assert town.seconds_until(lambda asking=visitor: asking.is_over) <= WAITS[how] + 2 * STEP  # type: ignore[misc]
            assert visitor.answer.status == status
    visitor = town.upload(b"while apart")
    assert town.seconds_until(lambda: visitor.is_over) <= STRAGGLE + STEP
    assert (visitor.answer.status, visitor.answer.json["copies"]) == (200, 2)
    assert town.fetched(b"while apart") == 200


@pytest.mark.parametrize("how", APART)
@pytest.mark.parametrize("names", ["ab", "bc", "abc"])
def test_two_or_three_of_three_apart(town: Town, how: str, names: str) -> None:
    """What is known comes from whoever is left; what nobody else has may be on those that are away: 503."""
    town.stored(b"known")
    for line in town.lines(names):
        APART[how](line)
    is_anybody_left = len(names) < 3
    assert town.fetched(b"known") == (200 if is_anybody_left else 503)
    for method in ("GET", "HEAD"):
        answer = town.answer_to(town.fetch(b"unknown", method))
        assert answer.status == 503
        assert "retry-after" in answer.headers
    assert town.answer_to(town.upload(b"more")).status == 503


@pytest.mark.parametrize("how", APART)
def test_one_of_two_apart(build: Builder, how: str) -> None:
    """One copy is acknowledged in a group of two: whatever the other one does not have may be on it alone."""
    town = build(one="ab")
    town.stored(b"known")
    APART[how](town.members["a"].line)
    assert town.fetched(b"known") == 200
    assert town.fetched(b"unknown") == 503
    assert town.answer_to(town.upload(b"more")).json["copies"] == 1
    assert town.fetched(b"more") == 200


@pytest.mark.parametrize("how", APART)
def test_one_group_of_two_apart(build: Builder, how: str) -> None:
    """Uploads go to the other group, whichever is their home; no group can be left out of a 404."""
    town = build(one="abc", two="def")
    payloads = [b"%d" % number for number in range(8)]
    for payload in payloads:
        assert town.stored(payload) == 3
    for line in town.lines("def"):
        APART[how](line)
    found = {town.fetched(payload) for payload in payloads}
    assert found == {200, 503}
    assert town.fetched(b"unknown") == 503
    for number in range(8):
        answer = town.answer_to(town.upload(b"more%d" % number))
        assert (answer.status, answer.json["copies"]) == (200, 3)
        assert town.fetched(b"more%d" % number) == 200
    for line in town.lines("def"):
        line.heal()
    town.pass_time(60)
    assert {town.fetched(payload) for payload in payloads} == {200}
    assert {town.fetched(b"more%d" % number) for number in range(8)} == {200}
    assert town.fetched(b"unknown") == 404
