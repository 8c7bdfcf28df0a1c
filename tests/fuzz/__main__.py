"""``make fuzz SECONDS=60 [SEED=…]``: mutants against the front and the client, until time is up or one shows a fault."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence

from tests.fuzz import client, front
from tests.fuzz.hunt import MOST_DRIFT, Quarry, hunt, resident, until

_WARM = 20_000
"""Mutants before the memory is measured for the first time: caches fill."""


class _Count:
    """Passes numbers on, and knows the last; notes the memory once all is warm."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self.count = 0
        self.warm = 0

    def __iter__(self) -> Iterator[int]:
        for number in self._numbers:
            self.count = number + 1
            if self.count == _WARM:
                self.warm = resident()
            yield number

    @property
    def drift(self) -> int:
        """Bytes that were added since all was warm."""
        return resident() - self.warm if self.warm else 0


def chase(name: str, quarry: Quarry, corpus: Sequence[bytes], seed: str, seconds: float) -> bool:
    """Hunt one quarry for some seconds, say what came of it; say whether all is well."""
    began = time.monotonic()
    numbers = _Count(until(began + seconds))
    find = hunt(quarry, corpus, seed, iter(numbers))
    rate = numbers.count / max(0.001, time.monotonic() - began)
    drift = numbers.drift
    sys.stdout.write(f"{name}: {numbers.count} mutants, {rate:.0f} a second, memory {drift / 1e6:+.1f} MB, SEED={seed}\n")
    if find is not None:
        sys.stdout.write(f"  FOUND {find}\n")
    if drift > MOST_DRIFT:
        sys.stdout.write("  FOUND memory that grows\n")
    return find is None and drift <= MOST_DRIFT


def main() -> int:
    """Read SECONDS and SEED from the environment, and hunt; the exit status says whether anything was found."""
    seconds = float(os.environ.get("SECONDS") or 60)
    seed = os.environ.get("SEED") or str(time.time_ns() % 10**9)
    chases = [
        chase("front", front.Front(), front.CORPUS, seed, seconds * 3 / 4),
        chase("client", client.Asking(), client.CORPUS, seed, seconds / 4),
    ]
    return 0 if all(chases) else 1


if __name__ == "__main__":
    sys.exit(main())
