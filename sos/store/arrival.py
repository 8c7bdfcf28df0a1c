"""What a sender declared, and what came: every store compares them in the same way before it keeps anything."""

from __future__ import annotations

from twisted.web.iweb import IBodyProducer

from sos.decisions.merge import Decision
from sos.words.blob import Entry
from sos.words.errors import BadInput, BlobConflict, BlobTruncated, DigestMismatch


def known_length(body: IBodyProducer) -> int | None:
    """Give the number of bytes a body says that it has, None where it does not know."""
    return body.length if isinstance(body.length, int) else None


def limit_of(entry: Entry, body: IBodyProducer) -> int | None:
    """Give the most bytes that can still agree with what was declared, None where nothing was."""
    lengths = [length for length in (entry.size, known_length(body)) if length is not None]
    return min(lengths, default=None)


def check_incoming(entry: Entry) -> None:
    """Raise `BadInput` for an entry that comes without being a blob's: a tombstone is not received."""
    if not entry.is_live:
        raise BadInput("Only a live entry comes with bytes.")


def check_limit(size: int, limit: int | None) -> None:
    """Raise `DigestMismatch` once more bytes came than were declared."""
    if limit is not None and size > limit:
        raise DigestMismatch(f"The body has more than the {limit} bytes that were declared.")


def agreed(entry: Entry, length: int | None, size: int, sha256: bytes) -> Entry:
    """Give the entry with the size and the SHA-256 of the bytes that came.

    `length` is what the body itself promised. Raises `BlobTruncated` and `DigestMismatch`.
    """
    if length is not None and size < length:
        raise BlobTruncated(f"The body ended after {size} of {length} bytes.")
    if entry.size is not None and size != entry.size:
        raise DigestMismatch(f"The body has {size} bytes; {entry.size} were declared.")
    if entry.sha256 is not None and sha256 != entry.sha256:
        raise DigestMismatch("The bytes do not have the SHA-256 that was declared.")
    return Entry(
        id=entry.id,
        version=entry.version,
        kind=entry.kind,
        size=size,
        sha256=sha256,
        metadata=entry.metadata,
        expires=entry.expires,
        is_stray=entry.is_stray,
    )


def refuse_losers(decision: Decision, held: Entry) -> None:
    """Raise `BlobConflict` where the merge rule refused an entry because of the one that is `held`."""
    if decision is Decision.OLDER:
        raise BlobConflict(held.id, BlobConflict.OLDER, held.version)
    if decision is Decision.CONFLICT:
        raise BlobConflict(held.id, BlobConflict.OTHER_BYTES, held.version)
