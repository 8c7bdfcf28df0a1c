"""A pass of the scrub: where it stands and what it has found, as it is noted in the database so that a restart goes on."""

from __future__ import annotations

import enum
import json
from typing import Any

from attrs import asdict, define, evolve, field

from sos.decisions.buckets import BUCKETS
from sos.store.tree_walk import DIRECTORIES
from sos.words.interfaces import Findings, ScrubStanding

FIRST_ROW = -(1 << 63)
"""A number below that of any row."""


class Phase(enum.IntEnum):
    """What a pass looks at, in this order: each needs what the one before it has put right."""

    INDEXES = 0
    ROWS = 1
    TREE = 2
    BOOKS = 3


_BEGINS_AT = {Phase.INDEXES: 0, Phase.ROWS: FIRST_ROW, Phase.TREE: 0, Phase.BOOKS: 0}
_SHARES = {Phase.INDEXES: (0.0, 0.0), Phase.ROWS: (0.0, 0.9), Phase.TREE: (0.9, 0.97), Phase.BOOKS: (0.97, 1.0)}
"""Where the share that is done begins and ends with each phase: rows come with all bytes."""


@define
class ScrubPass:
    """The pass under way or to come, and the one that ended last. It is changed in the reactor's thread alone."""

    passes: int = 0
    ended: float | None = None
    """The unix time at which the last pass ended, None before the first."""
    found: Findings = field(factory=Findings)
    phase: Phase = Phase.INDEXES
    at: int = 0
    """The number of the last row, or of the next directory or bucket."""
    until: int = 0
    """The number of the last row when it began: what comes later was hashed as it came, and a pass must end."""
    is_asked: bool = False
    checked: int = 0
    found_so_far: Findings = field(factory=Findings)

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun."""
        return self.phase is not Phase.INDEXES

    def begin_anew(self) -> None:
        """Go back to the beginning."""
        self.phase, self.at, self.checked, self.found_so_far = Phase.INDEXES, 0, 0, Findings()

    def enter(self, phase: Phase) -> None:
        """Go on with the next phase."""
        self.phase, self.at = phase, _BEGINS_AT[phase]

    def end(self, now: float) -> None:
        """Note that all was looked at."""
        self.passes, self.ended, self.found, self.is_asked = self.passes + 1, now, self.found_so_far, False
        self.begin_anew()

    def count(self, **more: int) -> None:
        """Add to what was found."""
        self.found_so_far = evolve(
            self.found_so_far, **{name: getattr(self.found_so_far, name) + number for name, number in more.items()}
        )

    def standing(self, age: float | None) -> ScrubStanding:
        """Say where it stands."""
        return ScrubStanding(
            passes=self.passes,
            age=age,
            found=self.found,
            share=self._share() if self.is_under_way or self.is_asked else None,
            checked=self.checked,
            found_so_far=self.found_so_far,
        )

    def _share(self) -> float:
        whole = {Phase.ROWS: self.until, Phase.TREE: DIRECTORIES, Phase.BOOKS: BUCKETS}.get(self.phase, 1)
        begin, end = _SHARES[self.phase]
        return begin + (end - begin) * min(1.0, max(0, self.at) / max(1, whole))

    def to_text(self) -> str:
        """Write it down."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: bytes | None) -> ScrubPass:
        """Read what was written; begin anew where that cannot be read, for a pass more does no harm."""
        try:
            return _read(json.loads(text or b"{}"))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()


def _read(shape: dict[str, Any]) -> ScrubPass:
    found, so_far = (Findings(**shape.pop(name, {})) for name in ("found", "found_so_far"))
    return ScrubPass(found=found, found_so_far=so_far, phase=Phase(shape.pop("phase", Phase.INDEXES)), **shape)
