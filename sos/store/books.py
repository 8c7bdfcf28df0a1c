"""Books: what is kept beside the entries and must agree with them: counts, bucket digests, the highest version.

They are written in the transaction that changes the entries, so that they are right after a crash as well, and nothing
has to be walked through at the start.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence

from sos.decisions.buckets import EMPTY, changed, is_digest, takes_part, xor
from sos.store import kept, schema
from sos.store.kept import Pending
from sos.words.blob import Entry

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
        self._pending = Pending()
        self._committed_pending = Pending()

    def open(self) -> int:
        """Write into their tables what an earlier process left pending, and give the highest version that is stored."""
        self._pending = kept.pending_in(self._connection.execute)
        self.enter()
        highest = kept.highest_in(self._connection.execute)
        self._highest = highest if type(highest) is int else 0  # the scrub finds that it is none
        self.committed()
        return self._highest

    def begin(self) -> None:
        """Begin a transaction; what an earlier one that failed had noted is forgotten."""
        self._counts.clear()
        self._moved.clear()
        self._is_touched = False
        self._highest = self._committed_highest
        self._pending = self._committed_pending

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
        self._counts[kept.HEALED] += 1

    def touch(self) -> None:
        """Note that the tables may be written by others in this transaction."""
        self._is_touched = True

    def see(self, version: int) -> None:
        """Note that a version is stored."""
        self._highest = max(self._highest, version)

    def settle(self) -> None:
        """Write down what the transaction has changed so far: its last step."""
        is_other = any(self._counts.values()) or bool(self._moved) or self._is_touched
        if is_other or self._highest > self._committed_highest:
            before, self._pending = self._pending, self._noted(is_other)
            if self._pending.is_long:
                self.enter()
            elif self._pending != before:
                kept.write(self._connection, self._pending)
        self._counts.clear()
        self._moved.clear()

    def _noted(self, is_other: bool) -> Pending:
        """Add what the transaction has changed to what was pending."""
        before = self._pending
        moves = kept.moves_of([(bucket, changed(EMPTY, *entries)) for bucket, entries in self._moved.items()])
        counts = {name: before.counts.get(name, 0) + self._counts[name] for name in kept.NAMES}
        changed_counts = {name: value for name, value in counts.items() if value}
        return Pending(before.settled + is_other, self._highest, changed_counts, before.moves + moves)

    def enter(self) -> None:
        """Write all that is pending into the tables: when it has grown long, and before books are mended."""
        pending = self._pending
        self._connection.executemany(_ADD, pending.counts.items())
        digests = [(bucket, xor(self._digest_of(bucket), change)) for bucket, change in pending.changes().items()]
        self._connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?)", digests)
        if pending.highest:
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'highest'", (pending.highest,))
        self._pending = Pending(pending.settled)
        kept.write(self._connection, self._pending)

    def _digest_of(self, bucket: int) -> bytes:
        found = self._connection.execute("SELECT digest FROM digests WHERE bucket = ?", (bucket,)).fetchone()
        return found[0] if found is not None and is_digest(found[0]) else EMPTY

    def committed(self) -> None:
        """Note that what was settled is durable."""
        self._committed_highest = self._highest
        self._committed_pending = self._pending


def put_to_rest(connection: sqlite3.Connection) -> None:
    """Leave the books of a database in their tables: there a person looks for them, and an earlier program."""
    Books(connection).open()
    schema.set_layout(connection, schema.AT_REST)
