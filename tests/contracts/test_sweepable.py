"""What every store promises that the sweep relies on: it lists whatever lives, and lets go of old chunks alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from sos.words.blob import BlobID, Entry, Kind, Version
from sos.words.errors import BadInput, BlobConflict, BlobNotFound
from sos.words.interfaces import Swept
from tests.contracts.replica_sites import NOW, SWEEP_AGE, Site
from tests.support import bytes_body, failure_of, success_of

LARGE = b"x" * 200_000
CHUNK = Entry(id=BlobID("c1"), version=Version(5), kind=Kind.CHUNK)
MANIFEST = Entry(id=BlobID("abc"), version=Version(5), kind=Kind.MANIFEST)
NAMED = (CHUNK.id, CHUNK.version)


def listed(site: Site, kind: Kind, after: str = "", limit: int = 1000) -> list[str]:
    """Name what the store lists of a kind."""
    return [entry.id for entry in success_of(site.store.of_kind(kind, after, limit))]


def swept(site: Site, *named: tuple[BlobID, Version], is_rehearsal: bool = False) -> Swept:
    """Sweep some chunks."""
    return success_of(site.store.sweep(named, is_rehearsal))


def grow_old(site: Site) -> None:
    """Let so much time pass that what is held may be swept."""
    site.moment.time += SWEEP_AGE + 1


def test_each_kind_is_listed_apart(site: Site) -> None:
    """In ascending order, page by page; tombstones are not among them."""
    for name in ("c3", "c1", "c2"):
        site.received(evolve(CHUNK, id=BlobID(name)))
    site.received(MANIFEST)
    site.received(Entry(id=BlobID("plain"), version=Version(5)))
    site.removed(BlobID("c2"), 6)
    assert listed(site, Kind.CHUNK) == ["c1", "c3"]
    assert listed(site, Kind.CHUNK, limit=1) == ["c1"]
    assert listed(site, Kind.CHUNK, after="c1") == ["c3"]
    assert listed(site, Kind.CHUNK, after="c3") == []
    assert listed(site, Kind.MANIFEST) == ["abc"]
    assert listed(site, Kind.BLOB) == ["plain"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda site: site.damage(MANIFEST.id), id="damaged"),
        pytest.param(lambda site: site.removed(BlobID("other"), 6), id="sound"),
    ],
)
def test_a_damaged_manifest_is_listed_too(site: Site, spoil: Callable[[Site], object]) -> None:
    """Its chunks are wanted as soon as it is healed."""
    site.received(MANIFEST)
    spoil(site)
    assert listed(site, Kind.MANIFEST) == ["abc"]


def test_an_expired_manifest_is_listed_while_it_has_its_bytes(site: Site) -> None:
    """A wrong clock hides it and must not cost it its chunks."""
    site.received(evolve(MANIFEST, expires=int(NOW) + 10))
    site.moment.time += 11
    assert isinstance(failure_of(site.store.stat(MANIFEST.id)), BlobNotFound)
    assert listed(site, Kind.MANIFEST) == ["abc"]


def test_a_stray_manifest_is_listed_too(site: Site) -> None:
    """It is on its way home."""
    site.received(evolve(MANIFEST, is_stray=True))
    assert listed(site, Kind.MANIFEST) == ["abc"]


@pytest.mark.parametrize("payload", [b"hello", LARGE])
def test_an_old_chunk_is_swept(site: Site, payload: bytes) -> None:
    """What is left is a tombstone of its own version, so that no other copy of it comes back."""
    site.received(CHUNK, payload)
    grow_old(site)
    assert swept(site, NAMED) == Swept(1, len(payload))
    assert isinstance(failure_of(site.store.fetch(CHUNK.id)), BlobNotFound)
    assert site.entries() == [Entry.tombstone(*NAMED)]
    assert isinstance(failure_of(site.store.receive(CHUNK, bytes_body(payload))), BlobConflict)


def test_a_chunk_that_was_taken_lately_stays(site: Site) -> None:
    """An upload that has not written its manifest yet may count on it."""
    site.received(CHUNK)
    site.moment.time += SWEEP_AGE - 1
    assert swept(site, NAMED) == Swept()
    assert site.fetched(CHUNK.id) == b"hello"


def test_a_renewed_chunk_stays(site: Site) -> None:
    """F33: neither under the version that was seen, nor under its new one before that is old."""
    held = site.received(CHUNK)
    grow_old(site)
    success_of(site.store.renew(evolve(held, version=Version(6))))
    assert swept(site, NAMED, (CHUNK.id, Version(6))) == Swept()
    grow_old(site)
    assert swept(site, NAMED) == Swept()
    assert swept(site, (CHUNK.id, Version(6))) == Swept(1, 5)


def test_a_chunk_that_was_healed_lately_stays(site: Site) -> None:
    """Whoever brought the bytes, an upload perhaps, counts on them; its older version says nothing of that."""
    site.received(CHUNK)
    site.damage(CHUNK.id)
    grow_old(site)
    site.received(evolve(CHUNK, version=Version(4)))
    assert swept(site, NAMED) == Swept()
    assert site.fetched(CHUNK.id) == b"hello"


def test_a_chunk_that_comes_again_lives(site: Site) -> None:
    """An upload after the sweep wins over its tombstone, as over any other."""
    site.received(CHUNK)
    grow_old(site)
    swept(site, NAMED)
    site.received(evolve(CHUNK, version=Version(6)))
    assert site.fetched(CHUNK.id) == b"hello"


def test_a_damaged_chunk_can_be_swept(site: Site) -> None:
    """Nobody has to heal what nobody wants."""
    site.received(CHUNK)
    site.damage(CHUNK.id)
    grow_old(site)
    assert swept(site, NAMED).chunks == 1
    assert site.entries() == [Entry.tombstone(*NAMED)]


@pytest.mark.parametrize("kind", [Kind.BLOB, Kind.MANIFEST])
def test_only_chunks_are_swept(site: Site, kind: Kind) -> None:
    """Whatever is asked for."""
    site.received(evolve(CHUNK, kind=kind))
    grow_old(site)
    assert swept(site, NAMED, (BlobID("nobody"), Version(1))) == Swept()
    assert site.fetched(CHUNK.id) == b"hello"


def test_a_rehearsal_changes_nothing(site: Site) -> None:
    """It says what a sweep would do."""
    site.received(CHUNK)
    grow_old(site)
    assert swept(site, NAMED, is_rehearsal=True) == Swept(1, 5)
    assert site.fetched(CHUNK.id) == b"hello"


def test_so_many_at_a_time_and_no_more(site: Site) -> None:
    """One request does not hold up all others."""
    assert swept(site, *[NAMED] * 1000) == Swept()
    assert isinstance(failure_of(site.store.sweep([NAMED] * 1001)), BadInput)
