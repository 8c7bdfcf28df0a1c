"""The health of the members: which of them are left alone for a while, and for how long.

A member that fails rests: it is asked last, and probed in the background. The time to the next probe doubles with each
failure and is jittered, so that many apis do not come back to a starting server all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import define

from sos.decisions.topology import Server

FIRST_REST = 1.0
"""Seconds that a member rests after its first failure: about as long as a restart takes."""

LONGEST_REST = 30.0
"""Seconds between the probes of a member that is gone for good: it is noticed within a minute when it is back."""

MOST_DOUBLINGS = 16
"""Far beyond the longest rest, and far below what a float can hold: a member may be gone for months."""


@define
class _Rest:
    failures: int
    until: float


class Health:
    """Remembers who failed. All times are seconds on one monotonic clock."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """Jitter by `chance`, which gives numbers from 0 to 1."""
        self._chance = chance
        self._rests: dict[Server, _Rest] = {}

    def is_resting(self, server: Server) -> bool:
        """Whether a member is to be asked last: from its failure on, until it has answered."""
        return server in self._rests

    def failed(self, server: Server, now: float) -> None:
        """Note a failure. Further ones within the rest say nothing new: they are requests that were under way."""
        rest = self._rests.setdefault(server, _Rest(0, now))
        if now >= rest.until:
            rest.failures += 1
            pause = min(FIRST_REST * 2 ** min(rest.failures - 1, MOST_DOUBLINGS), LONGEST_REST)
            rest.until = now + pause * (0.5 + self._chance())

    def answered(self, server: Server) -> None:
        """Note that a member has answered: it is well."""
        self._rests.pop(server, None)

    def due(self, now: float) -> Sequence[Server]:
        """Give the members whose rest has ended: they are to be probed."""
        return [server for server, rest in self._rests.items() if now >= rest.until]

    def rested_last(self, servers: Iterable[Server]) -> list[Server]:
        """Put members that rest behind the others, in the same order otherwise."""
        if not self._rests:
            return list(servers)
        return sorted(servers, key=self.is_resting)
