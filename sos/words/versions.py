"""Versions: readings of a hybrid logical clock (Kulkarni and others, 2014), 47 bits of milliseconds and 16 of counter."""

from __future__ import annotations

from collections.abc import Callable

from sos.words.blob import Version
from sos.words.errors import BadInput

COUNTER_BITS = 16
"""65,536 versions a millisecond; 47 bits of milliseconds last until the year 6429."""

LARGEST = Version(2**63 - 1)
"""SQLite's integers end here, and so do versions."""

FURTHEST_AHEAD = 100 * 365 * 86_400 * 1000 << COUNTER_BITS
"""A version is refused only if it lies a hundred years ahead (design, section 6)."""


class HybridClock:
    """Makes versions that only grow: past the wall clock's time, and past every version that was seen."""

    def __init__(self, wall: Callable[[], float], last: Version = Version(0)) -> None:
        """Begin behind `last`; `wall` gives unix seconds."""
        self._wall = wall
        self._last = last

    @property
    def last(self) -> Version:
        """The newest version made or seen."""
        return self._last

    def now(self) -> float:
        """Give the wall clock's time, in unix seconds: for expiry and for ages, never to order anything."""
        return self._wall()

    def tick(self) -> Version:
        """Make a version that is newer than all before it."""
        self._last = Version(max(self._last + 1, self._reading()))
        return self._last

    def observe(self, version: Version) -> None:
        """Move past a version that somebody else made. Raises `BadInput` for one that no clock can have made."""
        self.check(version)
        self._last = max(self._last, version)

    def check(self, version: Version) -> None:
        """Raise `BadInput` for a version that lies a hundred years ahead, or outside 63 bits."""
        if not 0 <= version <= min(LARGEST, self._reading() + FURTHEST_AHEAD):
            raise BadInput("The version lies more than a hundred years ahead of this server's clock.")

    def _reading(self) -> int:
        return int(self._wall() * 1000) << COUNTER_BITS


def seconds_of(version: Version) -> int:
    """Give the unix time, in whole seconds, that the maker of a version had: for people, never for a decision."""
    return (version >> COUNTER_BITS) // 1000
