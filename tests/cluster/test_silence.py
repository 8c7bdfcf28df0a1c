"""Torture F4, F9, F10 and F42: members that fall silent, in one direction or both, for a moment or for good."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sos.decisions.health import LONGEST_REST
from sos.http.deadlines import Deadlines
from sos.usecases.cluster import GREETING
from sos.usecases.first_answer import ENOUGH, GRACE, IMPATIENCE
from sos.usecases.group_write import DOUBT, GIVE_UP, STRAGGLE
from tests.cluster.conftest import Builder
from tests.cluster.lines import BLOB, Line
from tests.cluster.town import STEP, Town, id_of

SHORT = b"hello" * 20_000
LONG = bytes(range(256)) * 20_000
"""Longer than what is verified before its first byte leaves, so that it is relayed while it is read."""

PIECE = 64 * 1024
SILENCE = Deadlines().silence
PLACES = [0, 1, PIECE, len(SHORT) - 1, len(SHORT)]


def silent(line: Line, direction: str) -> None:
    """Let nothing pass in one direction, or in both."""
    if direction != "back":
        line.to_member.hold()
    if direction != "there":
        line.to_api.hold()


# Uploads


@pytest.mark.parametrize("place", PLACES)
def test_a_member_that_falls_silent_in_an_upload_costs_a_moment(town: Town, place: int) -> None:
    """The two others are enough; two seconds later the silent one is let go of, and left alone from then on."""
    line = town.members["a"].line
    line.go_silent_after(place)
    visitor = town.upload(SHORT)
    assert town.seconds_until(lambda: visitor.is_over) <= STRAGGLE + STEP
    assert visitor.answer.json["copies"] == 2
    assert line.open_connections == 1
    assert town.seconds_until(lambda: not line.open_connections) <= GIVE_UP + STEP
    assert town.stored(b"after") == 2


@pytest.mark.parametrize("place", PLACES)
def test_a_group_that_falls_silent_in_an_upload_is_503_in_seconds(town: Town, place: int) -> None:
    """Without a sign of life nobody waits longer, and no connection stays open. Whole again, they take the upload."""
    for line in town.lines("ab"):
        line.go_silent_after(place)
    visitor = town.upload(SHORT)
    assert town.seconds_until(lambda: visitor.is_over) <= DOUBT + GREETING + 2 * STEP
    assert visitor.answer.status == 503
    assert "retry-after" in visitor.answer.headers
    assert [line.open_connections for line in town.lines("ab")] == [0, 0]
    for line in town.lines("ab"):
        line.heal()
    assert town.stored(SHORT) == 3
    assert len(town.entries(SHORT)) == 1


def test_a_group_that_takes_no_connections_is_503_in_two_seconds(town: Town) -> None:
    """There is nothing to wait for."""
    for line in town.lines("abc"):
        line.drop()
    visitor = town.upload(SHORT)
    assert town.seconds_until(lambda: visitor.is_over) <= Deadlines().connect + STEP
    assert visitor.answer.status == 503


def test_a_home_group_that_hangs_delays_only_the_first_upload(build: Builder) -> None:
    """It is known then; uploads to it go to the other group after a few seconds, and home again when it is back."""
    town = build(one="abc", two="def")
    payloads = [b"%d" % number for number in range(40)]
    payloads = [payload for payload in payloads if next(town.api.cluster.groups_for(id_of(payload))).name == "one"]
    town.stored(payloads.pop())
    for line in town.lines("abc"):
        line.go_silent()
    for patience in (DOUBT + GREETING, DOUBT, DOUBT):
        payload = payloads.pop()
        visitor = town.upload(payload)
        assert town.seconds_until(lambda asking=visitor: asking.is_over) <= patience + 2 * STEP  # type: ignore[misc]
        assert visitor.answer.json["copies"] == 3
        assert town.holders(payload) == "def"
    for line in town.lines("def"):
        line.go_silent()
    town.answer_to(town.upload(payloads.pop()))
    visitor = town.upload(payloads.pop())
    assert town.seconds_until(lambda: visitor.is_over) <= 2 * DOUBT + 2 * STEP
    assert visitor.answer.status == 503
    for line in town.lines("abc"):
        line.heal()
    payload = payloads.pop()
    assert town.stored(payload) == 3
    assert town.holders(payload) == "abc"


# Fetches


@pytest.mark.parametrize("place", [0, 1, len(SHORT) // 2, len(SHORT) - 1])
@pytest.mark.parametrize("direction", ["there", "back", "both"])
def test_a_member_that_falls_silent_in_a_short_answer_costs_two_seconds_once(town: Town, direction: str, place: int) -> None:
    """Nothing of it has left yet: the next member gives it. From then on the silent one is asked last."""
    town.stored(SHORT)
    line = town.members["a"].line
    if direction == "both":
        line.to_api.break_after(place, lambda end: line.go_silent())
    else:
        silent(line, direction)
    visitor = town.fetch(SHORT)
    looks = 2 if direction == "both" and place >= ENOUGH else 1  # what was moving a moment ago gets another look
    assert town.seconds_until(lambda: visitor.is_over) == pytest.approx(looks * IMPATIENCE, abs=2 * STEP)
    assert visitor.answer.body == SHORT
    again = town.fetch(SHORT)
    assert again.answer.body == SHORT
    assert town.members["a"].line.open_connections == 0


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=100-5000099"}])
@pytest.mark.parametrize("kind", [Line.refuse, Line.go_silent])
def test_a_member_that_gives_no_byte_of_a_long_object_is_replaced(
    town: Town, kind: Callable[[Line], None], headers: dict[str, str]
) -> None:
    """Its head is no answer yet: while nothing has left, the next member is asked, as for a short one."""
    town.stored(LONG)
    line = town.members["a"].line
    if headers:  # two questions for the entry come before the span
        line.to_api.passing_heads = 2
    line.to_api.break_after(0, lambda end: kind(line), BLOB)
    visitor = town.fetch(LONG, headers=headers)
    assert town.seconds_until(lambda: visitor.is_over) <= IMPATIENCE + 2 * STEP
    assert visitor.answer.is_whole
    assert visitor.answer.body == (LONG[100:5_000_100] if headers else LONG)


IN_THE_MIDDLE = [2 * PIECE, len(LONG) // 2, len(LONG) - 1]
"""Bytes of a long answer that have come, and left for the client, before its member is gone."""


@pytest.mark.parametrize("place", IN_THE_MIDDLE)
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=100-5119998"}])
@pytest.mark.parametrize(("kind", "patience"), [(Line.refuse, 0.0), (Line.go_silent, SILENCE)])
def test_another_member_goes_on_with_a_long_answer(
    town: Town, kind: Callable[[Line], None], patience: float, headers: dict[str, str], place: int
) -> None:
    """At the byte that was reached, and the client does not notice: a death costs a moment, silence its deadline."""
    town.stored(LONG)
    line = town.members["a"].line
    if headers:  # two questions for the entry come before the span
        line.to_api.passing_heads = 2
    line.to_api.break_after(min(place, len(LONG) - 200), lambda end: kind(line), BLOB)
    before = town.members["b"].line.to_api.passed
    visitor = town.fetch(LONG, headers=headers)
    assert town.seconds_until(lambda: visitor.is_over) <= patience + STEP
    assert visitor.answer.is_whole
    assert visitor.answer.body == (LONG[100:5_119_999] if headers else LONG)
    assert town.members["b"].line.to_api.passed - before < len(LONG) - place + 2000
    assert line.open_connections == 0


@pytest.mark.parametrize("place", IN_THE_MIDDLE)
def test_a_long_answer_that_nobody_goes_on_with_shows_in_the_framing(town: Town, place: int) -> None:
    """Bytes have left: after 30 seconds of silence the client's connection is dropped, and so is the member's."""
    town.stored(LONG)
    line = town.members["a"].line
    line.to_api.break_after(place, lambda end: line.go_silent())
    for other in town.lines("bc"):
        other.refuse()
    visitor = town.fetch(LONG)
    assert town.seconds_until(lambda: visitor.is_over) <= SILENCE + 2 * (IMPATIENCE + GRACE)
    assert not visitor.answer.is_whole
    assert LONG.startswith(visitor.answer.body)
    assert line.open_connections == 0
    for other in town.lines("bc"):
        other.heal()
    town.pass_time(60)
    assert town.fetched(LONG) == 200


def test_members_that_die_one_after_the_other_are_all_replaced(town: Town) -> None:
    """Each gives what it can, and the last one the rest."""
    town.stored(LONG)
    for line in town.lines("ab"):
        line.to_api.break_after(2 * PIECE, lambda end, line=line: line.refuse(), BLOB)  # type: ignore[misc]
    assert town.fetch(LONG).answer.body == LONG


def test_a_connection_that_breaks_is_not_the_end_of_the_only_member(build: Builder) -> None:
    """The member is there: it goes on itself, over another connection."""
    town = build(one="a")
    town.stored(LONG)
    town.members["a"].line.to_api.break_after(2 * PIECE, lambda end: end.abort(), BLOB)
    assert town.fetch(LONG).answer.body == LONG


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_when_nobody_answers_a_fetch_is_503_in_time(town: Town, method: str) -> None:
    """Known or not: it is never 404, and the second time, when all are known to be silent, it is faster."""
    town.stored(SHORT)
    for line in town.lines("abc"):
        line.go_silent()
    for payload, patience in ((SHORT, 3 * IMPATIENCE + GRACE), (b"unknown", 3 * IMPATIENCE)):
        visitor = town.fetch(payload, method)
        assert town.seconds_until(lambda asking=visitor: asking.is_over) <= patience + 3 * STEP  # type: ignore[misc]
        assert visitor.answer.status == 503
    assert town.seconds_until(lambda: not any(line.open_connections for line in town.lines("abc"))) <= 2 + STEP


# Coming back


def test_a_stopped_member_is_asked_again_when_it_gives_a_sign_of_life(town: Town) -> None:
    """F42: stopped for a minute; fetches go elsewhere at once; the probe finds it within its rest, and reads come back."""
    town.stored(SHORT)
    line = town.members["a"].line
    line.go_silent()
    town.answer_to(town.fetch(SHORT))
    passed = line.to_api.passed
    for _ in range(6):
        town.pass_time(10)
        assert town.fetch(SHORT).answer.body == SHORT
    assert line.to_api.passed == passed
    line.heal()
    assert town.seconds_until(lambda: not town.api.cluster.is_resting(town.members["a"].server)) <= 60
    assert town.fetch(SHORT).answer.body == SHORT
    assert line.to_api.passed > passed + len(SHORT)
    assert town.stored(b"after") == 3


def test_members_that_hang_do_not_keep_one_that_is_back_waiting(build: Builder) -> None:
    """Each is probed by itself, and a probe waits for two seconds: half a minute after its return it is used again."""
    town = build(one="abcdef")
    town.stored(SHORT)
    for line in town.lines("abcde"):
        line.go_silent()
    town.members["f"].line.refuse()
    town.answer_to(town.fetch(SHORT))
    town.pass_time(60)
    town.members["f"].line.heal()
    assert town.seconds_until(lambda: not town.api.cluster.is_resting(town.members["f"].server)) <= LONGEST_REST + 4
    assert town.fetch(SHORT).answer.body == SHORT


def test_what_arrives_late_does_no_harm(town: Town) -> None:
    """F9, F10: packets are held up and come in the end, when nobody waits for them: right answers only, before and after."""
    for number in range(8):
        payload = SHORT + b"%d" % number
        line = town.members["abc"[number % 3]].line
        silent(line, ("there", "back", "both")[number % 3])
        visitor = town.upload(payload)
        town.seconds_until(lambda asking=visitor: asking.is_over)  # type: ignore[misc]
        assert visitor.answer.json["copies"] >= 2
        assert town.fetched(payload) == 200
        line.come_back()
        assert town.fetched(payload) == 200
        assert len(town.entries(payload)) == 1
        town.pass_time(3)


def test_a_line_that_comes_and_goes_never_gives_wrong_bytes(build: Builder) -> None:
    """F10: two of three up for a second, down for a second, for two minutes: each answer is whole and right, or an error."""
    town = build()
    town.stored(SHORT)
    statuses = []
    for second in range(120):
        for line in town.lines("bc"):
            line.go_silent() if second % 2 else line.come_back()
        payload = b"%d" % second
        uploading, fetching = town.upload(payload), town.fetch(SHORT)
        town.pass_time(1)
        if uploading.is_over and uploading.answer.status == 200:
            assert len(town.holders(payload)) >= uploading.answer.json["copies"] >= 2
            statuses.append(200)
        if fetching.is_over:
            assert fetching.answer.body == SHORT
    assert len(statuses) >= 60
    for line in town.lines("bc"):
        line.come_back()
    town.pass_time(60)
    outcome = town.api.replicate()
    assert outcome.called
    for second in range(120):
        payload = b"%d" % second
        assert town.holders(payload) in ("", "abc")
        assert len(town.entries(payload)) <= 1


@pytest.mark.parametrize("others", ["", "b", "bc"])
def test_a_short_object_over_a_slow_line_is_no_silence(town: Town, others: str) -> None:
    """F10: at 100 KB/s the whole of it takes longer than any patience; while it comes, nobody gives up, or asks another.

    The more so when there is nobody left to ask.
    """
    town.stored(LONG[:4_000_000])
    for line in town.lines(others):
        line.refuse()
        town.api.cluster.failed(town.members["b"].server)
    slow = town.members["a"].line
    slow.to_api.hold()
    visitor = town.fetch(LONG[:4_000_000])
    for _ in range(41):
        assert not visitor.is_over
        slow.to_api.let(100_000)
        town.pass_time(1)
    assert visitor.answer.body == LONG[:4_000_000]
    assert not town.api.cluster.is_resting(town.members["a"].server)
    slow.to_api.release()


def test_a_trickle_is_as_good_as_silence(town: Town) -> None:
    """B10: a byte a second; the next member is asked after two."""
    town.stored(SHORT)
    slow = town.members["a"].line
    slow.to_api.hold()
    visitor = town.fetch(SHORT)
    slow.to_api.let(1000)
    for _ in range(2):
        slow.to_api.let(1)
        town.pass_time(1)
    assert visitor.answer.body == SHORT


def test_a_slow_line_is_no_silent_one(town: Town) -> None:
    """F10: a piece every few seconds keeps a long answer alive: only silence ends it."""
    town.stored(LONG)
    line = town.members["a"].line
    for number in range(4):
        line.to_api.break_after(PIECE * (number + 1), lambda end: line.to_api.hold())
        visitor = town.fetch(LONG)
        town.pass_time(SILENCE - 10)
        assert not visitor.is_over
        line.to_api.release()
        assert town.answer_to(visitor).body == LONG
