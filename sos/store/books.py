"""Books: what is kept beside the entries and must agree with them: counts, bucket digests, the highest version.

They are written in the transaction that changes the entries, so that they are right after a crash as well, and nothing
has to be walked through at the start.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence

from sos.decisions.buckets import EMPTY, changed, takes_part
from sos.words.blob import Entry

HEALED = "healed"
"""The count of damaged entries that good bytes were brought to, ever. It is not one of what is held."""

SETTLED = "settled"
"""The note of how often digests or counts were written: whoever has read them knows by it whether they are the same."""

_COUNT = f"INSERT INTO meta VALUES ('{SETTLED}', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
_ADD = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


def counted(entry: Entry) -> Sequence[tuple[str, int]]:
    """Give what an entry adds to the counts: to ``live`` and ``size``, ``damaged`` or ``deleted``; and to ``strays``."""
    if not entry.is_live:
        counts = [("deleted", 1)]
    elif entry.is_damaged:
        counts = [("damaged", 1)]
    else:
        counts = [("live", 1), ("size", entry.size or 0)]
    return [*counts, ("strays", 1)] if entry.is_stray else counts


class Books:
    """The books of the index, for the thread that writes it. Raises what `sqlite3` raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Keep them in the tables of this database."""
        self._connection = connection
        self._counts: Counter[str] = Counter()
        self._moved: defaultdict[int, list[Entry]] = defaultdict(list)
        self._is_touched = False
        self._highest = 0
        self._committed_highest = 0

    def open(self, highest: int) -> None:
        """Begin behind the highest version that is stored."""
        self._highest = self._committed_highest = highest

    def begin(self) -> None:
        """Begin a transaction; what an earlier one that failed had noted is forgotten."""
        self._counts.clear()
        self._moved.clear()
        self._is_touched = False
        self._highest = self._committed_highest

    def come(self, bucket: int, entry: Entry) -> None:
        """Note that an entry has come into its bucket."""
        self._highest = max(self._highest, entry.version)
        self._move(bucket, entry, 1)

    def go(self, bucket: int, entry: Entry) -> None:
        """Note that an entry has gone; the highest version stays, for a clock never goes back."""
        self._move(bucket, entry, -1)

    def _move(self, bucket: int, entry: Entry, sign: int) -> None:
        for name, number in counted(entry):
            self._counts[name] += sign * number
        if takes_part(entry):
            self._moved[bucket].append(entry)

    def heal(self) -> None:
        """Note that good bytes have taken the place of damaged ones."""
        self._counts[HEALED] += 1

    def touch(self) -> None:
        """Note that the tables may be written by others in this transaction."""
        self._is_touched = True

    def see(self, version: int) -> None:
        """Note that a version is stored."""
        self._highest = max(self._highest, version)

    def settle(self) -> None:
        """Write what the transaction has changed so far: its last step, or before books are mended."""
        counts = [(name, value) for name, value in self._counts.items() if value]
        self._connection.executemany(_ADD, counts)
        digests = [(bucket, self._digest_after(bucket, entries)) for bucket, entries in self._moved.items()]
        self._connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?)", digests)
        if counts or digests or self._is_touched:
            self._connection.execute(_COUNT)
        if self._highest > self._committed_highest:
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'highest'", (self._highest,))
        self._counts.clear()
        self._moved.clear()

    def committed(self) -> None:
        """Note that what was settled is durable."""
        self._committed_highest = self._highest

    def _digest_after(self, bucket: int, entries: Sequence[Entry]) -> bytes:
        found = self._connection.execute("SELECT digest FROM digests WHERE bucket = ?", (bucket,)).fetchone()
        return changed(EMPTY if found is None else bytes(found[0]), *entries)
