"""Sizes: numbers of bytes as people write them."""

from __future__ import annotations

import re

from sos.words.errors import BadInput

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"([0-9]{1,15})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)


def size_of(text: str) -> int:
    """Read a number of bytes: ``1000``, ``64MiB``, ``64M`` (units are powers of 1024). Raises `BadInput`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadInput("A size is a number of bytes, or one with a unit: 500K, 64MiB, 2G, 1TiB.")
    return int(found[1]) * _UNITS[found[2].lower()]
