"""How much of each long proof is run by ``make torture``.

The nightly column of the list's gates is ten times this. ``TORTURE=10 make torture`` runs that, ``TORTURE=0.1`` a look.
"""

from __future__ import annotations

import os

SCALE = float(os.environ.get("TORTURE", "1"))


def times(count: int) -> int:
    """Give how often to run what is run so often in an hour's torture."""
    return max(1, round(count * SCALE))


ORDERED_UPLOADS = 2000
CRASH_CYCLES = 200
POWER_CUTS = 30
CRASH_STATES = 5000
NEMESIS_RUNS = 2
NEMESIS_SECONDS = 120 if SCALE >= 1 else 40
"""Of each run under mixed faults; the aftermath comes on top of it."""
