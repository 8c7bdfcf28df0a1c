"""Payloads for tests that need many bytes, none of them like the others."""

from __future__ import annotations

from collections.abc import Iterator

_BLOCK = b"0123456789abcdef" * 4096


def numbered(size: int, seed: int = 0) -> bytes:
    """Give bytes of which no two chunks are equal, nor those of two seeds."""
    return b"".join(blocks(size, seed))


def blocks(size: int, seed: int = 0) -> Iterator[bytes]:
    """Give the same bytes in pieces of 64 KiB, so that not all of them have to be in memory."""
    for number, at in enumerate(range(0, size, len(_BLOCK))):
        yield (b"%016d%016d" % (seed, number) + _BLOCK[32:])[: size - at]
