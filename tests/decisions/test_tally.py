"""Counting copies, and telling a true 404."""

from __future__ import annotations

import pytest

from sos.decisions.tally import Copied, CopyTally, Refused, may_hide, usual_min_copies
from sos.decisions.topology import Group, Server
from sos.words.errors import ServerUnavailable, StoreFull

A, B, C = (Server(f"http://{name}:1") for name in "abc")


@pytest.mark.parametrize(("members", "copies"), [(1, 1), (2, 1), (3, 2), (5, 2)])
def test_two_copies_are_usual_where_one_of_three_may_be_lost(members: int, copies: int) -> None:
    """In smaller groups an upload must not fail because one host is down."""
    servers = tuple(Server(f"http://n{number}:1") for number in range(members))
    assert usual_min_copies(Group("g", servers)) == copies


def test_copies_are_counted_by_store_and_old_servers_by_url() -> None:
    """A store that is configured twice is one copy."""
    tally = CopyTally(2, (Copied(A, "x"), Copied(B, "x"), Copied(C, None), Refused(A, StoreFull("full"))))
    assert tally.copies == 2
    assert tally.is_met


def test_full_is_only_what_is_full_everywhere() -> None:
    """A member out of reach may have room."""
    full, down = Refused(A, StoreFull("full")), Refused(B, ServerUnavailable(B.url, "refused"))
    assert CopyTally(1, (full,)).is_full
    assert not CopyTally(1, (full, down)).is_full
    assert not CopyTally(1, ()).is_full


@pytest.mark.parametrize(
    ("needed", "members", "denials", "hides"),
    [
        (1, 2, 1, True),
        (1, 2, 2, False),
        (2, 3, 1, True),
        (2, 3, 2, False),
        (2, 5, 3, True),
        (2, 5, 4, False),
        (1, 1, 0, True),
    ],
)
def test_an_acknowledged_copy_hides_while_too_few_have_denied_it(
    needed: int, members: int, denials: int, hides: bool
) -> None:
    """Of 3 members with 2 copies each, two that say no prove it: they cannot both be without it."""
    assert may_hide(needed, members, denials) is hides
