"""A row of the index: an entry, where its bytes are, and a checksum that shows when a field was changed behind our back."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from attrs import frozen

from sos.words.blob import NO_METADATA, BlobID, Entry, Kind, Metadata, State, Version
from sos.words.errors import BlobDamaged

COLUMNS = (
    "version",
    "state",
    "kind",
    "size",
    "sha256",
    "metadata",
    "expires",
    "arrived",
    "damaged",
    "stray",
    "file",
    "checksum",
)
"""The columns of an entry beside its number and its ID, in the order in which rows are read and written."""

_FIXED = struct.Struct(">qBBqqqBBqHI")
"""Numbers of a row as the checksum sees them; an absent one is -1. The lengths of what follows come last."""

_STATES = tuple(State)
_KINDS = tuple(Kind)


@frozen
class Row:
    """What the index holds under an ID.

    `file` is the serial of the file that has the bytes; None where they are in the database, or nowhere (a tombstone,
    bytes in quarantine). `arrived` is this server's wall clock, in unix seconds, when it took the entry.
    """

    number: int
    entry: Entry
    arrived: int
    file: int | None
    payload: bytes | None = None


def values_of(entry: Entry, arrived: int, file: int | None) -> tuple[Any, ...]:
    """Give the values of `COLUMNS`."""
    values = (
        int(entry.version),
        int(entry.state),
        int(entry.kind),
        entry.size,
        entry.sha256,
        b"".join([b"%b:%b\n" % pair for pair in entry.metadata.pairs]),  # neither may hold a line end, nor a name a colon
        entry.expires,
        arrived,
        int(entry.is_damaged),
        int(entry.is_stray),
        file,
    )
    return (*values, _checksum(entry.id, *values))


def row_of(blob_id: BlobID, number: int, values: tuple[Any, ...], payload: bytes | None = None) -> Row:
    """Read what a query for `COLUMNS` gave. Raises `BlobDamaged` where the checksum says that a field was changed."""
    version, state, kind, size, sha256, metadata, expires, arrived, damaged, stray, file, checksum = values
    try:
        is_sound = checksum == _checksum(blob_id, *values[:-1])
    except (struct.error, TypeError):  # a field that even has another type
        is_sound = False
    if not is_sound:
        raise BlobDamaged(blob_id)
    entry = Entry(
        id=blob_id,
        version=Version(version),
        state=_STATES[state],
        kind=_KINDS[kind],
        size=size,
        sha256=sha256,
        metadata=_metadata_of(metadata) if metadata else NO_METADATA,
        expires=expires,
        is_damaged=bool(damaged),
        is_stray=bool(stray),
    )
    return Row(number, entry, arrived, file, payload)


def _metadata_of(lines: bytes) -> Metadata:
    """Read metadata that was checked when it came."""
    pairs = [line.partition(b":") for line in lines.split(b"\n")[:-1]]
    return Metadata(tuple([(name, value) for name, _, value in pairs]))


def _checksum(
    blob_id: BlobID,
    version: int,
    state: int,
    kind: int,
    size: int | None,
    sha256: bytes | None,
    metadata: bytes,
    expires: int | None,
    arrived: int,
    damaged: int,
    stray: int,
    file: int | None,
) -> int:
    """Sum up all fields. A CRC finds what a disk or a hand does to a row, at a microsecond a read; it is no signature."""
    digest = sha256 or b""
    fixed = _FIXED.pack(
        version,
        state,
        kind,
        -1 if size is None else size,
        -1 if expires is None else expires,
        arrived,
        damaged,
        stray,
        -1 if file is None else file,
        len(digest),
        len(metadata),
    )
    return zlib.crc32(metadata, zlib.crc32(digest, zlib.crc32(fixed, zlib.crc32(blob_id.encode("ascii")))))
