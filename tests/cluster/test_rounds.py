"""Torture F30 and F38: rounds with members that are away or hang, and rounds after the topology has changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred

from sos.http.deadlines import Deadlines
from sos.services.timer import RoundTimer
from sos.usecases.copying import Round
from tests.cluster.conftest import Builder
from tests.cluster.lines import BLOB, WRITE, Line
from tests.cluster.town import STEP, Town, server, topology_of
from tests.support import success_of

PAYLOADS = [b"%d" % number * 5000 for number in range(20)]
EVERY = 60.0


def outcome_of(town: Town, running: Deferred[Round]) -> tuple[Round, float]:
    """Let a round end, and give what it came to and how long it took."""
    took = town.seconds_until(lambda: running.called)
    return success_of(running), took


def unequal(town: Town) -> None:
    """Let member b miss everything."""
    town.members["b"].line.refuse()
    for payload in PAYLOADS:
        town.stored(payload)
        assert town.holders(payload) == "ac"
    town.members["b"].line.heal()


@pytest.mark.parametrize("fault", [Line.refuse, Line.reset, Line.drop, Line.go_silent])
def test_a_round_goes_on_without_a_member(town: Town, fault: Callable[[Line], None]) -> None:
    """It is named, the others become equal, and nothing takes longer than the silence of one request."""
    unequal(town)
    fault(town.members["c"].line)
    outcome, took = outcome_of(town, town.api.replicate())
    assert took <= Deadlines().silence + 2 * STEP
    assert set(outcome.unreachable) == {server("c")}
    assert not outcome.is_complete
    assert {town.holders(payload) for payload in PAYLOADS} == {"abc"}
    town.members["c"].line.heal()
    outcome, _ = outcome_of(town, town.api.replicate())
    assert outcome.is_complete


@pytest.mark.parametrize("place", [0, 1, 4999])
@pytest.mark.parametrize("fault", [Line.refuse, Line.go_silent])
def test_a_target_that_goes_away_in_a_round_is_left_out(town: Town, fault: Callable[[Line], None], place: int) -> None:
    """It holds nothing partial, it costs a few deadlines and not one for each blob, and the next round finishes."""
    unequal(town)
    line = town.members["b"].line
    line.to_member.passing_heads = 2
    line.to_member.break_after(place, lambda end: fault(line), WRITE)
    outcome, took = outcome_of(town, town.api.replicate())
    assert set(outcome.unreachable) == {server("b")}
    assert took <= 3 * Deadlines().silence
    assert {town.holders(payload) for payload in PAYLOADS} <= {"abc", "ac"}
    line.heal()
    outcome, _ = outcome_of(town, town.api.replicate())
    assert outcome.is_complete
    assert {town.holders(payload) for payload in PAYLOADS} == {"abc"}
    assert {len(town.entries(payload)) for payload in PAYLOADS} == {1}


@pytest.mark.parametrize("fault", [Line.refuse, Line.go_silent])
def test_a_source_that_goes_away_in_a_round_is_replaced(town: Town, fault: Callable[[Line], None]) -> None:
    """The other holder gives what it can no longer give."""
    unequal(town)
    line = town.members["a"].line
    line.to_api.passing_heads = 2
    line.to_api.break_after(100, lambda end: fault(line), BLOB)
    outcome, took = outcome_of(town, town.api.replicate())
    assert took <= 3 * Deadlines().silence
    assert set(outcome.unreachable) == {server("a")}
    assert {town.holders(payload) for payload in PAYLOADS} == {"abc"}


def test_the_timer_lives_through_bad_rounds_and_stops_at_once(town: Town) -> None:
    """With a member that hangs, rounds go on; and a stop in the middle of one waits for nothing."""
    rounds: list[Round] = []

    async def run() -> None:
        rounds.append(await town.api.replicate())

    unequal(town)
    line = town.members["c"].line
    line.go_silent()
    timer = RoundTimer("replication", EVERY, run, town.clock)
    timer.startService()
    town.pass_time(3 * EVERY)
    assert len(rounds) >= 3
    assert {town.holders(payload) for payload in PAYLOADS} == {"abc"}
    line.come_back()
    town.pass_time(2 * EVERY)
    assert rounds[-1].is_complete
    line.go_silent()
    town.seconds_until(lambda: line.open_connections > 1)
    town.seconds_until(lambda: timer._current is not None and not timer._current.called)
    success_of(timer.stopService())


# F38: another topology


def filling(town: Town, name: str) -> int:
    """Run a round, and give the bytes that went to a member in it."""
    line = town.members[name].line
    before = line.to_member.passed
    outcome, _ = outcome_of(town, town.api.replicate())
    assert outcome.is_complete
    return line.to_member.passed - before


def test_a_new_member_is_filled_once_and_all_is_found_meanwhile(town: Town) -> None:
    """Before the round, in it and after it; with little more bytes than the blobs have; and the next round sends none."""
    for payload in PAYLOADS:
        assert town.stored(payload) == 3
    town.add_member("d")
    town.api.cluster.change(topology_of({"one": "dabc"}))
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    assert town.fetched(b"unknown") == 404
    needed = sum(map(len, PAYLOADS))
    assert needed <= filling(town, "d") <= 1.1 * needed
    assert {town.holders(payload) for payload in PAYLOADS} == {"abcd"}
    assert {len(town.entries(payload)) for payload in PAYLOADS} == {1}
    assert filling(town, "d") < 2000
    assert town.stored(b"after") == 4
    for line in town.lines("abc"):
        line.refuse()
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}


def test_a_new_group_moves_nothing_and_hides_nothing(build: Builder) -> None:
    """Old objects stay where they are and are found; of the new ones the new group takes its share."""
    town = build(one="abc")
    for payload in PAYLOADS:
        town.stored(payload)
    for name in "def":
        town.add_member(name)
    town.api.cluster.change(topology_of({"one": "abc", "two": "def"}))
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    assert town.fetched(b"unknown") == 404
    assert filling(town, "d") < 2000
    fresh = [payload + b"new" for payload in PAYLOADS]
    assert {town.stored(payload) for payload in fresh} == {3}
    assert {town.holders(payload) for payload in fresh} == {"abc", "def"}
    assert {town.fetched(payload) for payload in PAYLOADS + fresh} == {200}
    again = {town.upload(payload).answer.status for payload in PAYLOADS}
    assert again == {200}
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}


@pytest.mark.parametrize("weights", [{"one": 10}, {"two": 10}, {"one": 3, "two": 7}])
def test_another_weight_hides_nothing(build: Builder, weights: dict[str, int]) -> None:
    """Objects whose home is elsewhere now are found where they were stored."""
    town = build(one="ab", two="cd")
    for payload in PAYLOADS:
        town.stored(payload)
    town.api.cluster.change(topology_of({"one": "ab", "two": "cd"}, weights))
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    assert {town.upload(payload).answer.status for payload in PAYLOADS} == {200}
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}


def test_a_member_that_is_taken_out_is_not_missed(town: Town) -> None:
    """The others have all that it had; a request that was under way at it goes on."""
    for payload in PAYLOADS:
        town.stored(payload)
    line = town.members["a"].line
    line.to_api.hold()
    visitor = town.fetch(PAYLOADS[0])
    town.api.cluster.change(topology_of({"one": "bc"}))
    line.to_api.release()
    assert town.answer_to(visitor).body == PAYLOADS[0]
    passed = line.to_member.passed
    assert {town.fetched(payload) for payload in PAYLOADS} == {200}
    assert town.stored(b"after") == 2
    assert town.fetched(b"unknown") == 404
    assert line.to_member.passed == passed
