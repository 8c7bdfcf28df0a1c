"""The hunt: mutants from a seed, until one shows a fault; then that one as small as it gets."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

from attrs import frozen

from tests.fuzz.mutants import mutant, segments

MOST_DRIFT = 20_000_000
"""Bytes that the process may grow by, once it is warm."""

_TRIES = 3000
"""Attempts to make a find smaller."""


class Quarry(Protocol):
    """What is hunted: something that takes the segments of one input, and says what went wrong."""

    def faults(self, pieces: Sequence[bytes]) -> list[str]:
        """Give what is wrong; nothing where all is well."""


@frozen
class Find:
    """An input that shows faults, and where it comes from."""

    seed: str
    number: int
    pieces: Sequence[bytes]
    faults: Sequence[str]

    def __str__(self) -> str:
        """Write it so that it can be read, and used again."""
        shown = "\n".join(f"    {fault[:1000]}" for fault in self.faults)
        return f"SEED={self.seed} mutant {self.number}\n{shown}\n    {list(self.pieces)!r}"


def pieces_of(seed: str, number: int, corpus: Sequence[bytes]) -> list[bytes]:
    """Make the segments of one mutant, the same for the same seed and number."""
    random = Random(f"{seed}:{number}")
    return segments(random, mutant(random, corpus))


def hunt(quarry: Quarry, corpus: Sequence[bytes], seed: str, numbers: Iterator[int]) -> Find | None:
    """Send mutant after mutant; give the first that shows a fault, made small."""
    for number in numbers:
        pieces = pieces_of(seed, number, corpus)
        faults = quarry.faults(pieces)
        if faults:
            smaller = smallest(quarry, pieces)
            return Find(seed, number, smaller, quarry.faults(smaller) or faults)
    return None


def smallest(quarry: Quarry, pieces: Sequence[bytes]) -> list[bytes]:
    """Leave out what can be left out of a find: borders of segments first, then runs of bytes, ever shorter ones."""
    joined = [b"".join(pieces)]
    kept = joined if quarry.faults(joined) else list(pieces)
    left = _TRIES
    size = max(1, sum(map(len, kept)) // 2)
    while size and left > 0:
        found = False
        for shorter in _shorter(kept, size):
            left -= 1
            if quarry.faults(shorter):
                kept, found = shorter, True
                break
            if left <= 0:
                break
        if not found:
            size //= 2
    return kept


def _shorter(pieces: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    for index, piece in enumerate(pieces):
        for at in range(0, len(piece), size):
            rest = piece[:at] + piece[at + size :]
            yield [*pieces[:index], *([rest] if rest else []), *pieces[index + 1 :]]


def until(deadline: float) -> Iterator[int]:
    """Count until a moment of the monotonic clock."""
    number = 0
    while time.monotonic() < deadline:
        yield number
        number += 1


def resident() -> int:
    """Give the bytes of memory that this process has now."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * 4096
