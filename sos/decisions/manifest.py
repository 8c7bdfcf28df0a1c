"""The manifest: the blob that says which chunks an object consists of, in their order. `docs/wire.rst` has it in words.

A manifest is recognised by the kind of its entry alone, never by its bytes, and what it says is checked before anything is
done with it: a peer may send whatever it likes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from attrs import field, frozen

from sos.decisions.strict_json import compact, parsed
from sos.words.blob import BlobID, Span
from sos.words.errors import BadInput

FORMAT = "sos-manifest"
VERSION = 1
"""What a manifest calls itself, and the version of its layout that is written and read here."""

CHUNK_PREFIX = "c"
"""A chunk's ID is this and its SHA-256 in hex digits (design, section 7): no digest that names an object begins so."""

MOST_CHUNKS = 1 << 18
"""Chunks of one object: an object of 1 TiB in chunks of 4 MiB."""

LARGEST_CHUNK = 64 * 1024 * 1024
"""Bytes of the largest chunk that is written or read: each is in memory as a whole."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of the longest manifest: `MOST_CHUNKS` of them take 86 bytes each."""

_CHUNK_ID = re.compile(r"c[0-9a-f]{64}")
_LARGEST_SIZE = 2**63 - 1


def chunk_id(sha256: bytes) -> BlobID:
    """Give the ID of the chunk whose bytes have this SHA-256."""
    return BlobID(CHUNK_PREFIX + sha256.hex())


def is_chunk_id(name: str) -> bool:
    """Whether a name is that of a chunk."""
    return _CHUNK_ID.fullmatch(name) is not None


@frozen
class Chunk:
    """A part of an object: its ID, which is the digest of its bytes, and their number."""

    id: BlobID
    size: int

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of its bytes."""
        return bytes.fromhex(self.id[len(CHUNK_PREFIX) :])


@frozen
class Manifest:
    """An object and its chunks. Made by `manifest_of`, or for chunks that are known to be there."""

    object_id: BlobID
    chunks: tuple[Chunk, ...]
    _ends: Sequence[int] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_ends", list(accumulate(chunk.size for chunk in self.chunks)))

    @property
    def size(self) -> int:
        """The number of bytes of the object."""
        return self._ends[-1]

    def parts_of(self, span: Span) -> Iterator[tuple[Chunk, Span]]:
        """Give the chunks that a span of the object touches, each with the span of its own bytes that is wanted."""
        at = span.start
        for number in range(bisect_right(self._ends, span.start), len(self.chunks)):
            if at >= span.stop:
                return
            chunk = self.chunks[number]
            begins = self._ends[number] - chunk.size
            stop = min(span.stop, self._ends[number])
            yield chunk, Span(at - begins, stop - at)
            at = stop


def manifest_json(manifest: Manifest) -> bytes:
    """Write a manifest. The same object in the same chunks always gives the same bytes."""
    shape = {
        "format": FORMAT,
        "version": VERSION,
        "id": manifest.object_id,
        "size": manifest.size,
        "chunks": [[chunk.id, chunk.size] for chunk in manifest.chunks],
    }
    return compact(shape)


def manifest_of(payload: bytes, object_id: BlobID) -> Manifest:
    """Read the manifest of an object. Raises `BadInput`: it is another's, of another format, or its sums are wrong."""
    fields = _fields(payload)
    if fields.get("format") != FORMAT or fields.get("version") != VERSION:
        raise BadInput(f"The manifest of {object_id} has a format that this program does not know.")
    if fields.get("id") != object_id:
        raise BadInput(f"The manifest under {object_id} is that of another object.")
    chunks = _chunks(fields.get("chunks"))
    manifest = Manifest(object_id, chunks)
    if type(fields.get("size")) is not int or fields["size"] != manifest.size:
        raise BadInput(f"The chunks of {object_id} do not add up to its size.")
    return manifest


def _fields(payload: bytes) -> dict[str, Any]:
    if len(payload) > MOST_BYTES:
        raise BadInput(f"A manifest has at most {MOST_BYTES} bytes.")
    shape = parsed(payload)
    if not isinstance(shape, dict):
        raise BadInput("A manifest is a JSON object.")
    return shape


def _chunks(shapes: Any) -> tuple[Chunk, ...]:
    if not isinstance(shapes, list) or not 1 <= len(shapes) <= MOST_CHUNKS:
        raise BadInput(f"A manifest has 1 to {MOST_CHUNKS} chunks.")
    return tuple(map(_chunk, shapes))


def _chunk(shape: Any) -> Chunk:
    if not isinstance(shape, list) or len(shape) != 2:
        raise BadInput("A chunk in a manifest has an ID and a size.")
    name, size = shape
    if not isinstance(name, str) or not is_chunk_id(name):
        raise BadInput("The ID of a chunk is c and 64 lower-case hex digits.")
    if type(size) is not int or not 1 <= size <= LARGEST_CHUNK:
        raise BadInput(f"A chunk has 1 to {LARGEST_CHUNK} bytes.")
    return Chunk(BlobID(name), size)
