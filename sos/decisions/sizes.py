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


def size_text(size: int) -> str:
    """Write a number of bytes for people, with three digits or so: ``999 B``, ``1.5 MiB``."""
    if size < KIB:
        return f"{size} B"
    name, unit = next(
        ((name, unit) for name, unit in (("KiB", KIB), ("MiB", MIB), ("GiB", GIB)) if size < 999.5 * unit), ("TiB", TIB)
    )
    amount = size / unit
    return f"{amount:.3g} {name}" if amount < 999.5 else f"{amount:.0f} {name}"


def size_of(text: str) -> int:
    """Read a number of bytes: ``1000``, ``64MiB``, ``64M`` (units are powers of 1024). Raises `BadInput`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadInput("A size is a number of bytes, or one with a unit: 500K, 64MiB, 2G, 1TiB.")
    return int(found[1]) * _UNITS[found[2].lower()]
