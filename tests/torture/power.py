"""A disk whose power can be cut: an ext4 file system in a file, whose journal is stopped as if the machine had gone.

What was not synced is lost, as far as ext4 has not written it by itself; what the hardware does below that is not shown.
Needs root and a loop device.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SHUTDOWN = 0x8004587D
"""The request FS_IOC_SHUTDOWN of ext4; its argument 2 lets the log go without a flush."""

_NO_LOG_FLUSH = 2
_BYTES = 192 * 1024 * 1024


class PowerDisk:
    """A mounted file system."""

    def __init__(self, image: Path, mounted: Path, options: str) -> None:
        """Be the file system in an image, mounted here with some options."""
        self.path = mounted
        self._image = image
        self._options = ",".join(filter(None, ["loop", options]))

    def format(self) -> None:
        """Make the file system, and mount it."""
        with self._image.open("wb") as image:
            image.truncate(_BYTES)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.path.mkdir()
        self.mount()

    def mount(self) -> None:
        """Mount it; after a cut this replays the journal.

        A program that was given a mount namespace of its own since it was mounted holds it still, without power; then a
        copy is mounted, or it would be the same file system as before.
        """
        if _run("losetup", "--associated", str(self._image)):
            image = self._image.with_name(f"{self._image.name}x")
            _run("cp", "--sparse=always", str(self._image), str(image))
            self._image = image
        _run("mount", "-o", self._options, str(self._image), str(self.path))

    def cut(self) -> None:
        """Cut the power: from now on nothing reaches the disk."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount it: nobody may have a file open on it."""
        _run("umount", str(self.path))


@contextmanager
def power_disk(directory: Path, options: str) -> Iterator[PowerDisk]:
    """Make a disk whose power can be cut; a loud skip where this machine does not let us."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not Path("/dev/loop-control").exists():
        pytest.skip("SKIPPED: only root can cut the power of a disk, with mkfs.ext4 and a loop device")
    disk = PowerDisk(directory / "image", directory / "mounted", options)
    try:
        disk.format()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"SKIPPED: no file system in a file can be mounted: {error.stderr.strip()}")
    try:
        yield disk
    finally:
        if disk.path.is_mount():
            disk.unmount()


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
