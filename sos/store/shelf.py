"""The shelf of a store in memory: entries and bytes in a dictionary, with the books that the store on a disk keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from attrs import frozen

from sos.decisions.buckets import BUCKETS, EMPTY, bucket_of, changed, takes_part
from sos.http.bodies import PIECE, BytesBody
from sos.store.books import counted
from sos.words.blob import BlobID, Entry, Span
from sos.words.errors import RangeNotSatisfiable
from sos.words.interfaces import OpenBlob


@frozen
class Held:
    """What is held under an ID: the entry, its bytes, and the unix time at which it was taken."""

    entry: Entry
    payload: bytes
    arrived: int

    def opened(self, span: Span | None) -> OpenBlob:
        """Give it to a reader, or a span of it. Raises `RangeNotSatisfiable`."""
        wanted = Span(0, len(self.payload)) if span is None else span
        if wanted.start < 0 or wanted.length < 0 or wanted.stop > len(self.payload):
            raise RangeNotSatisfiable(len(self.payload))
        starts = range(wanted.start, wanted.stop, PIECE)
        return OpenBlob(self.entry, BytesBody(*(self.payload[at : min(at + PIECE, wanted.stop)] for at in starts)))


class Shelf:
    """Holds one thing under each ID, and counts."""

    def __init__(self) -> None:
        """Begin empty."""
        self.counts: Counter[str] = Counter()
        self.buckets: list[bytes] = [EMPTY] * BUCKETS
        self.size = 0
        self._held: dict[BlobID, Held] = {}

    def __iter__(self) -> Iterator[Held]:
        """Go through all that is held, in no order."""
        return iter(self._held.values())

    @property
    def entries(self) -> Iterator[Entry]:
        """All entries, in no order."""
        return (held.entry for held in self)

    def held(self, blob_id: BlobID) -> Held | None:
        """Give what is held under an ID."""
        return self._held.get(blob_id)

    def put(self, held: Held) -> None:
        """Hold this, in the place of what was held under its ID."""
        self.drop(held.entry.id)
        self._held[held.entry.id] = held
        self._book(held, 1)

    def drop(self, blob_id: BlobID) -> None:
        """Hold nothing under an ID."""
        gone = self._held.pop(blob_id, None)
        if gone is not None:
            self._book(gone, -1)

    def _book(self, held: Held, sign: int) -> None:
        entry = held.entry
        self.size += sign * len(held.payload)
        for name, number in counted(entry):
            self.counts[name] += sign * number
        if takes_part(entry):
            bucket = bucket_of(entry.id)
            self.buckets[bucket] = changed(self.buckets[bucket], entry)
