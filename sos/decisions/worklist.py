"""A worklist: places that are to be looked into, as they become known."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from attrs import define

Place = TypeVar("Place", bound=Hashable)


@define
class _Look:
    is_wanted: bool
    not_before: float


class Worklist(Generic[Place]):
    """Remembers each place once, gives none again before a pause is over, and holds so many at most.

    So it can be told the same thing by every reader, and of places where looking does not help. All times are seconds on one
    monotonic clock.
    """

    def __init__(self, most: int, pause: float) -> None:
        """Hold `most` places, and let each rest for `pause` seconds once it was taken."""
        self._most = most
        self._pause = pause
        self._looks: dict[Place, _Look] = {}

    def __len__(self) -> int:
        """The places that take up room: those that wait, and those that rest."""
        return len(self._looks)

    def add(self, place: Place, now: float) -> None:
        """Note a place; one that rests is kept until then, and one too many is not noted."""
        look = self._looks.get(place)
        if look is not None:
            look.is_wanted = True
        elif len(self._looks) < self._most:
            self._looks[place] = _Look(True, now)

    def take(self, now: float) -> Sequence[Place]:
        """Give the places that are due, the oldest first, and let them rest; forget those that have rested."""
        taken = []
        for place in [place for place, look in self._looks.items() if now >= look.not_before]:
            if self._looks.pop(place).is_wanted:
                taken.append(place)
                self._looks[place] = _Look(False, now + self._pause)
        return taken
