"""Where a download goes: a file that is there whole or not at all, or the standard output."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO, Protocol

from sos.words.errors import BadInput


class ITarget(Protocol):
    """Takes the bytes of a download."""

    name: str
    """For people."""

    def write(self, piece: bytes) -> object:
        """Take the next bytes. Raises `OSError`."""

    def keep(self) -> None:
        """All bytes are there, and they are right. Raises `OSError`, and `BadInput` where a file has come in between."""

    def discard(self) -> None:
        """It is over. What was not kept is removed."""


class FileTarget:
    """A file. What comes is written into another beside it, which gets its name at the end."""

    def __init__(self, path: Path, may_replace: bool) -> None:
        """Begin to write. Raises `BadInput` where the file must not be replaced, or cannot be written."""
        self.name = str(path)
        self._path = path
        self._may_replace = may_replace
        self._check()
        try:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".sos-", suffix=".part")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}.") from None
        self._part = Path(name)
        self._file: BinaryIO = os.fdopen(descriptor, "wb")

    def write(self, piece: bytes) -> None:
        """Write the next bytes."""
        self._file.write(piece)

    def keep(self) -> None:
        """Give the file its name, once its bytes are on the disk."""
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o666 & ~_umask())  # as any new file; a temporary one is nobody else's to read
        os.fsync(self._file.fileno())
        self._check()
        if self._may_replace:
            self._part.replace(self._path)
        else:
            self._name_new_file()

    def discard(self) -> None:
        """Remove what has not got its name."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _name_new_file(self) -> None:
        """Take the name in a way that fails where another file has got it meanwhile, on file systems that have one."""
        try:
            self._path.hardlink_to(self._part)
        except FileExistsError:
            raise self._there_already() from None
        except OSError:
            self._part.replace(self._path)

    def _check(self) -> None:
        if not os.path.lexists(self._path):
            return
        if not self._may_replace:
            raise self._there_already()
        if not self._path.is_file():
            raise BadInput(f"{self._path} is no file, and is not replaced.")

    def _there_already(self) -> BadInput:
        return BadInput(f"{self._path} is there already; --force replaces it.")


class StreamTarget:
    """The standard output. What was written cannot be taken back: whoever reads it looks at the exit status."""

    name = "the standard output"

    def __init__(self, stream: BinaryIO) -> None:
        """Write to a stream."""
        self._stream = stream

    def write(self, piece: bytes) -> None:
        """Write the next bytes."""
        self._stream.write(piece)

    def keep(self) -> None:
        """Write what is still waiting."""
        self._stream.flush()

    def discard(self) -> None:
        """Do nothing."""


def _umask() -> int:
    """Give the umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
