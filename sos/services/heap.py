"""The heap of a process that moves much through memory."""

from __future__ import annotations

import gc

LARGEST_OF_USE = 32 * 1024 * 1024 - 64 * 1024
"""Bytes: glibc learns nothing from a block of more than 32 MiB (``DEFAULT_MMAP_THRESHOLD_MAX``)."""

OBJECTS = 5000
"""New objects, beyond those that went, before the collector looks for cycles among them; Python's own number is 700, since
3.13 2,000. The requests of a few hundred clients are more than that, and none of them is a cycle."""


def keep_freed_memory() -> None:
    """Have the allocator keep up to 64 MiB of what was freed, instead of giving all of it back to the system each time.

    A chunk that was poured is freed at once, and the next one would have to be paid for page by page: of the 1.6 s that a
    core needs to read 1 GiB from a socket, the faults of these pages take 1.1 s. glibc moves its thresholds with the largest
    block that it has seen freed, so it is shown one; not a page of that is ever touched. Other allocators do not care.
    """
    bytes(LARGEST_OF_USE)


def look_less_for_cycles() -> None:
    """Have the collector leave alone what was loaded at the start, and look at the rest less often.

    To go through all modules takes tens of milliseconds, in which nobody is answered, and finds nothing: they stay as long
    as the process. Of an import it is a tenth of the processor time.
    """
    if not gc.get_freeze_count():
        gc.freeze()
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])
