"""Room: whether a disk may take more bytes, or has to keep the rest for deletes and for the rounds that free space."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from sos.store.files import Fs, Room
from sos.words.errors import StoreFull

FEWEST_INODES = 64
"""Inodes that are kept free: the database makes files of its own."""


@frozen
class Reserve:
    """The part of a disk that uploads may not use, so that deletes work on a full one."""

    percent: float = 1.0
    least: int = 64 * 1024 * 1024
    inodes: int = FEWEST_INODES

    @property
    def half(self) -> Reserve:
        """What is left of it for deletes when good bytes for damaged blobs have used the other half."""
        return Reserve(self.percent / 2, self.least // 2, self.inodes // 2)

    def bytes_of(self, total: int) -> int:
        """Give the reserve of a disk of `total` bytes."""
        return max(self.least, int(total * self.percent / 100))


class Admission:
    """Lets bytes in while the reserve stays whole."""

    def __init__(self, fs: Fs, reserve: Reserve, free_pages: Callable[[], int], to_copy: Callable[[], int]) -> None:
        """Guard the disk of `fs`.

        `free_pages` gives the bytes in the database that small blobs can fill again, `to_copy` those in the WAL that may
        make it grow: without room for them the WAL could not be emptied, and there would be no more deletes, whatever the
        reserve.
        """
        self._fs = fs
        self._reserve = reserve
        self._free_pages = free_pages
        self._to_copy = to_copy

    def of_awaited(self) -> Admission:
        """Give what lets in bytes that heal a damaged blob: they were here before, and must not wait for room to be made."""
        return Admission(self._fs, self._reserve.half, self._free_pages, self._to_copy)

    def admit(self, size: int) -> None:
        """Raise `StoreFull` unless so many bytes fit into a file of their own. Raises `OSError`, as the disk does."""
        room = self._fs.room()
        if room.free_inodes < self._reserve.inodes:
            raise StoreFull("The store's disk has no more inodes.")
        if self._beyond_reserve(room) < size:
            raise StoreFull("The store's disk has no more room beyond its reserve.")

    def admit_small(self, size: int) -> None:
        """Raise `StoreFull` unless so many bytes fit into the database, to which they come through the WAL."""
        if self._beyond_reserve(self._fs.room()) < 2 * size and self._free_pages() < size:
            raise StoreFull("The store's disk has no more room beyond its reserve.")

    def is_short(self, margin: int) -> bool:
        """Whether fewer than `margin` bytes are left before the reserve. Raises `OSError`."""
        return self._beyond_reserve(self._fs.room()) < margin

    def _beyond_reserve(self, room: Room) -> int:
        return room.free_bytes - self._reserve.bytes_of(room.total_bytes) - self._to_copy()
