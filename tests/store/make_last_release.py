"""Makes the store of the last release that ``test_last_release.py`` reads: run it once for each release, and commit it.

    python -m tests.store.make_last_release

It is made by the program as it is, with a clock that stands still, so that it holds the same every time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sos.store.disk import DiskStore
from sos.store.opening import open_disk_store
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from tests.support import bytes_body, immediately, success_of

HERE = Path(__file__).with_name("last_release")
NOW = 1_700_000_000.0
UUID = "00000000-0000-4000-8000-000000000001"
FIRST = Version(int(NOW * 1000) << 16)
"""Versions go on from here."""

EXPIRES = 4_000_000_000
"""In the year 2096."""

METADATA = Metadata.of([(b"X-Orig-Filename", b"caf\xe9.txt"), (b"X-Mime-Type", b"text/plain")])
LIVE = {
    Entry(id=BlobID("empty"), version=Version(FIRST)): b"",
    Entry(id=BlobID("small"), version=Version(FIRST + 1), metadata=METADATA): b"hello",
    Entry(id=BlobID("pages"), version=Version(FIRST + 2)): bytes(10_000),
    Entry(id=BlobID("large"), version=Version(FIRST + 3), metadata=METADATA): bytes(70_000),
    Entry(id=BlobID("expiring"), version=Version(FIRST + 4), expires=EXPIRES): b"not yet",
    Entry(id=BlobID("chunk"), version=Version(FIRST + 5), kind=Kind.CHUNK): b"a chunk",
    Entry(id=BlobID("manifest"), version=Version(FIRST + 6), kind=Kind.MANIFEST): b"a manifest",
    Entry(id=BlobID("stray"), version=Version(FIRST + 7), is_stray=True): b"far from home",
    Entry(id=BlobID("old"), version=Version(0)): b"of the old contract",
}
"""All kinds of entries, each with its bytes."""

DELETED = {BlobID("gone"): Version(FIRST + 20), BlobID("never"): Version(FIRST + 21)}
"""Tombstones: of a blob that was there, and of one that never was."""

ROUND, GROUP = 17, "default"
HIGHEST = Version(FIRST + 21)


def main() -> None:
    """Make it anew."""
    shutil.rmtree(HERE, ignore_errors=True)
    store = open_disk_store(
        HERE, in_thread=immediately, commit_in_thread=immediately, wall=lambda: NOW, make_uuid=lambda: UUID
    )
    fill(store)
    success_of(store.close())
    for directory in ("staging", "quarantine"):
        (HERE / directory).rmdir()  # they are empty, and would not be kept anyway


def fill(store: DiskStore) -> None:
    """Put everything in."""
    for entry, payload in LIVE.items():
        success_of(store.receive(entry, bytes_body(payload)))
    success_of(store.receive(Entry(id=BlobID("gone"), version=Version(FIRST + 10)), bytes_body(b"x" * 300)))
    for name, version in DELETED.items():
        success_of(store.remove(name, version))
    success_of(store.note_round(ROUND, GROUP))


if __name__ == "__main__":
    main()
