"""Rounds that members have completed: who has missed one may lack what its peers hold, and is not read from until the next.

If that next round did not meet all other members of the group, it has told the member what those hold that it met, and no
more. The member may have been put back from an old copy, or be new and empty: then what it had acknowledged together with
one that was away is there alone. Such a member is **partial**: what it has is given to readers, but that it lacks something
proves nothing (design, section 2: 404 is true), until a round has met all.

What is known of the members was heard at different times. So a number that one member has reached says nothing of what was
heard of the others before: each is judged by its own next answer. Otherwise every round that somebody else runs would make
all members but the first to be heard look as if they had missed it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sos.decisions.topology import Group, Server


class Rounds:
    """Remembers the numbers that members were heard to have, and who was behind a peer when it was heard."""

    def __init__(self) -> None:
        self._numbers: dict[Server, int] = {}
        self._newest: dict[str, int] = {}
        self._behind: dict[Server, None] = {}  # in their order, so that a run can be had again
        self._partial: dict[Server, None] = {}

    @property
    def behind(self) -> Sequence[Server]:
        """Those that were behind when they were last heard: they are worth another question."""
        return list(self._behind)

    @property
    def partial(self) -> Sequence[Server]:
        """Those that were partial when they were last heard."""
        return list(self._partial)

    def heard(self, server: Server, group: str, number: int, is_partial: bool = False) -> None:
        """Note the number of a member of a group and whether it is partial, and judge that member by it."""
        self._judge(server, group, number)
        if is_partial:
            self._partial[server] = None
        else:
            self._partial.pop(server, None)

    def _judge(self, server: Server, group: str, number: int) -> None:
        self._numbers[server] = number
        newest = self._newest[group] = max(number, self._newest.get(group, 0))
        if number < newest:
            self._behind[server] = None
        else:
            self._behind.pop(server, None)

    def compare(self, group: Group) -> None:
        """Judge all members of a group, who were heard at about one time."""
        for server in group.members:
            number = self._numbers.get(server)
            if number is not None:
                self._judge(server, group.name, number)

    def readable(self, group: Group, is_well: Callable[[Server], bool]) -> list[Server]:
        """Give the members that may be read from: none that is behind, unless nobody who is well is ahead of it.

        So a site that was all off starts at once.
        """
        if not self._behind:
            return list(group.members)
        ahead = max((self._numbers.get(server, 0) for server in group.members if is_well(server)), default=0)
        return [server for server in group.members if server not in self._behind or self._numbers[server] >= ahead]


def is_partial_after(was_partial: bool, number: int, newest: int, has_met_all: bool) -> bool:
    """Say whether a member is partial after a round that it has completed.

    Before it, the member had completed the round of this `number`, and others of the group, as far as they were in reach,
    the `newest`; `has_met_all` says whether all members of the group were.
    """
    return not has_met_all and (was_partial or number < newest)
