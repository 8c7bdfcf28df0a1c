"""Digests of what a store holds: how two members prove that they are equal, or find where they are not.

Every entry falls into one of 4,096 buckets by its ID. A bucket's digest is the XOR of the digests of its entries, so that it
can be kept up to date with every change, whatever the order of the changes. Above the buckets stand 64 parts of 64
buckets each, and one root; these are hashes of what is below them, made when they are asked for.

`docs/wire.rst` has the same in words, with a test vector for other programs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from sos.words.blob import KIND_WORDS, STATE_WORDS, BlobID, Entry

BUCKETS = 4096
PARTS = 64
BUCKETS_A_PART = BUCKETS // PARTS

DIGEST_BYTES = 16
"""128 bits: two stores of 10^9 entries each are taken for equal by accident once in 10^20 comparisons."""

EMPTY = bytes(DIGEST_BYTES)
"""The digest of a bucket without entries."""


def bucket_of(blob_id: BlobID) -> int:
    """Give the bucket of an ID, 0 to 4095: the first 12 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(blob_id.encode("ascii")).digest()[:2], "big") >> 4


def entry_digest(entry: Entry) -> bytes:
    """Hash all that two members must agree on.

    What only one server knows has no part in it: damage, the stray mark, and when the entry was taken. Every field has its
    length before it, so that no two entries are written alike.
    """
    fields = [
        entry.id.encode("ascii"),
        b"%d" % entry.version,
        STATE_WORDS[entry.state].encode("ascii"),
        KIND_WORDS[entry.kind].encode("ascii"),
        _number(entry.size),
        entry.sha256 or b"",
        _number(entry.expires),
        *[piece for pair in entry.metadata.pairs for piece in pair],
    ]
    return hashlib.sha256(b"".join([b"%d:%b" % (len(field), field) for field in fields])).digest()[:DIGEST_BYTES]


def takes_part(entry: Entry) -> bool:
    """Whether an entry is counted in its bucket: not one whose bytes are damaged, and no stray."""
    return not (entry.is_damaged or entry.is_stray)


def changed(bucket: bytes, *entries: Entry) -> bytes:
    """Give the digest of a bucket into which entries have come, or from which they have gone: that is the same sum."""
    value = int.from_bytes(bucket, "big")
    for entry in entries:
        value ^= int.from_bytes(entry_digest(entry), "big")
    return value.to_bytes(DIGEST_BYTES, "big")


def part_digests(buckets: Sequence[bytes]) -> list[bytes]:
    """Give the digests of the 64 parts of all buckets."""
    return [_hashed(buckets[start : start + BUCKETS_A_PART]) for start in range(0, BUCKETS, BUCKETS_A_PART)]


def root_digest(buckets: Sequence[bytes]) -> bytes:
    """Give the one digest of a whole store."""
    return _hashed(part_digests(buckets))


def unequal(one: Sequence[bytes], other: Sequence[bytes]) -> list[int]:
    """Give the places at which two lists of digests differ."""
    return [place for place, (left, right) in enumerate(zip(one, other, strict=True)) if left != right]


def runs_of(buckets: Iterable[int], most: int) -> dict[int, int]:
    """Put buckets together into runs of at most so many, 1 to 64: the first of each, and how many there are from it on.

    A run ends with one of the buckets that were given; what lies between them is in it.
    """
    longest = max(1, min(most, BUCKETS_A_PART))
    runs: dict[int, int] = {}
    first = -longest
    for bucket in sorted(buckets):
        if bucket >= first + longest:
            first = bucket
        runs[first] = bucket - first + 1
    return runs


def _number(value: int | None) -> bytes:
    return b"" if value is None else b"%d" % value


def _hashed(digests: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()[:DIGEST_BYTES]
