"""Quarantine: damaged bytes are moved aside with a note why, and their entry stays, marked."""

from __future__ import annotations

import contextlib
import hashlib

from attrs import frozen

from sos.store.files import Fs
from sos.store.index import Index
from sos.store.rows import Row
from sos.store.tree import QUARANTINE, Tree
from sos.words.blob import BlobID


@frozen
class Suspicion:
    """Somebody found the bytes of a blob damaged: those in the file with the serial `file`, or in the database."""

    blob_id: BlobID
    file: int | None
    why: str


class Quarantine:
    """Sets damaged bytes apart. Blocks: it runs in the thread that writes the index."""

    def __init__(self, fs: Fs, tree: Tree) -> None:
        """Move files of `tree` within `fs`."""
        self._fs = fs
        self._tree = tree

    def set_apart(self, suspicion: Suspicion, serial: int, index: Index) -> bool:
        """Mark the entry and move its bytes away, unless they were replaced since they were suspected; say which.

        The bytes move before the mark is committed. After a crash in between they are missing, which is damage as well,
        and found in the same way. Raises `BlobDamaged` where the row itself cannot be trusted.
        """
        row = index.row(suspicion.blob_id)
        if row is None or not row.entry.is_live or row.entry.is_damaged or row.file != suspicion.file:
            return False
        name = f"{QUARANTINE}/{suspicion.blob_id}.{serial}"
        if row.file is None:
            payload = index.payload(row)
            if payload is not None and hashlib.sha256(payload).digest() == row.entry.sha256:
                return False
            keep(self._fs, name, payload)
        index.mark_damaged(row, self._move(row, name))
        keep_note(self._fs, name, suspicion.why)
        return True

    def _move(self, row: Row, name: str) -> int | None:
        """Move a row's file; give its serial where it has to stay."""
        if row.file is None:
            return None
        try:
            self._fs.rename(self._tree.name(row.entry.id, row.file), name)
        except FileNotFoundError:
            return None
        except OSError:  # the mark alone keeps it from being served
            return row.file
        return None


def keep(fs: Fs, name: str, payload: bytes | None) -> None:
    """Write bytes into quarantine where the disk lets us: they are evidence, and promised to nobody."""
    if payload is None:
        return
    with contextlib.suppress(OSError):
        descriptor = fs.create(name)
        try:
            fs.write(descriptor, payload)
        finally:
            fs.close(descriptor)


def keep_note(fs: Fs, name: str, why: str) -> None:
    """Write down why something was set apart."""
    keep(fs, f"{name}.why", f"{why}\n".encode())
