"""Holdings: what a disk store can give back. Bytes that are not the ones that were stored never leave it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import sqlite3
from collections.abc import Callable

from twisted.web.iweb import IBodyProducer

from sos.http.bodies import BytesBody, FileBody
from sos.store.failures import Latch
from sos.store.files import Fs
from sos.store.quarantine import Suspicion
from sos.store.reader import Reader
from sos.store.recent import Recent
from sos.store.rows import Row
from sos.store.tree import Tree
from sos.words.blob import BlobID, Entry, Span
from sos.words.errors import BlobDamaged, BlobNotFound, BlobTruncated, RangeNotSatisfiable, SOSError
from sos.words.interfaces import OpenBlob

_FOREIGN = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR})
"""What opening a blob's file says when something else has been put in its place."""


class BytesSuspected(Exception):
    """Bytes that are not those of their entry: somebody has to set them apart."""

    def __init__(self, suspicion: Suspicion) -> None:
        super().__init__(suspicion.why)
        self.suspicion = suspicion


class Holdings:
    """Finds blobs, and vouches for them. It reads in the reactor's thread and waits for nobody."""

    def __init__(
        self,
        reader: Reader,
        recent: Recent,
        fs: Fs,
        tree: Tree,
        latch: Latch,
        suspect: Callable[[Suspicion], None],
        wall: Callable[[], float],
    ) -> None:
        """Read through these, and keep small blobs in `recent`.

        `suspect` is told of damage that shows while a body is poured, `wall` says what expired.
        """
        self._reader = reader
        self._recent = recent
        self._fs = fs
        self._tree = tree
        self._latch = latch
        self._suspect = suspect
        self._wall = wall

    def stat(self, blob_id: BlobID) -> Entry:
        """Give the entry of a live blob whose bytes can be had. Raises as `open` does."""
        row, descriptor = self._sound(blob_id)
        if descriptor is not None:
            self._let_go(descriptor)
        return row.entry

    def forget(self, blob_id: BlobID) -> None:
        """Read a blob again when it is asked for next: somebody says that its bytes are wrong."""
        self._recent.drop(blob_id)

    def remembers(self, blob_id: BlobID) -> bool:
        """Whether a blob can be had without reading."""
        return self._recent.of(blob_id) is not None

    def awaits(self, entry: Entry) -> bool:
        """Whether the bytes of an entry that comes are those of a blob that is damaged here. Raises as `stat` does."""
        row = self._row(entry.id)
        return row is not None and row.entry.is_damaged and row.entry.sha256 == entry.sha256

    def open(self, blob_id: BlobID, span: Span | None, past_expiry: bool = False) -> OpenBlob:
        """Open a live blob, with `past_expiry` also one that has expired and still has its bytes.

        Raises `BlobNotFound`, `BlobDamaged`, `RangeNotSatisfiable`, `Unavailable`, and `BytesSuspected` for damage that
        nobody has seen yet.
        """
        row, descriptor = self._sound(blob_id, past_expiry)
        if span is None and row.payload is not None:  # the usual case
            return OpenBlob(row.entry, BytesBody(row.payload))
        size = row.entry.size or 0
        wanted = Span(0, size) if span is None else span
        if wanted.start < 0 or wanted.length < 0 or wanted.stop > size:
            if descriptor is not None:
                self._let_go(descriptor)
            raise RangeNotSatisfiable(size)
        return OpenBlob(row.entry, self._body(row, descriptor, wanted))

    def _body(self, row: Row, descriptor: int | None, span: Span) -> IBodyProducer:
        if descriptor is not None:
            return _StoredFile(descriptor, span, lambda error: self._failed_reading(row, error))
        assert row.payload is not None
        return BytesBody(row.payload if span.length == len(row.payload) else row.payload[span.start : span.stop])

    def _sound(self, blob_id: BlobID, past_expiry: bool = False) -> tuple[Row, int | None]:
        """Give a row whose bytes are there, with its open file if it has one.

        A file can vanish between its row and its opening, because the row was replaced just then: so the row is read
        again, and only a file that is still named and still missing is damage.
        """
        self._latch.check_read()
        recent = self._recent.of(blob_id)
        if recent is not None and not recent.entry.is_expired(self._wall()):
            return recent, None
        missing: int | None = None
        while True:
            row = self._live_row(blob_id, past_expiry)
            if row.file is None:
                checked = self._checked(row)
                if not past_expiry:  # whom a round brings what it lacks asks once
                    self._recent.keep(checked)
                return checked, None
            if row.file == missing:
                raise BytesSuspected(Suspicion(blob_id, row.file, "The file of the blob is missing."))
            try:
                return row, self._opened(row, row.file)
            except FileNotFoundError:
                missing = row.file

    def _row(self, blob_id: BlobID) -> Row | None:
        self._latch.check_read()
        try:
            return self._reader.row(blob_id)
        except sqlite3.Error as error:
            raise self._latch.judge(error) from error

    def _live_row(self, blob_id: BlobID, past_expiry: bool) -> Row:
        row = self._row(blob_id)
        if row is None:
            raise BlobNotFound(blob_id)
        if not row.entry.is_live or (not past_expiry and row.entry.is_expired(self._wall())):
            raise BlobNotFound(blob_id, row.entry.version)
        if row.entry.is_damaged:
            raise BlobDamaged(blob_id)
        return row

    def _checked(self, row: Row) -> Row:
        """Hash the bytes that the database gave: three microseconds for 4 KiB, and never wrong ones."""
        if row.payload is None or hashlib.sha256(row.payload).digest() != row.entry.sha256:
            raise BytesSuspected(Suspicion(row.entry.id, None, "The bytes in the database do not have their SHA-256."))
        return row

    def _opened(self, row: Row, serial: int) -> int:
        """Open a row's file, if it has the length it should. Raises `FileNotFoundError`."""
        try:
            descriptor = self._tree.open(row.entry.id, serial)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in _FOREIGN:
                raise BytesSuspected(
                    Suspicion(row.entry.id, serial, "Something else is where the blob's file was.")
                ) from error
            raise self._latch.judge(error) from error
        try:
            length = self._fs.size(descriptor)
        except OSError as error:
            self._let_go(descriptor)
            raise self._latch.judge(error) from error
        if length != row.entry.size:
            self._let_go(descriptor)
            why = f"The file of the blob has {length} bytes instead of {row.entry.size}."
            raise BytesSuspected(Suspicion(row.entry.id, serial, why))
        return descriptor

    def _let_go(self, descriptor: int) -> None:
        """Close a file that was only read: it is closed whatever the disk says, and nothing hangs on that."""
        with contextlib.suppress(OSError):
            self._fs.close(descriptor)

    def _failed_reading(self, row: Row, error: OSError | BlobTruncated) -> SOSError:
        """Say what it means that a file that was sound when it was opened cannot be read to its end."""
        if isinstance(error, OSError):
            return self._latch.judge(error)
        self._suspect(Suspicion(row.entry.id, row.file, str(error)))
        return BlobDamaged(row.entry.id)


class _StoredFile(FileBody):
    """The bytes of a larger blob; failures of the disk come out as what they mean."""

    def __init__(self, descriptor: int, span: Span, failed: Callable[[OSError | BlobTruncated], SOSError]) -> None:
        super().__init__(descriptor, span.start, span.length)
        self._failed = failed

    def next_piece(self) -> bytes:
        """Read the next bytes."""
        try:
            return super().next_piece()
        except (OSError, BlobTruncated) as error:
            raise self._failed(error) from error
