"""Whether a client takes what is written to it."""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import Any

_LOOKS = 4
"""How often the time without progress is looked at: it is over by at most a quarter."""


class Progress:
    """Compares what has not reached the client now with what had not before.

    The transport alone does not say it: the kernel takes megabytes and asks for more only when a third of them has left,
    which for a slow and honest client is minutes. So the bytes in the kernel's queue count, where it tells them.
    """

    __slots__ = ("_before", "_looks", "_transport", "step")

    def __init__(self, transport: Any, seconds: float) -> None:
        """Begin to watch `transport`, to be asked every `step` seconds."""
        self.step = seconds / _LOOKS
        self._transport = transport
        self._looks = 0
        self._before = _unsent(transport)

    def is_stuck(self) -> bool:
        """Whether nothing has moved for the whole time."""
        now = _unsent(self._transport)
        if now != self._before:
            self._before = now
            self._looks = 0
            return False
        self._looks += 1
        return self._looks >= _LOOKS


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
