"""The pace of the scrub: how many bytes a second it reads, so that whoever uses the store hardly notices."""

from __future__ import annotations

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

LONGEST_PASS = 29 * 86_400.0
"""Seconds that a pass may take unless told otherwise: with `BREAK` a byte is read again after 30 days at most."""

BREAK = 86_400.0
"""Seconds between the end of a pass and the next: a small store need not be read all day long."""

SLOWEST = 2e6
"""Bytes a second at least: what a disk gives without noticing, and a terabyte in six days."""

ASKED_FOR = 100e6
"""Bytes a second of a pass that somebody waits for, unless the usual ones are more."""

_SHORTEST_PAUSE = 0.01
"""Seconds: shorter pauses are saved up."""


@frozen
class Pace:
    """Waits between reads. `rate` is bytes a second, 0 for no passes but those asked for, None for what is usual."""

    clock: IReactorTime
    rate: float | None = None

    def bytes_a_second(self, stored: int, is_asked: bool) -> float:
        """Give the rate for a store that holds so many bytes."""
        rate = max(SLOWEST, stored / LONGEST_PASS) if self.rate is None else self.rate
        return max(rate, ASKED_FOR) if is_asked else rate


class Pauses:
    """The pauses of one run."""

    def __init__(self, pace: Pace) -> None:
        """Keep a pace."""
        self._pace = pace
        self._due = 0.0

    async def after(self, amount: int, stored: int, is_asked: bool) -> None:
        """Wait as long as reading so many bytes should have taken."""
        self._due += amount / self._pace.bytes_a_second(stored, is_asked)
        if self._due >= _SHORTEST_PAUSE:
            due, self._due = self._due, 0.0
            await deferLater(self._pace.clock, due)
