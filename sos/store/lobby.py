"""The lobby: how many bytes of all bodies wait to be written to files, and how many of one may.

To hand bytes to a thread and to wait for it costs as much as to write some hundred KiB, so it is done with many at once.
But many bodies may arrive together, and some so slowly that what they have sent would wait for long. So a body may let
much wait only as long as all together let little wait; else it is written as soon as it is more than a small blob.
"""

from __future__ import annotations

from sos.decisions.sizes import KIB, MIB

SMALL = 64 * KIB
"""Bytes of the largest blob that lives in the database, and of what a stage keeps in memory (the design, section 5)."""

BATCH = 512 * KIB
"""Bytes that are handed to a thread at a time while the lobby is empty enough."""

MOST_WAITING = 1 * MIB
"""Bytes of one body that may wait while a thread writes its last ones; then its producer is paused."""

MOST_WAITING_IN_CROWD = 512 * KIB
"""The same where the lobby is full."""

CROWD = 16 * MIB
"""Bytes of all bodies that make the lobby full."""


class Lobby:
    """Counts the bytes of all bodies of a store that are not yet written."""

    def __init__(self) -> None:
        """Be empty."""
        self.waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether so many wait that nobody should wait for more of his own."""
        return self.waiting >= CROWD

    @property
    def batch(self) -> int:
        """The bytes of one body that are worth a thread."""
        return SMALL + 1 if self.is_full else BATCH

    @property
    def most_waiting(self) -> int:
        """The bytes of one body that may wait for its thread."""
        return MOST_WAITING_IN_CROWD if self.is_full else MOST_WAITING

    def enter(self, count: int) -> None:
        """Count bytes that came."""
        self.waiting += count

    def leave(self, count: int) -> None:
        """Count bytes that were written, or are not wanted any more."""
        self.waiting -= count
