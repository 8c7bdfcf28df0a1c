"""The tally of copies: what the members of a group answered to one write, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from sos.decisions.topology import Group, Server
from sos.words.errors import BlobConflict, SOSError, StoreFull


def usual_min_copies(group: Group) -> int:
    """Give the copies that are durable before a write is acknowledged: two where one of three may be lost, else one."""
    return 2 if len(group.members) >= 3 else 1


@frozen
class Copied:
    """A member took the write durably; `store` is the UUID of its store, None for a server of the old contract."""

    server: Server
    store: str | None = None

    @property
    def where(self) -> str:
        """What tells copies apart: one store under two URLs is one copy, and an old server is known by its URL alone."""
        return self.store or self.server.url


@frozen
class Refused:
    """A member did not take the write, or did not answer in time."""

    server: Server
    error: SOSError


Outcome = Copied | Refused
"""What became of a write at one member."""


@frozen(eq=False)
class CopyTally:
    """The outcomes of one write so far, beside the number of copies that it needs.

    It may grow while slow members still answer: what it says is true when it is asked.
    """

    needed: int
    outcomes: Sequence[Outcome] = ()
    asked: int = 0
    """The number of members that are written to."""

    @property
    def is_complete(self) -> bool:
        """Whether all members have answered, or were given up."""
        return len(self.outcomes) >= self.asked

    @property
    def copies(self) -> int:
        """The number of different stores that hold it durably."""
        return len({outcome.where for outcome in self.outcomes if isinstance(outcome, Copied)})

    @property
    def is_met(self) -> bool:
        """Whether there are enough copies to promise anything."""
        return self.copies >= self.needed

    @property
    def errors(self) -> list[SOSError]:
        """Why members did not take it."""
        return [outcome.error for outcome in self.outcomes if isinstance(outcome, Refused)]

    @property
    def other_bytes(self) -> BlobConflict | None:
        """The refusal of a member that holds other bytes under this ID, if there is one."""
        return next((error for error in self._conflicts if error.reason == BlobConflict.OTHER_BYTES), None)

    @property
    def newest_held(self) -> int | None:
        """The newest version for which a member refused this one as older, None if none did."""
        return max((error.version for error in self._conflicts if error.reason == BlobConflict.OLDER), default=None)

    @property
    def is_full(self) -> bool:
        """Whether nothing but a lack of room stood in the way."""
        return bool(self.errors) and all(isinstance(error, StoreFull) for error in self.errors)

    @property
    def _conflicts(self) -> list[BlobConflict]:
        refusals = [outcome for outcome in self.outcomes if isinstance(outcome, Refused)]
        return [refusal.error for refusal in refusals if isinstance(refusal.error, BlobConflict)] if refusals else []


def may_hide(needed: int, members: int, denials: int) -> bool:
    """Say whether an acknowledged copy may be in a group although so many of its members have said no.

    What was acknowledged is on `needed` members at least, so a copy can hide while that many have not denied it
    (design, section 2: 404 is true).
    """
    return members - denials >= needed
