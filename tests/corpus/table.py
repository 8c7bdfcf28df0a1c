"""The whole table."""

from __future__ import annotations

from collections.abc import Sequence

from tests.corpus.bodies import CUTS, EXACT, REFUSED_BODIES
from tests.corpus.heads import REFUSED_HEADS
from tests.corpus.metadata import DESCRIBED
from tests.corpus.partial import CONDITIONS, RANGES
from tests.corpus.paths import ROUTED
from tests.corpus.rows import Asked, Refused, Row
from tests.corpus.sync import SYNC

REFUSED: Sequence[Refused] = [*REFUSED_HEADS, *REFUSED_BODIES]
ASKED: Sequence[Asked] = [*ROUTED, *DESCRIBED, *RANGES, *SYNC]
ROWS: Sequence[Row] = [*REFUSED, *EXACT, *CUTS, *ASKED]
"""All but the pairs of conditions, which are many and alike."""

__all__ = ["ASKED", "CONDITIONS", "REFUSED", "ROWS"]

assert len({row.name for row in [*ROWS, *CONDITIONS]}) == len(ROWS) + len(CONDITIONS), "every row has a name of its own"
