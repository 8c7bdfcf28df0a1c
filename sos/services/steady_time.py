"""Steady time: what a reactor waits by. Twisted's reactors go by the wall clock, and a wall clock may be set.

Set back by a day, it would stop every round and every deadline for a day; set ahead, it would end all requests at once. So
ours go by the clock that only counts seconds (torture F14). The wall clock is handed down where a time of day is meant.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.python import runtime


def go_by_steady_time(reactor: Any) -> None:
    """Let a reactor count seconds, unless it has a clock of its own, or calls already wait by the old one."""
    if reactor.seconds is runtime.seconds and not reactor.getDelayedCalls():
        reactor.seconds = time.monotonic
