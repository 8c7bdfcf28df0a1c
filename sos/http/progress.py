"""Whether a client takes what is written to it."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable
from typing import Any

from sos.http.alarm import Alarm

_LOOKS = 4
"""How often the time without progress is looked at: it is over by at most a quarter."""


class Progress:
    """Compares what has not reached the client now with what had not before.

    The transport alone does not say it: the kernel takes megabytes and asks for more only when a third of them has left,
    which for a slow and honest client is minutes. So the bytes in the kernel's queue count, where it tells them.
    """

    __slots__ = ("_alarm", "_before", "_looks", "_step", "_stuck", "_transport")

    def __init__(self, transport: Any, seconds: float, alarm: Alarm, stuck: Callable[[], None]) -> None:
        """Look at `transport` when the alarm goes off; call `stuck` when nothing has moved for so many seconds."""
        self._step = seconds / _LOOKS
        self._transport = transport
        self._alarm = alarm
        self._stuck = stuck
        self._looks = 0
        self._before = (0, 0)

    def watch(self) -> None:
        """Begin to watch. It ends when the alarm is cleared, or set for something else."""
        self._looks = 0
        self._before = _unsent(self._transport)
        self._alarm.set(self._step, self._look)

    def _look(self) -> None:
        now = _unsent(self._transport)
        self._looks = self._looks + 1 if now == self._before else 0
        self._before = now
        if self._looks < _LOOKS:
            self._alarm.set(self._step, self._look)
        else:
            self._stuck()


def _unsent(transport: Any) -> tuple[int, int]:
    """Give what waits in the transport and in the kernel: no count that anybody adds up, but it changes when bytes leave."""
    waiting = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    return waiting, _in_kernel(transport)


def _in_kernel(transport: Any) -> int:
    fileno = getattr(transport, "fileno", None)
    if fileno is None:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except (OSError, TypeError, ValueError):
        return 0
