"""A clock of which a test runs one turn at a time."""

from __future__ import annotations

from twisted.internet.task import Clock


class TurnClock(Clock):
    """What is called in a turn has to wait for the next one, even if it waits for no time; `Clock` would run it at once."""

    def __init__(self, look: float = 0.0) -> None:
        """Have each look at the clock take so many seconds."""
        super().__init__()
        self._look = look

    def seconds(self) -> float:
        """Give the time, and let some go by."""
        self.rightNow += self._look
        return self.rightNow

    def turn(self) -> list[float]:
        """Run what waits, when its time has come; give the seconds that it had been waiting for."""
        waiting, self.calls = self.calls, []
        waits = [call.getTime() - self.rightNow for call in waiting]
        self.rightNow = max([self.rightNow, *(call.getTime() for call in waiting)])
        for call in waiting:
            call.called = 1
            call.func(*call.args, **call.kw)
        return waits
