"""Who has missed a round."""

from __future__ import annotations

import itertools

from sos.decisions.rounds import Rounds, is_partial_after
from sos.decisions.topology import Group, Server

A, B, C = Server("http://a:1"), Server("http://b:1"), Server("http://c:1")
GROUP = Group("one", (A, B, C))


def well(server: Server) -> bool:
    """Find everybody well."""
    return True


def heard(*numbers: tuple[Server, int]) -> Rounds:
    """Hear numbers one after the other."""
    rounds = Rounds()
    for server, number in numbers:
        rounds.heard(server, GROUP.name, number)
    return rounds


def test_members_of_whom_nothing_or_the_same_is_known_are_read_from() -> None:
    """Servers of the old contract have no rounds."""
    assert heard().readable(GROUP, well) == [A, B, C]
    assert heard((A, 3), (B, 3)).readable(GROUP, well) == [A, B, C]


def test_a_member_that_is_heard_to_be_behind_is_not_read_from_until_it_has_caught_up() -> None:
    """It was away, is new and empty, or is an old copy of itself."""
    rounds = heard((A, 3), (B, 3), (C, 2))
    assert rounds.readable(GROUP, well) == [A, B]
    assert rounds.behind == [C]
    rounds.heard(C, GROUP.name, 3)
    assert rounds.readable(GROUP, well) == [A, B, C]
    assert rounds.behind == []


def test_those_that_are_behind_are_named_in_the_order_in_which_they_were_heard() -> None:
    """A set's order differs between processes: no run of a simulation could be had again elsewhere."""
    servers = [Server(f"http://m{number}:1") for number in (3, 1, 4, 5, 9, 2, 6)]
    assert heard((A, 3), *((server, 2) for server in servers)).behind == servers


def test_a_round_that_one_member_reached_says_nothing_of_what_was_heard_before() -> None:
    """Another api ran it: the others have reached it as well, and say so when they are asked."""
    rounds = heard((A, 3), (B, 3), (C, 3), (A, 4))
    assert rounds.readable(GROUP, well) == [A, B, C]
    rounds.heard(B, GROUP.name, 4)
    rounds.heard(C, GROUP.name, 3)
    assert rounds.readable(GROUP, well) == [A, B]


def test_members_heard_at_one_time_can_be_compared() -> None:
    """In whatever order their answers came."""
    rounds = heard((C, 2), (A, 3), (B, 3))
    assert rounds.readable(GROUP, well) == [A, B, C]
    rounds.compare(GROUP)
    assert rounds.readable(GROUP, well) == [A, B]


def test_where_nobody_who_is_well_is_ahead_everybody_serves() -> None:
    """A site that was all off, or whose best member is gone, starts at once."""
    rounds = heard((A, 5), (B, 4), (C, 3))
    assert rounds.readable(GROUP, well) == [A]
    assert rounds.readable(GROUP, lambda server: server != A) == [A, B]
    assert rounds.readable(GROUP, lambda server: server == C) == [A, B, C]


def test_groups_count_their_rounds_by_themselves() -> None:
    """A member of one is not behind a member of another."""
    rounds = heard((A, 5))
    rounds.heard(B, "two", 1)
    assert rounds.behind == []


def test_a_member_is_partial_as_long_as_it_says_so() -> None:
    """It is read from, for it has what those have that it met."""
    rounds = heard((A, 3), (B, 3))
    rounds.heard(C, GROUP.name, 3, is_partial=True)
    rounds.compare(GROUP)
    assert (rounds.partial, rounds.behind) == ([C], [])
    assert rounds.readable(GROUP, well) == [A, B, C]
    rounds.heard(C, GROUP.name, 4)
    assert rounds.partial == []


def test_only_who_missed_a_round_has_to_meet_all() -> None:
    """Whoever completed the last one lacks nothing that it had promised, whoever is away now."""
    for was_partial, is_behind, has_met_all in itertools.product((False, True), repeat=3):
        is_partial = is_partial_after(was_partial, 4 if is_behind else 5, 5, has_met_all)
        assert is_partial is ((was_partial or is_behind) and not has_met_all)
