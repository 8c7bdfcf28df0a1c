"""Blobs and what is known of them: identifiers, versions, metadata and entries."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import NewType

from attrs import field, frozen

from sos.words.errors import BadMetadata, InvalidBlobID

BlobID = NewType("BlobID", str)
"""The name of a blob: 1 to 128 of ``a-z0-9``. Made by `blob_id`; whoever holds one need not check it again."""

Version = NewType("Version", int)
"""A reading of a hybrid logical clock, 64 bits: larger is newer, 0 is what an old-contract server holds."""

OLD_CONTRACT = Version(0)
"""The version of everything that a server of the old contract holds."""

MOST_HEADERS = 64
"""Metadata headers an entry may have (the contract)."""

MOST_METADATA = 8 * 1024
"""Bytes of names and values an entry's metadata may have (the contract)."""

_BLOB_ID = re.compile(rb"[a-z0-9]{1,128}")
_METADATA_NAME = re.compile(rb"x-[!#$%&'*+.^_`|~0-9a-z-]+")
_METADATA_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


def blob_id(raw: bytes) -> BlobID:
    """Take the raw bytes of one path segment for a blob's name.

    Raises `InvalidBlobID`. `fullmatch` on bytes: ``$`` would let a line end pass, and text would let other digits pass.
    """
    if _BLOB_ID.fullmatch(raw) is None:
        raise InvalidBlobID(raw)
    return BlobID(raw.decode("ascii"))


class State(enum.IntEnum):
    """Whether an entry says that its blob is there. A larger state wins between equal versions."""

    LIVE = 0
    DELETED = 1


class Kind(enum.IntEnum):
    """What the bytes of a blob are: only the entry says it, never the bytes themselves."""

    BLOB = 0
    MANIFEST = 1
    CHUNK = 2


STATE_WORDS = {state: state.name.lower() for state in State}
KIND_WORDS = {kind: kind.name.lower() for kind in Kind}
"""What they are called between servers, and in the digests: never to be changed."""


@frozen
class Metadata:
    """The ``X-*`` headers kept with a blob: lower-case names, sorted, each once, values byte for byte."""

    pairs: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Metadata:
        """Put headers into their one order.

        Raises `BadMetadata` for a name that is no ``X-*`` header, a value with controls in it, a name that comes twice,
        and for more than the limits allow.
        """
        lowered = sorted((name.lower(), value.strip(b" \t")) for name, value in pairs)
        for name, value in lowered:
            if _METADATA_NAME.fullmatch(name) is None or _METADATA_VALUE.fullmatch(value) is None:
                raise BadMetadata("A metadata header has a name or a value that HTTP does not allow.")
        if len({name for name, _ in lowered}) < len(lowered):
            raise BadMetadata("A metadata header came twice; send each X- header once.")
        if len(lowered) > MOST_HEADERS or sum(len(name) + len(value) for name, value in lowered) > MOST_METADATA:
            raise BadMetadata(f"At most {MOST_HEADERS} metadata headers of {MOST_METADATA} bytes in all are kept.")
        return cls(tuple(lowered))

    def value(self, name: bytes) -> bytes | None:
        """Give the value under a lower-case name, or None."""
        for held, value in self.pairs:
            if held == name:
                return value
        return None


NO_METADATA = Metadata()
"""What a blob without ``X-*`` headers has."""


@frozen
class Span:
    """A run of bytes within a blob, both counted in bytes: `length` of them from `start`."""

    start: int
    length: int

    @property
    def stop(self) -> int:
        """The first byte behind the span."""
        return self.start + self.length


@frozen(kw_only=True)
class Entry:
    """What a server knows of a blob.

    `size` (bytes) and `sha256` (32 bytes) are None where nobody has said them yet: in what an old-contract server
    answers, and in what a sender declares before its bytes were counted. What a store holds has both, if not `is_unknown`.
    `expires` is unix seconds. A damaged entry is there, and its bytes are not: they are in quarantine.
    """

    id: BlobID
    version: Version = field(default=OLD_CONTRACT)
    state: State = State.LIVE
    kind: Kind = Kind.BLOB
    size: int | None = None
    sha256: bytes | None = None
    metadata: Metadata = NO_METADATA
    expires: int | None = None
    is_damaged: bool = False
    is_stray: bool = False

    @classmethod
    def tombstone(cls, blob_id: BlobID, version: Version) -> Entry:
        """Make the one tombstone of an ID and a version: it has no other fields, so that all who make it make the same."""
        return cls(id=blob_id, version=version, state=State.DELETED)

    def written_at(self, version: Version, *, is_stray: bool) -> Entry:
        """Give the same entry as a write of this version, marked as a stray or not.

        Each upload asks for that, and `attrs.evolve` would look at all fields by their names.
        """
        return Entry(
            id=self.id,
            version=version,
            state=self.state,
            kind=self.kind,
            size=self.size,
            sha256=self.sha256,
            metadata=self.metadata,
            expires=self.expires,
            is_damaged=self.is_damaged,
            is_stray=is_stray,
        )

    @property
    def is_live(self) -> bool:
        """Whether the entry says that its blob is there."""
        return self.state is State.LIVE

    @property
    def is_unknown(self) -> bool:
        """Whether nothing but the ID is known: what was noted with it is damaged, too. Any other entry is better."""
        return self.is_damaged and self.sha256 is None

    def is_expired(self, now: float) -> bool:
        """Whether the blob is to be gone at this unix time."""
        return self.expires is not None and self.expires <= now


@frozen
class Parcel:
    """A small blob on its way among others: its entry, and all of its bytes."""

    entry: Entry
    payload: bytes
