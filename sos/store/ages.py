"""Ages: how long a store waits before it tidies up, by its own wall clock and never by a version."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

DEFAULT_TOMBSTONE_AGE = 7 * 86_400.0
"""Seconds that a tombstone is kept at least: a member may be away for so long and still learn of a delete by the digests."""

DEFAULT_EXPIRY_GRACE = 86_400.0
"""Seconds that an expired blob keeps its bytes: a clock that is a day off hides, and does not destroy."""

DEFAULT_SWEEP_AGE = 7 * 86_400.0
"""Seconds after which a chunk that no manifest names may go: an upload, which may last a day, has written its manifest."""


@frozen
class Ages:
    """The store's wall clock, and what it is asked for. All are unix seconds.

    What may go for good is told by the time that has been counted since the store was opened, where a clock that only
    counts is given as `steady`: a wall clock that is set ahead in between makes nothing old (torture F14).
    """

    wall: Callable[[], float]
    tombstone_age: float = DEFAULT_TOMBSTONE_AGE
    expiry_grace: float = DEFAULT_EXPIRY_GRACE
    sweep_age: float = DEFAULT_SWEEP_AGE
    steady: Callable[[], float] | None = None
    _ahead: float = field(init=False, default=0.0)
    """The seconds that the wall clock was ahead of the one that counts, when the store was opened."""

    _opened_at: float = field(init=False, default=0.0)
    """When the store was opened, by the clock that only counts, if there is one."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_opened_at", self._elapsing())
        if self.steady is not None:
            object.__setattr__(self, "_ahead", self.wall() - self.steady())

    @property
    def now(self) -> int:
        """The time that is noted with an entry when it is taken."""
        return int(self.wall())

    @property
    def uptime(self) -> int:
        """The whole milliseconds for which the store has been open."""
        return int(1000 * max(0.0, self._elapsing() - self._opened_at))

    @property
    def old_tombstones(self) -> float:
        """Tombstones taken before this time are old."""
        return self._counted - self.tombstone_age

    @property
    def old_chunks(self) -> float:
        """Chunks taken before this time may be swept."""
        return self._counted - self.sweep_age

    @property
    def past_grace(self) -> float:
        """Blobs that expired at this time or before may go."""
        return self._counted - self.expiry_grace

    def since(self, moment: float | None) -> float | None:
        """Give the seconds since a moment, none below 0 where the clock was set back; None where there was none yet."""
        return None if moment is None else max(0.0, self.wall() - moment)

    def _elapsing(self) -> float:
        return self.wall() if self.steady is None else self.steady()

    @property
    def _counted(self) -> float:
        return self.wall() if self.steady is None else min(self.wall(), self.steady() + self._ahead)
