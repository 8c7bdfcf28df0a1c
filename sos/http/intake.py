"""How much a connection reads at a time: 64 KiB as all of Twisted, more of a long body that is taken as it comes."""

from __future__ import annotations

from typing import Any

from sos.http.bodies import PIECE

WIDE = 512 * 1024
"""Bytes that are read at a time of a long body. With half of this it took a fifth less work than with 64 KiB; with all of it
an api has another twelfth less."""

PROVEN = 4 * PIECE
"""Bytes that came without a pause before that: whoever pauses holds what was read last, for as long as he likes."""


class Intake:
    """The size of the reads of one transport."""

    __slots__ = ("_moved", "_transport")

    def __init__(self, transport: Any) -> None:
        """Begin as Twisted does. A transport that has its bytes from another one, as TLS does, stays so."""
        self._transport = transport if hasattr(transport, "bufferSize") else None
        self._moved = 0

    def moved(self, count: int) -> bool:
        """Note that bytes came, and were taken; say whether so many did that it is a long body."""
        self._moved += count
        if self._moved < PROVEN:
            return False
        if self._transport is not None:
            self._transport.bufferSize = WIDE
        return True

    def narrow(self) -> None:
        """Begin anew: at the end of a body, and where its consumer pauses."""
        if self._moved >= PROVEN and self._transport is not None:
            self._transport.bufferSize = PIECE
        self._moved = 0
