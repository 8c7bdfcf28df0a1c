"""Restarts: how long the place of a worker that ended stays empty."""

from __future__ import annotations

from attrs import define

STEADY = 10.0
"""Seconds after which a worker is taken to be well: what ends it then is no matter of its start."""

FIRST_PAUSE = 0.25
"""Seconds before the second start of a worker that ended at once: a new process takes about as long by itself."""

LONGEST_PAUSE = 30.0
"""Seconds between the starts of a worker that never comes up: what was put right is noticed within a minute."""

MOST_DOUBLINGS = 16
"""More than lead to the longest pause; no float holds what thousands would lead to."""


@define
class Restarts:
    """The restarts of one worker: at once for one that ran well, ever later for one that ends as soon as it is there."""

    early_ends: int = 0

    def pause_after(self, lived: float, chance: float) -> float:
        """Give the seconds to wait after an end; `chance`, from 0 to 1, keeps workers with one illness apart."""
        self.early_ends = 0 if lived >= STEADY else self.early_ends + 1
        if not self.early_ends:
            return 0.0
        longest: float = min(FIRST_PAUSE * 2 ** min(self.early_ends - 1, MOST_DOUBLINGS), LONGEST_PAUSE)
        return longest * (0.5 + chance / 2)
