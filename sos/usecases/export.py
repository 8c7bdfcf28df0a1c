"""Export: objects are written into a directory, each a file under its ID, its metadata beside it, as the ancestor has them.

Where an object comes from is not known here: `IObjectSource` gives objects, whole, however they are stored.
`sos.usecases.downloads.Downloads` is one, over a cluster or over a single store.

The metadata are written first, so that a file under an ID is an object with all that belongs to it. What is there already,
in its full length, is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.concurrently import for_each
from sos.decisions.digests import Expected, expected_of
from sos.decisions.sidecar import sidecar_of
from sos.store.flat_files import FlatDirectory, FlatPart
from sos.words.blob import BlobID, Entry, Kind
from sos.words.errors import BlobNotFound, BlobTruncated, DigestMismatch, SOSError
from sos.words.interfaces import InThread, OpenBlob

AT_ONCE = 16
"""Objects at a time: enough to hide the way to the members, and so many files share a sync of the disk."""


class IObjectSource(Protocol):
    """Gives objects back: what a client uploaded, whatever it was cut into."""

    async def open(self, object_id: BlobID) -> OpenBlob:
        """Open an object; the caller pours or stops the body. Raises `BlobNotFound`, for a chunk too, and `Unavailable`."""

    async def stat(self, object_id: BlobID) -> Entry:
        """Give the entry of an object: its size is that of the whole object. Raises what `open` raises."""


class Export:
    """Writes objects into one directory. Used once."""

    def __init__(
        self,
        objects: IObjectSource,
        directory: FlatDirectory,
        in_thread: InThread,
        complain: Callable[[str], None],
        advance: Callable[[int], None],
        is_verifying: bool = False,
    ) -> None:
        """Write what `objects` gives; `in_thread` runs what waits for the disk.

        `complain` is told of each object that was not written, `advance` of each that is done with. With `is_verifying`,
        what is there already is read, and written again where its bytes are not the right ones.
        """
        self.counts: Counter[str] = Counter()
        """Objects that were ``written`` (and their ``bytes``), those ``there`` already, and ``complaints``."""
        self._objects = objects
        self._directory = directory
        self._in_thread = in_thread
        self._tell = complain
        self._advance = advance
        self._is_verifying = is_verifying

    async def run(self, pages: AsyncIterator[Sequence[BlobID]]) -> None:
        """Write the objects with these names; what is no object, or was deleted meanwhile, is left out.

        Raises `OSError` where the directory takes no more.
        """
        async for page in pages:
            await for_each(iter(page), self._write, AT_ONCE)
        await self._in_thread(self._directory.settle)

    async def _write(self, object_id: BlobID) -> None:
        try:
            if not await self._is_there(object_id):
                await self._write_anew(object_id)
        except BlobNotFound:
            return
        except SOSError as error:
            self.counts["complaints"] += 1
            self._tell(f"{object_id} was not exported: {error}")
        self._advance(1)

    async def _is_there(self, object_id: BlobID) -> bool:
        """Whether an object was written before; its metadata may have become others since."""
        size = self._directory.size(object_id)
        if size is None:
            return False
        entry = await self._objects.stat(object_id)
        if entry.size not in (size, None):
            return False
        if (entry.size is None or self._is_verifying) and not await self._is_right(entry):
            return False
        await self._set_sidecar(entry)
        self.counts["there"] += 1
        return True

    async def _is_right(self, entry: Entry) -> bool:
        """Read a file, and say whether it has the object's bytes; where no digest is known, nobody can tell."""
        expected = _expected_of(entry)
        return expected is not None and await self._in_thread(self._directory.has, entry.id, expected)

    async def _set_sidecar(self, entry: Entry) -> None:
        payload = sidecar_of(entry)
        if payload != self._directory.sidecar(entry.id):
            await self._in_thread(self._directory.set_sidecar, entry.id, payload)

    async def _write_anew(self, object_id: BlobID) -> None:
        opened = await self._objects.open(object_id)
        try:
            part = self._directory.begin(object_id)
        except OSError:
            opened.body.stopProducing()
            raise
        try:
            filling = Filling(part, _expected_of(opened.entry))
            await filling.take(opened.body)
            filling.check(opened.entry)
            await self._set_sidecar(opened.entry)
            await self._in_thread(part.keep)
        except BaseException:  # a cancellation too
            part.discard()
            raise
        self.counts["written"] += 1
        self.counts["bytes"] += filling.size


@implementer(IConsumer)
class Filling:
    """Takes a body into a file, and hashes it."""

    def __init__(self, part: FlatPart, expected: Expected | None) -> None:
        """Fill a file with bytes that have a digest, where one is known."""
        self.size = 0
        self._part = part
        self._expected = expected
        self._hash = None if expected is None else expected.hasher()
        self._pouring: Deferred[None] | None = None
        self._error: OSError | None = None

    async def take(self, body: IBodyProducer) -> None:
        """Take a whole body. Raises what it raises, and `OSError`; then nothing more of it comes."""
        self._pouring = body.startProducing(self)
        self._stop_after_error()
        try:
            await self._pouring
        except CancelledError:
            if self._error is None:
                raise
        if self._error is not None:
            raise self._error

    def check(self, entry: Entry) -> None:
        """See that all that came is what was asked for. Raises `BlobTruncated` and `DigestMismatch`."""
        if entry.size not in (self.size, None):
            raise BlobTruncated(f"It has {self.size} bytes instead of {entry.size}.")
        if self._hash is not None and self._expected is not None and self._hash.digest() != self._expected.digest:
            raise DigestMismatch("Its bytes do not have the right digest.")

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Do nothing: a file takes all that comes."""

    def unregisterProducer(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Write a piece; after an error, let it fall."""
        if self._error is not None:
            return
        try:
            self._part.write(data)
        except OSError as error:
            self._error = error
            self._stop_after_error()
        else:
            self.size += len(data)
            if self._hash is not None:
                self._hash.update(data)

    def _stop_after_error(self) -> None:
        """Cancel the pouring, which stops the body."""
        if self._error is not None and self._pouring is not None:
            self._pouring.cancel()


def _expected_of(entry: Entry) -> Expected | None:
    """Give the digest of an object's bytes: by its ID where that is one, for the SHA-256 of a manifest is its own."""
    named = expected_of(Entry(id=entry.id))
    return named or (expected_of(entry) if entry.kind is Kind.BLOB else None)
