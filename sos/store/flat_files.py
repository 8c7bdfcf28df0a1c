"""Flat files: a data directory of the ancestor, each blob in a file under its ID, its metadata beside it in ``ID.json``.

Read and written here; nothing else of a store is in such a directory, neither versions nor tombstones.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from sos.decisions.digests import Expected
from sos.decisions.sidecar import SUFFIX
from sos.http.bodies import FileBody
from sos.words.blob import BlobID, blob_id
from sos.words.errors import InvalidBlobID

SMALL = 64 * 1024
"""Bytes of the largest file that is read at once."""

_MOST_SIDECAR = 1024 * 1024
"""Bytes of a sidecar that are read: more than any that can be kept has, so a longer one is seen to be too long."""

_PIECE = 1024 * 1024
_PART = ".part"


@frozen
class FlatFile:
    """A file with the bytes of a blob. How many they are is not asked before it is opened: there may be very many files."""

    blob_id: BlobID


@frozen
class Misfit:
    """Something else in such a directory, and why it is left there."""

    name: str
    why: str


class FlatDirectory:
    """The files of a directory, in no order. Every call blocks; each raises `OSError`."""

    def __init__(self, path: Path) -> None:
        """Work in a directory."""
        self._path = path
        self._prefix = f"{path}/"

    def check(self) -> None:
        """See that the directory can be read, before anything is made because of it. Raises `OSError`."""
        os.scandir(self._path).close()

    def __iter__(self) -> Iterator[FlatFile | Misfit]:
        """Go through all that is there; no more of it is in memory than one name."""
        with os.scandir(self._path) as names:
            for found in names:
                if not found.name.endswith(SUFFIX):
                    yield _judged(found)
                elif found.name == SUFFIX or not os.path.lexists(self._path / found.name.removesuffix(SUFFIX)):
                    yield Misfit(found.name, "there is no file that it is the metadata of")

    def read(self, file: FlatFile) -> bytes | None:
        """Read a small file, None where it is larger than `SMALL`."""
        descriptor = self._opened(file.blob_id)
        try:
            payload = os.read(descriptor, SMALL + 1)
        finally:
            os.close(descriptor)
        return payload if len(payload) <= SMALL else None

    def open(self, file: FlatFile) -> FileBody:
        """Open a file: its body has the bytes that are there now."""
        descriptor = self._opened(file.blob_id)
        return FileBody(descriptor, 0, os.fstat(descriptor).st_size)

    def sidecar(self, name: BlobID) -> bytes | None:
        """Read the metadata of a blob, None where there are none."""
        try:
            descriptor = self._opened(f"{name}{SUFFIX}")
        except FileNotFoundError:
            return None
        try:
            return os.read(descriptor, _MOST_SIDECAR)
        finally:
            os.close(descriptor)

    def _opened(self, name: str) -> int:
        """Open a file: of a hundred thousand small ones, in a row, so without what Python has around descriptors."""
        return os.open(self._prefix + name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    # Writing

    def size(self, name: BlobID) -> int | None:
        """Give the length of a blob's file, None where there is none."""
        try:
            return (self._path / name).lstat().st_size
        except FileNotFoundError:
            return None

    def has(self, name: BlobID, expected: Expected) -> bool:
        """Read a blob's file, and say whether its bytes have a digest."""
        digest = expected.hasher()
        with (self._path / name).open("rb", buffering=0) as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
        return digest.digest() == expected.digest

    def begin(self, name: BlobID) -> FlatPart:
        """Begin to write a blob's file."""
        return FlatPart(self._path, name)

    def set_sidecar(self, name: BlobID, payload: bytes | None) -> None:
        """Write the metadata of a blob, durably, or see that there are none."""
        if payload is None:
            (self._path / f"{name}{SUFFIX}").unlink(missing_ok=True)
            return
        part = self._path / f".{name}{SUFFIX}{_PART}"
        with part.open("wb") as opened:
            opened.write(payload)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(self._path / f"{name}{SUFFIX}")

    def settle(self) -> None:
        """Make all names durable."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FlatPart:
    """A file that is being written under another name; one that was left behind is written over."""

    def __init__(self, directory: Path, name: BlobID) -> None:
        """Begin."""
        self._final = directory / name
        self._part = directory / f".{name}{_PART}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._part, flags, 0o666), "wb", buffering=0)

    def write(self, piece: bytes) -> None:
        """Write the next bytes, all of them."""
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]

    def keep(self) -> None:
        """Make the bytes durable, and give the file its name."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._final)

    def discard(self) -> None:
        """Forget it."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._part.unlink()


def _judged(found: os.DirEntry[str]) -> FlatFile | Misfit:
    try:
        name = blob_id(os.fsencode(found.name))
    except InvalidBlobID:
        return Misfit(found.name, "its name is no ID: 1 to 128 characters, each of a-z or 0-9")
    if not found.is_file(follow_symlinks=False):
        return Misfit(found.name, "it is no file")
    return FlatFile(name)
