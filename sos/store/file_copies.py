"""The files of a backup: one more name for each file of the store, or a copy where the backup is on another file system.

A file of a store is written once and never changed, and its name is never used again: so what is here under a name stays
right for ever, and another backup into the same directory brings only what is new.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator

from sos.store.files import Fs
from sos.store.named_files import NamedFile
from sos.store.tree import BLOBS, Tree
from sos.words.blob import BlobID

_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
"""What a file system says where it can give a file no further name; EPERM also for a file of somebody else's."""

_PIECE = 1024 * 1024
_UNFINISHED = ".part"

_MODIFIED_WITHIN = 2 * 10**9
"""Nanoseconds by which two times of one writing may differ: some file systems know nothing finer than two seconds."""

Know = Callable[[BlobID, int], bool]
"""Whether a file of this ID and serial is known to be so."""


class UnsoundFile(Exception):
    """A file of the store that does not have the bytes it should; the text says in what way."""


class FileCopies:
    """Brings files from a store's tree into a backup's. Every call blocks, and raises `OSError`."""

    def __init__(self, source: Fs, target: Fs, is_settled: Know) -> None:
        """Bring files from `source` to `target`; `is_settled` knows what an earlier backup has made durable there."""
        self.counts: Counter[str] = Counter()
        """Files that were ``linked``, ``copied``, and ``removed``."""
        self._source = source
        self._target = target
        self._is_settled = is_settled
        self._tree = Tree(target)
        self._touched: set[str] = set()

    def bring(self, file: NamedFile) -> None:
        """See that a file is in the backup. Raises `FileNotFoundError` where it is nowhere, and `UnsoundFile`."""
        name = self._tree.name(file.blob_id, file.serial)
        if self._is_here(name, file):
            if not self._is_settled(file.blob_id, file.serial):
                self._touch(name)
            return
        size = self._source.look_at(name).st_size
        if size != file.size:
            raise UnsoundFile(f"its file has {size} bytes instead of {file.size}")
        self._touch(name)
        self._target.unlink(name)
        try:
            self._target.link_from(self._source, name)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            self._copy(name, file)
            self.counts["copied"] += 1
        else:
            self.counts["linked"] += 1

    def settle(self) -> None:
        """Make all names that were brought durable."""
        touched, self._touched = self._touched, set()
        for directory in sorted(touched):
            self._target.sync_directory(directory)

    def remove_others(self, are_wanted: Know) -> None:
        """Remove the files that nobody wants."""
        for directory, name in self._names():
            blob_id, _, serial = name.partition(".")
            if not (serial.isascii() and serial.isdigit() and are_wanted(BlobID(blob_id), int(serial))):
                self._target.unlink(f"{directory}/{name}")
                self.counts["removed"] += 1

    def _is_here(self, name: str, file: NamedFile) -> bool:
        """Whether the backup has a file, and the store none that has become another under the same name.

        That can only be where the store was started from a backup, and both it and the first one were backed up to here.
        """
        try:
            here = self._target.look_at(name)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(here.st_mode) or here.st_size != file.size:
            return False
        try:
            there = self._source.look_at(name)
        except FileNotFoundError:
            return True
        if there.st_size != file.size or os.path.samestat(here, there):
            return True
        return abs(here.st_mtime_ns - there.st_mtime_ns) <= _MODIFIED_WITHIN

    def _touch(self, name: str) -> None:
        """Make the directories of a file, and remember that they are not durable yet, whoever made them."""
        directory = name.rpartition("/")[0]
        if directory in self._touched:
            return
        above = directory.rpartition("/")[0]
        for made in (BLOBS, above, directory):
            self._target.make_directory(made)
        self._touched.update((".", BLOBS, above, directory))

    def _copy(self, name: str, file: NamedFile) -> None:
        """Copy a file's bytes, durably, and hash them as they pass."""
        part = name + _UNFINISHED
        self._target.unlink(part)
        with contextlib.ExitStack() as opened:
            reading = self._source.open(name)
            opened.callback(self._source.close, reading)
            writing = self._target.create(part)
            opened.callback(self._target.close, writing)
            digest = hashlib.sha256()
            while piece := self._source.read(reading, _PIECE):
                digest.update(piece)
                self._target.write(writing, piece)
            if digest.digest() != file.sha256 and not file.is_damaged:
                self._target.unlink(part)
                raise UnsoundFile("the bytes of its file do not have their SHA-256")
            self._target.set_modified(writing, self._source.look_at(name).st_mtime_ns)
            self._target.sync(writing)
        self._target.rename(part, name)

    def _names(self) -> Iterator[tuple[str, str]]:
        """Go through all files of the backup's tree; what is no directory where one should be is nothing of ours."""
        for first in self._names_in(BLOBS):
            for second in self._names_in(f"{BLOBS}/{first}"):
                directory = f"{BLOBS}/{first}/{second}"
                for name in self._names_in(directory):
                    yield directory, name

    def _names_in(self, directory: str) -> list[str]:
        try:
            return self._target.names(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
