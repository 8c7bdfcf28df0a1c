"""The tree of larger blobs: which file holds which bytes, and how a staged file becomes one of them."""

from __future__ import annotations

import contextlib
import hashlib

from sos.store.files import Fs
from sos.words.blob import BlobID

BLOBS = "blobs"
STAGING = "staging"
QUARANTINE = "quarantine"
DIRECTORIES = (BLOBS, STAGING, QUARANTINE)
"""What a store has beside its database and its marker."""

_TRIAL = f"{STAGING}/trial"
_TRIAL_BYTES = 64 * 1024
"""As many as the largest blob in the database has: where these fit, it was not for want of room that a commit failed."""

_NUMBERS = 32
"""Bits of the numbers that one opening has."""


class Serials:
    """Numbers that no file of this store ever had or will have again.

    A file gets its number before its row is committed, so the numbers of a process that was killed cannot be known from
    the rows. Hence each opening of a store has 2^32 numbers of its own.
    """

    def __init__(self, opening: int) -> None:
        """Begin the numbers of one opening."""
        self._last = opening << _NUMBERS

    def next(self) -> int:
        """Give a fresh number. Called in the reactor's thread only."""
        self._last += 1
        return self._last


class Tree:
    """Files under ``blobs/ab/cd/<id>.<serial>``, ab and cd from a hash of the ID: 65,536 directories, evenly filled."""

    def __init__(self, fs: Fs) -> None:
        """Keep the tree in these files."""
        self._fs = fs
        self._durable: set[str] = set()

    def name(self, blob_id: BlobID, serial: int) -> str:
        """Give the name of a blob's file."""
        return f"{directory_of(blob_id)}/{blob_id}.{serial}"

    def publish(self, staged: str, blob_id: BlobID, serial: int) -> None:
        """Give a staged file, whose bytes are durable, its place, durably. Blocks: in a thread, before its row is committed.

        The serial is fresh: there is nothing that the rename could replace.
        """
        directory = directory_of(blob_id)
        self._make_way(directory)
        name = self.name(blob_id, serial)
        self._fs.rename(staged, name)
        try:
            self._fs.sync_directory(directory)  # started after the rename: one that runs already may have missed it
        except OSError:
            with contextlib.suppress(OSError):  # the failed fsync is the one to tell, for it is final
                self._fs.unlink(name)
            raise

    def remove(self, blob_id: BlobID, serial: int) -> None:
        """Remove a file that no row names any more. A write of the same ID cannot meet this: it has another serial."""
        self._fs.unlink(self.name(blob_id, serial))

    def open(self, blob_id: BlobID, serial: int) -> int:
        """Open a blob's file for reading."""
        return self._fs.open(self.name(blob_id, serial))

    def holds(self, blob_id: BlobID, serial: int, size: int) -> bool:
        """Say whether a blob's file is there in its full length."""
        try:
            descriptor = self.open(blob_id, serial)
        except FileNotFoundError:
            return False
        try:
            return self._fs.size(descriptor) == size
        finally:
            self._fs.close(descriptor)

    def try_disk(self) -> None:
        """Write a little, and take it back. Raises `OSError` with what the disk has to say. Blocks: one thread at a time."""
        descriptor = self._fs.create(_TRIAL)
        try:
            self._fs.write(descriptor, bytes(_TRIAL_BYTES))
        finally:
            try:
                self._fs.close(descriptor)
            finally:
                self._fs.unlink(_TRIAL)

    def _make_way(self, directory: str) -> None:
        """Make the two directories above a file, durably.

        Who finds a directory does not know that it is durable: another thread may have made it just now, or a process
        that was killed. So each is synced once by every process, whoever made it; two threads may both do it.
        """
        parent = directory.rpartition("/")[0]
        for above, name in ((BLOBS, parent), (parent, directory)):
            if name not in self._durable:
                self._fs.make_directory(name)
                self._fs.sync_directory(above)
                self._durable.add(name)


def opening_of(serial: int) -> int:
    """Say in which opening of its store a file got its number."""
    return serial >> _NUMBERS


def directory_of(blob_id: BlobID) -> str:
    """Give the directory of a blob's files."""
    digest = hashlib.sha256(blob_id.encode("ascii")).hexdigest()
    return f"{BLOBS}/{digest[:2]}/{digest[2:4]}"
