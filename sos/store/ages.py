"""Ages: how long a store waits before it tidies up, by its own wall clock and never by a version."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

DEFAULT_TOMBSTONE_AGE = 7 * 86_400.0
"""Seconds that a tombstone is kept at least: a member may be away for so long and still learn of a delete by the digests."""

DEFAULT_EXPIRY_GRACE = 86_400.0
"""Seconds that an expired blob keeps its bytes: a clock that is a day off hides, and does not destroy."""


DEFAULT_SWEEP_AGE = 7 * 86_400.0
"""Seconds after which a chunk that no manifest names may go: an upload, which may last a day, has written its manifest."""


@frozen
class Ages:
    """The store's wall clock, and what it is asked for. All are unix seconds."""

    wall: Callable[[], float]
    tombstone_age: float = DEFAULT_TOMBSTONE_AGE
    expiry_grace: float = DEFAULT_EXPIRY_GRACE
    sweep_age: float = DEFAULT_SWEEP_AGE

    @property
    def now(self) -> int:
        """The time that is noted with an entry when it is taken."""
        return int(self.wall())

    @property
    def old_tombstones(self) -> float:
        """Tombstones taken before this time are old."""
        return self.wall() - self.tombstone_age

    @property
    def old_chunks(self) -> float:
        """Chunks taken before this time may be swept."""
        return self.wall() - self.sweep_age

    def since(self, moment: float | None) -> float | None:
        """Give the seconds since a moment, none below 0 where the clock was set back; None where there was none yet."""
        return None if moment is None else max(0.0, self.wall() - moment)

    @property
    def past_grace(self) -> float:
        """Blobs that expired at this time or before may go."""
        return self.wall() - self.expiry_grace
