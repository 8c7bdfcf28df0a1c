"""Checking one file of a blob: that it is there, in its full length, with the bytes that were stored."""

from __future__ import annotations

import errno
import hashlib

from sos.store.files import Fs
from sos.store.quarantine import Suspicion
from sos.store.tree import Tree
from sos.words.blob import Entry

PIECE = 1024 * 1024
"""Bytes read and hashed at a time: long enough that the disk is asked for a run of blocks, short enough to stop at once."""

_FOREIGN = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO})
"""What opening or reading says when something else has been put in the file's place."""


class FileCheck:
    """Reads a file, a piece a call. Every call blocks: in a thread, one at a time."""

    def __init__(self, fs: Fs, tree: Tree, entry: Entry, serial: int) -> None:
        """Check the file with this serial against an entry."""
        self.suspicion: Suspicion | None = None
        self._fs = fs
        self._tree = tree
        self._entry = entry
        self._serial = serial
        self._digest = hashlib.sha256()
        self._descriptor: int | None = None

    def open(self) -> None:
        """Open it, and have the system read it from the disk: what it remembers of it says nothing of the disk."""
        try:
            self._descriptor = self._tree.open(self._entry.id, self._serial)
        except FileNotFoundError:
            self._suspect("The file of the blob is missing.")
            return
        except OSError as error:
            if error.errno not in _FOREIGN:
                raise
            self._suspect("Something else is where the blob's file was.")
            return
        self._fs.forget(self._descriptor)
        size = self._fs.size(self._descriptor)
        if size != self._entry.size:
            self._suspect(f"The file of the blob has {size} bytes instead of {self._entry.size}.")

    def read_on(self) -> int:
        """Read the next piece and give its length; 0 where nothing is left to read, or something is wrong already.

        A piece that the disk cannot read is damage: the rest of the disk may be well.
        """
        if self._descriptor is None or self.suspicion is not None:
            return 0
        try:
            piece = self._fs.read(self._descriptor, PIECE)
        except OSError as error:
            if error.errno not in _FOREIGN | {errno.EIO}:
                raise
            self._suspect(f"The file of the blob cannot be read ({error.strerror}).")
            return 0
        self._digest.update(piece)
        if not piece and self._digest.digest() != self._entry.sha256:
            self._suspect("The bytes of the file do not have their SHA-256.")
        return len(piece)

    def close(self) -> None:
        """Close it, and let the system forget it: others need the memory more."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._fs.forget(descriptor)
            self._fs.close(descriptor)

    def _suspect(self, why: str) -> None:
        self.suspicion = Suspicion(self._entry.id, self._serial, why)
