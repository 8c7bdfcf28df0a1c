"""What a sender declared, and what came: every store compares them in the same way before it keeps anything."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.web.iweb import IBodyProducer

from sos.decisions.buckets import BUCKETS, BUCKETS_A_PART
from sos.decisions.merge import Decision
from sos.words.blob import Entry
from sos.words.errors import BadInput, BlobConflict, BlobTruncated, DigestMismatch, OtherGroup
from sos.words.versions import LARGEST


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


def check_renewal(entry: Entry) -> None:
    """Raise `BadInput` for an entry that cannot come without bytes, for it does not say which ones they are."""
    if not entry.is_live or entry.sha256 is None:
        raise BadInput("Only a live entry that names its SHA-256 can be renewed.")


def check_place(place: int | None, places: int, what: str) -> None:
    """Raise `BadInput` for the number of a part or of a bucket that there is not."""
    if place is not None and not 0 <= place < places:
        raise BadInput(f"There is no {what} {place}: they are numbered from 0 to {places - 1}.")


def check_buckets(bucket: int, count: int) -> None:
    """Raise `BadInput` for a bucket that there is not, and for more of them than one question may be about."""
    check_place(bucket, BUCKETS, "bucket")
    if not 1 <= count <= min(BUCKETS_A_PART, BUCKETS - bucket):
        raise BadInput(f"There are no {count} buckets from {bucket} on, or they are more than {BUCKETS_A_PART}.")


def check_few(named: Sequence[object], most: int) -> None:
    """Raise `BadInput` for more entries than one change takes."""
    if len(named) > most:
        raise BadInput(f"At most {most} entries are changed at a time.")


def check_round(number: int, group: str) -> None:
    """Raise `BadInput` for the number of a round that cannot be kept, and for a group without a name."""
    if not 0 <= number <= LARGEST or not group:
        raise BadInput("A round has a number, from 0 on, and a group with a name.")


def check_group(held: str | None, group: str) -> None:
    """Raise `OtherGroup` where a store is a member of another group."""
    if held not in (None, group):
        raise OtherGroup(
            f"This store belongs to the group {held}, not to {group}: start its server with --adopt if that is to change."
        )


def check_size(entry: Entry, held: Entry) -> None:
    """Raise `DigestMismatch` where two entries of one SHA-256 differ in their size."""
    if entry.size not in (None, held.size):
        raise DigestMismatch(f"The bytes of this SHA-256 are {held.size}; {entry.size} were declared.")


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
    if entry.sha256 is not None and entry.size is not None and not entry.is_damaged:  # all is said: it stays as it came
        return entry
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
