"""Sizes: numbers of bytes as people write them, and the room that a store keeps free."""

from __future__ import annotations

import re
from fractions import Fraction

from attrs import frozen

from sos.words.errors import BadInput

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"([0-9]{1,15})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)\s*%", re.ASCII)


def size_of(text: str) -> int:
    """Read a number of bytes: ``1000``, ``64MiB``, ``64M`` (units are powers of 1024). Raises `BadInput`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadInput("A size is a number of bytes, or one with a unit: 500K, 64MiB, 2G, 1TiB.")
    return int(found[1]) * _UNITS[found[2].lower()]


@frozen
class Reserve:
    """Room that uploads may not use, so that deletes work on a full disk: a share of it, and never less than so much."""

    share: Fraction = Fraction(0)
    least: int = 0

    @classmethod
    def of(cls, text: str) -> Reserve:
        """Read ``2%`` or ``10GiB``. Raises `BadInput`."""
        percent = _PERCENT.fullmatch(text.strip())
        if percent is not None:
            return cls(share=Fraction(percent[1]) / 100)
        try:
            return cls(least=size_of(text))
        except BadInput:
            raise BadInput("A reserve is a size (500M, 10GiB) or a percentage of the disk (2%).") from None

    def of_disk(self, capacity: int) -> int:
        """Give the bytes to keep free on a disk of so many bytes."""
        return max(self.least, int(capacity * self.share))


DEFAULT_RESERVE = Reserve(share=Fraction(1, 100), least=64 * MIB)
"""One percent, at least 64 MiB (design, section 5)."""
