"""Clocks: which hosts take it for another day than most do.

Nothing is ordered by wall clocks, but ages are measured by them, each host by its own. A host that is a day ahead takes what
is young for old: it hides what has not expired, and would let go of what others still count on. That is a person's to mend,
so it is said (design, section 6); and while it is so, nothing is swept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from statistics import median_low
from typing import TypeVar

Member = TypeVar("Member", bound=Hashable)

DAY = 86_400.0
"""Seconds by which a clock may be off before anybody is alarmed: as long as what has expired keeps its bytes."""


def astray(times: Mapping[Member, float], own: float) -> dict[Member, float]:
    """Name the members whose unix time is more than a day off that of most, with the seconds that they are ahead.

    `own` is the time of whoever asks, and one voice among them. Of two that differ, the one ahead is taken for wrong: it is
    the one that could do harm.
    """
    usual = median_low(sorted([*times.values(), own]))
    return {member: time - usual for member, time in times.items() if abs(time - usual) > DAY}


def complaint_of(member: Hashable, ahead: float) -> str:
    """Say in words that a clock is astray by so many seconds."""
    way = "ahead of" if ahead > 0 else "behind"
    return f"the clock of {member} is {abs(ahead) / 3600:.0f} hours {way} that of most others"
