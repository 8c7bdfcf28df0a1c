"""Gathering: the kernel keeps bytes of a long body back until they are worth a turn of the reactor.

A member that sends from its page cache is as fast as we are: each few dozen KiB would wake us, and be read, passed on and
waited for by themselves. With `socket(7)`'s ``SO_RCVLOWAT`` an api took a sixth less processor time for a large object, and
gave it out a quarter to a third faster.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IReactorTime

from sos.http.alarm import Alarm

WORTH_A_TURN = 256 * 1024
"""Bytes that are gathered. With four times as many the sender had to wait for us, and half of the gain was lost."""

LONGEST = 0.1
"""Seconds for which bytes are kept back. From whoever is slower than that, which is 2.5 MiB/s, they are taken as they come:
how far a slow answer has got is looked at every two seconds."""


class Gathering:
    """What the socket of one connection gathers before it is read."""

    __slots__ = ("_alarm", "_is_slow", "_least", "_socket")

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        """Gather nothing yet; a transport that has its bytes from another one, as TLS does, never will."""
        self._socket: socket.socket | None = getattr(transport, "socket", None) if hasattr(transport, "bufferSize") else None
        self._alarm = Alarm(clock)
        self._least = 1
        self._is_slow = False

    def until(self, left: int) -> None:
        """Gather some of the `left` bytes that are still to come, if there are as many."""
        if left and not self._is_slow:
            self._set(min(left, WORTH_A_TURN))
            self._alarm.set(LONGEST, self._take_what_there_is)

    def end(self) -> None:
        """Gather nothing: the body is here, or whoever takes it pauses. What comes next may be fast again."""
        self._is_slow = False
        self._alarm.clear()
        self._set(1)

    def forget(self) -> None:
        """Let go of the socket: the connection is gone, or about to be."""
        self._socket = None
        self._alarm.stop()

    def _take_what_there_is(self) -> None:
        self._is_slow = True
        self._set(1)

    def _set(self, least: int) -> None:
        if self._socket is not None and least != self._least:
            self._least = least
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
