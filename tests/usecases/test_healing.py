"""What is damaged and of which its group has no good copy: another group's will do."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from sos.decisions.manifest import chunk_id
from sos.http.bodies import collect
from sos.store.memory import MemoryStore
from sos.usecases.copying import Round
from sos.usecases.healing import AGAIN
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Kind, Version
from sos.words.errors import BlobNotFound, ServerUnavailable
from sos.words.versions import HybridClock
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_with, memory_store, put

PAYLOAD = b"hello"
CHUNK = chunk_id(bytes.fromhex("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"))
DOWN = ServerUnavailable("http://c:3001", "connection refused")


class Site:
    """Two groups, of two members and of one, and an api that runs rounds over them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.a, self.b, self.c = (memory_store(name) for name in "abc")
        self.other = Flaky(self.c)
        self.first = Flaky(self.a)
        groups = {"one": {"a": self.first, "b": self.b}, "two": {"c": self.other}}
        self._replication = Replication(
            cluster_with(HybridClock(lambda: NOW), groups, self.clock),  # type: ignore[arg-type]
            SilentReporter(),
        )

    def round(self) -> Round:
        """Run a round; give what it came to."""
        self.first.calls.clear()
        self.other.calls.clear()
        return success_of(self._replication.round())

    def damaged_at_a(self, version: int = 5) -> None:
        """Leave the one copy of group one at a member, damaged."""
        put(self.a, PAYLOAD, CHUNK, version, Kind.CHUNK)
        self.a.damage(BlobID(CHUNK))


def version_at(store: MemoryStore) -> int:
    """Give the version of the chunk at a store that holds it whole."""
    opened = success_of(store.fetch(BlobID(CHUNK)))
    assert success_of(collect(opened.body, 100)) == PAYLOAD
    return opened.entry.version


def test_a_chunk_is_healed_from_another_group() -> None:
    """Then the rest of its group gets it, as any other."""
    for here, there in ((5, 7), (7, 5), (5, 5)):
        site = Site()
        site.damaged_at_a(here)
        put(site.c, PAYLOAD, CHUNK, there, Kind.CHUNK)
        assert site.round().copied == 1
        assert version_at(site.a) == max(here, there)
        assert site.a.status().damaged == 0
        assert site.round().copied == 1
        assert version_at(site.b) == max(here, there)
        assert site.round().copied == 0
        assert site.first.calls == ["summary", "note_round"]


@pytest.mark.parametrize("expires", [None, int(NOW) - 60])
@pytest.mark.parametrize("kind", [Kind.BLOB, Kind.MANIFEST])
def test_so_is_any_blob_that_another_group_has_with_the_same_bytes(kind: Kind, expires: int | None) -> None:
    """Its home was another once, or its upload went on there. That it has expired does not matter: members are to agree."""
    site = Site()
    for store in (site.a, site.c):
        entry = Entry(id=BlobID("abc"), version=Version(5), kind=kind, expires=expires)
        success_of(store.receive(entry, bytes_body(PAYLOAD)))
    site.a.damage(BlobID("abc"))
    assert site.round().copied == 1
    assert site.a.status().damaged == 0
    assert site.round().copied == 1
    assert success_of(site.a.summary()).root == success_of(site.b.summary()).root


@pytest.mark.parametrize("kind", [Kind.BLOB, Kind.MANIFEST])
def test_other_bytes_are_no_cure(kind: Kind) -> None:
    """Nor is what is a stray here: whoever has that whole carries it home."""
    site = Site()
    put(site.a, PAYLOAD, "abc", 5, kind)
    put(site.c, b"other", "abc", 7, kind)
    site.a.damage(BlobID("abc"))
    stray = Entry(id=BlobID("stray"), version=Version(5), kind=kind, is_stray=True)
    success_of(site.a.receive(stray, bytes_body(PAYLOAD)))
    site.a.damage(stray.id)
    assert site.round().copied == 0
    assert site.a.status().damaged == 2


def test_what_nobody_has_is_not_asked_for_in_every_round() -> None:
    """All blobs of the member are gone through for it: once an hour, and when there is more damage."""
    site = Site()
    site.damaged_at_a()
    site.round()
    assert site.other.calls.count("stat") == 1
    site.round()
    assert "stat" not in site.other.calls and "of_kind" not in site.first.calls
    site.clock.advance(AGAIN)
    site.round()
    assert site.other.calls.count("stat") == 1
    put(site.a, b"more", "damage")
    site.a.damage(BlobID("damage"))
    site.round()
    assert site.other.calls.count("stat") == 2
    assert isinstance(failure_of(site.c.stat(BlobID(CHUNK))), BlobNotFound)


def test_a_group_that_was_out_of_reach_is_asked_again() -> None:
    """In the next round: it may have what was not found."""
    site = Site()
    site.damaged_at_a()
    put(site.c, PAYLOAD, CHUNK, 5, Kind.CHUNK)
    site.other._always = DOWN
    assert site.round().copied == 0
    site.other._always = None
    assert site.round().copied == 1
    assert version_at(site.a) == 5


def test_an_object_under_the_name_of_a_chunk_heals_nothing() -> None:
    """A name proves nothing where the kind is another."""
    site = Site()
    site.damaged_at_a()
    put(site.c, b"other", CHUNK, 5, Kind.BLOB)
    assert site.round().copied == 0
    assert site.a.status().damaged == 1
