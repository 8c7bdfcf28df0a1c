"""What every store promises that replication can work with: deletes, digests, strays, rounds and expiry."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from sos.decisions.buckets import BUCKETS, EMPTY, PARTS, bucket_of
from sos.http.bodies import collect
from sos.store.disk import DiskStore
from sos.words.blob import BlobID, Entry, Kind, State, Version
from sos.words.errors import BadInput, BlobConflict, BlobNotFound, OtherGroup, OtherIncarnation, Unavailable
from sos.words.interfaces import IBlobRemover, IBlobStore, IDigested, ILocalReplica, IScrubbed, ISweepable, ScrubStanding
from sos.words.versions import FURTHEST_AHEAD
from tests.contracts.replica_sites import AGE, GRACE, NOW, SITES, Site, metadata_of
from tests.store.scrubbing import run
from tests.support import bytes_body, failure_of, success_of

LARGE = 200_000
SIZES = [5, LARGE]
ABC = BlobID("abc")
LIVE = Entry(id=ABC, version=Version(5))


def payload_of(size: int) -> bytes:
    """Make bytes."""
    return b"x" * size


def sha256_of(size: int) -> bytes:
    """Give the digest of these bytes."""
    return hashlib.sha256(payload_of(size)).digest()


def names_of(site: Site) -> list[str]:
    """List what is live."""
    return list(success_of(site.store.enumerate()))


def root_of(site: Site) -> bytes:
    """Give the one digest."""
    return success_of(site.store.summary()).root


def test_it_can_remove_and_be_compared(site: Site) -> None:
    """All verbs are there, with the arguments of the interfaces."""
    for interface in (IBlobStore, IBlobRemover, IDigested, IScrubbed, ISweepable):
        assert verifyObject(interface, site.store)
    assert verifyObject(ILocalReplica, site.local)


# Scrubbing


def scrubbed(site: Site) -> ScrubStanding:
    """Ask for a pass, let it run, and give where the scrub stands then."""
    number = success_of(site.store.scrub())
    if isinstance(site.local, DiskStore):
        run(site.local, Clock())
    standing = success_of(site.store.scrub_standing())
    assert standing.passes == number
    return standing


def test_a_pass_finds_nothing_in_a_sound_store(site: Site) -> None:
    """Whatever it holds; and the next one has the next number."""
    site.received(LIVE, payload_of(LARGE))
    site.received(Entry(id=BlobID("stray"), version=Version(5), is_stray=True))
    site.removed(BlobID("gone"), 6)
    for number in (1, 2):
        assert scrubbed(site) == ScrubStanding(number, age=0.0)
    assert site.local.status().scrub == success_of(site.store.scrub_standing())


@pytest.mark.parametrize("size", SIZES)
def test_what_was_harmed_is_damaged_after_a_pass_and_healed_by_good_bytes(site: Site, size: int) -> None:
    """It is not there, it is not gone, and it is counted when it comes back."""
    site.received(LIVE, payload_of(size))
    site.harm(ABC)
    scrubbed(site)
    assert site.local.status().damaged == 1
    assert isinstance(failure_of(site.store.fetch(ABC)), Unavailable)
    site.received(LIVE, payload_of(size))
    assert site.fetched(ABC) == payload_of(size)
    assert (site.local.status().damaged, site.local.status().healed) == (0, 1)


# Removing


@pytest.mark.parametrize("size", SIZES)
def test_what_was_removed_is_gone(site: Site, size: int) -> None:
    """No verb gives it back, and no list has it."""
    site.received(LIVE, payload_of(size))
    removed = success_of(site.store.remove(ABC, Version(6)))
    assert (removed.entry, removed.was_known) == (Entry.tombstone(ABC, Version(6)), True)
    assert removed.store == site.local.uuid
    assert isinstance(failure_of(site.store.fetch(ABC)), BlobNotFound)
    assert isinstance(failure_of(site.store.stat(ABC)), BlobNotFound)
    assert names_of(site) == []


def test_what_was_never_known_leaves_a_tombstone_too(site: Site) -> None:
    """A copy of it may be under way."""
    assert not success_of(site.store.remove(ABC, Version(6))).was_known
    assert isinstance(failure_of(site.store.receive(LIVE, bytes_body(b"late"))), BlobConflict)
    assert site.entries() == [Entry.tombstone(ABC, Version(6))]


def test_removing_twice_is_not_an_error(site: Site) -> None:
    """A retry finds its own tombstone; a newer one replaces it."""
    for version in (6, 6, 7):
        assert site.removed(ABC, version).version == version
    assert site.entries() == [Entry.tombstone(ABC, Version(7))]


def test_an_older_removal_is_refused(site: Site) -> None:
    """What was uploaded after it stays; the one who asked learns the version."""
    held = site.received(LIVE)
    error = failure_of(site.store.remove(ABC, Version(4)))
    assert isinstance(error, BlobConflict)
    assert (error.reason, error.version) == (BlobConflict.OLDER, 5)
    assert success_of(site.store.stat(ABC)) == held


def test_a_removal_of_the_same_version_wins(site: Site) -> None:
    """That is what expiry and the sweep make."""
    site.received(LIVE)
    assert not site.removed(ABC, 5).is_live


@pytest.mark.parametrize("size", SIZES)
def test_a_late_copy_loses_to_a_tombstone(site: Site, size: int) -> None:
    """What was deleted while a member was away stays deleted."""
    site.removed(ABC, 7)
    error = failure_of(site.store.receive(evolve(LIVE, version=Version(6)), bytes_body(payload_of(size))))
    assert isinstance(error, BlobConflict)
    assert (error.reason, error.version) == (BlobConflict.OLDER, 7)
    assert names_of(site) == []


@pytest.mark.parametrize("size", SIZES)
def test_a_newer_upload_lives_again(site: Site, size: int) -> None:
    """Even with other bytes, for the old ones are gone."""
    site.received(LIVE, b"before")
    site.removed(ABC, 6)
    site.received(evolve(LIVE, version=Version(7)), payload_of(size))
    assert site.fetched(ABC) == payload_of(size)


def test_a_removal_moves_the_clock(site: Site) -> None:
    """What is asked for later is newer, whatever the wall clocks say; a version that no clock made is refused."""
    ahead = (int(NOW * 1000) << 16) + 10**9
    site.removed(ABC, ahead)
    assert site.local.clock.tick() > ahead
    assert isinstance(failure_of(site.store.remove(ABC, Version(ahead + FURTHEST_AHEAD))), BadInput)


def test_a_damaged_blob_can_be_removed(site: Site) -> None:
    """Nothing of it is needed for that."""
    site.received(LIVE)
    site.damage(ABC)
    site.removed(ABC, 6)
    assert site.local.status().damaged == 0


def test_what_is_gone_says_at_which_version(site: Site) -> None:
    """So that whoever asks can tell a copy that missed the removal from a later upload."""
    gone = [failure_of(site.store.stat(ABC))]
    site.received(evolve(LIVE, expires=int(NOW) + 10))
    site.moment.time = NOW + 10
    gone += [failure_of(site.store.stat(ABC)), failure_of(site.store.fetch(ABC))]
    site.removed(ABC, 9)
    gone += [failure_of(site.store.stat(ABC)), failure_of(site.store.fetch(ABC))]
    assert [error.gone for error in gone if isinstance(error, BlobNotFound)] == [None, 5, 5, 9, 9]


# Digests


def test_an_empty_store_has_empty_digests(site: Site) -> None:
    """64 parts, 64 buckets in each, and nothing in any."""
    summary = success_of(site.store.summary())
    assert (summary.store, summary.live, summary.deleted, summary.round, summary.group) == (site.local.uuid, 0, 0, 0, None)
    assert len(success_of(site.store.digests())) == PARTS
    assert success_of(site.store.digests(63)) == [EMPTY] * 64
    assert success_of(site.store.entries(BUCKETS - 1)) in ([], ())


@pytest.mark.parametrize("ask", ["part -1", "part 64", "bucket -1", "bucket 4096"])
def test_there_is_no_such_place(site: Site, ask: str) -> None:
    """A number that is none is a mistake, not an empty answer."""
    what, number = ask.split()
    asked: Any = site.store.digests(int(number)) if what == "part" else site.store.entries(int(number))
    assert isinstance(failure_of(asked), BadInput)


CHANGES: list[dict[str, Any]] = [
    {"version": Version(6)},
    {"metadata": metadata_of("other")},
    {"kind": Kind.MANIFEST},
    {"expires": int(NOW) + 9},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_difference_in_any_field_shows_in_the_root(site: Site, tmp_path: Path, change: dict[str, Any]) -> None:
    """Stores that hold the same have the same root, whatever keeps the bytes; all others differ."""
    site.received(LIVE)
    same, other, deleted = (make(tmp_path) for make in (SITES[0], SITES[0], SITES[0]))
    same.received(LIVE)
    other.received(evolve(LIVE, **change))
    deleted.removed(ABC, 5)
    assert root_of(site) == root_of(same)
    assert len({root_of(each) for each in (site, other, deleted)}) == 3


def test_the_root_forgets_what_has_gone(site: Site) -> None:
    """The sum of what comes and goes is nothing."""
    empty = root_of(site)
    site.received(evolve(LIVE, is_stray=True))
    assert root_of(site) == empty
    site.received(LIVE)
    assert root_of(site) != empty
    site.removed(ABC, 6)
    site.moment.time += AGE + 1
    success_of(site.store.drop_tombstones([(ABC, Version(6))]))
    assert root_of(site) == empty


@pytest.mark.parametrize("size", SIZES)
def test_damage_is_left_out_and_healing_brings_it_back(site: Site, size: int) -> None:
    """So a round sees that something is missing, and good bytes come, whatever their version."""
    before, empty = site.received(LIVE, payload_of(size)), SITES[0](Path()).store
    whole = root_of(site)
    site.damage(ABC)
    assert root_of(site) == success_of(empty.summary()).root
    assert success_of(site.store.entries(bucket_of(ABC))) == [evolve(before, is_damaged=True)]
    assert success_of(site.store.summary()).damaged == 1
    site.check_books()
    site.received(evolve(LIVE, version=Version(3)), payload_of(size))
    assert root_of(site) == whole
    assert success_of(site.store.stat(ABC)) == before


def test_entries_are_listed_in_pages(site: Site) -> None:
    """Of one bucket, ascending, tombstones too, each once."""
    names = [BlobID(f"n{number}") for number in range(40_000) if bucket_of(BlobID(f"n{number}")) == 7]
    assert len(names) > 3
    for name in reversed(names):
        site.received(Entry(id=name, version=Version(1)))
    site.removed(names[0], 2)
    site.received(Entry(id=BlobID("elsewhere"), version=Version(1)))
    seen: list[Entry] = []
    while page := success_of(site.store.entries(7, seen[-1].id if seen else "", 2)):
        assert len(page) <= 2
        seen += page
    assert [entry.id for entry in seen] == sorted(names)
    assert [entry.state for entry in seen if entry.id == names[0]] == [State.DELETED]


def test_entries_of_several_buckets_are_listed_as_of_one(site: Site) -> None:
    """Ascending by ID whatever their buckets, in pages, and none of another bucket."""
    names = sorted(BlobID(f"n{number}") for number in range(300))
    for name in names:
        site.received(Entry(id=name, version=Version(1)))
    for first, count in ((0, 64), (1000, 64), (4032, 64), (4095, 1)):
        seen: list[Entry] = []
        while page := success_of(site.store.entries(first, seen[-1].id if seen else "", 2, count)):
            assert len(page) <= 2
            seen += page
        assert [entry.id for entry in seen] == [name for name in names if first <= bucket_of(name) < first + count]


def test_strays_are_not_listed_among_the_entries_of_several_buckets(site: Site) -> None:
    """A page is as full as it can be without them: a short one would be taken for the last."""
    names = sorted(BlobID(f"n{number}") for number in range(300) if bucket_of(BlobID(f"n{number}")) < 640)
    strays = set(names[::2])
    for name in names:
        site.received(Entry(id=name, version=Version(1), is_stray=name in strays))
    listed: list[BlobID] = []
    for first in range(0, 640, 64):
        at = ""
        while page := success_of(site.store.entries(first, at, 2, 64)):
            at = page[-1].id
            listed += [entry.id for entry in page]
            rest = [name for name in names if first <= bucket_of(name) < first + 64 and name > at and name not in strays]
            assert len(page) == 2 or not rest
    assert sorted(listed) == [name for name in names if name not in strays]
    assert 20 < len(strays) < len(names)


@pytest.mark.parametrize(("first", "count"), [(0, 0), (0, -1), (0, 65), (4095, 2), (4033, 64)])
def test_there_are_no_such_buckets(site: Site, first: int, count: int) -> None:
    """A mistake, not an empty answer."""
    assert isinstance(failure_of(site.store.entries(first, "", 1000, count)), BadInput)


# Renewing


@pytest.mark.parametrize("size", SIZES)
def test_an_entry_is_renewed_without_its_bytes(site: Site, size: int) -> None:
    """Version, metadata and expiry change; the bytes stay."""
    site.received(LIVE, payload_of(size))
    newer = evolve(LIVE, version=Version(6), metadata=metadata_of("new"), sha256=sha256_of(size), expires=int(NOW) + 5)
    received = success_of(site.store.renew(newer))
    assert (received.entry, received.store) == (evolve(newer, size=size), site.local.uuid)
    assert success_of(site.store.stat(ABC)) == received.entry
    assert site.fetched(ABC) == payload_of(size)


def test_what_is_not_here_cannot_be_renewed(site: Site) -> None:
    """Unknown, deleted, or damaged: then the bytes have to be sent."""
    newer = evolve(LIVE, version=Version(6), sha256=sha256_of(5), size=5)
    assert isinstance(failure_of(site.store.renew(newer)), BlobNotFound)
    site.received(LIVE, payload_of(5))
    site.damage(ABC)
    assert isinstance(failure_of(site.store.renew(newer)), BlobNotFound)
    assert isinstance(failure_of(site.store.renew(evolve(newer, version=Version(3)))), BlobNotFound)
    site.removed(ABC, 5)
    assert isinstance(failure_of(site.store.renew(newer)), BlobNotFound)


def test_a_renewal_is_merged(site: Site) -> None:
    """Older ones and other bytes are refused, and the same again is the same."""
    held = site.received(LIVE, payload_of(5))
    assert success_of(site.store.renew(held)).entry == held
    older = failure_of(site.store.renew(evolve(held, version=Version(4))))
    assert isinstance(older, BlobConflict) and older.reason == BlobConflict.OLDER
    other = failure_of(site.store.renew(evolve(held, version=Version(6), sha256=sha256_of(6), size=6)))
    assert isinstance(other, BlobConflict) and other.reason == BlobConflict.OTHER_BYTES
    site.removed(ABC, 7)
    older = failure_of(site.store.renew(evolve(held, version=Version(6))))
    assert isinstance(older, BlobConflict) and older.reason == BlobConflict.OLDER


@pytest.mark.parametrize("size", SIZES)
def test_a_manifest_is_not_renewed_into_other_bytes(site: Site, size: int) -> None:
    """The same object cut differently has other bytes: they are to be sent."""
    site.received(LIVE, payload_of(size))
    cut = evolve(LIVE, version=Version(6), kind=Kind.MANIFEST, sha256=sha256_of(size + 1), size=size + 1)
    assert isinstance(failure_of(site.store.renew(cut)), BlobNotFound)


@pytest.mark.parametrize("change", [{"sha256": None}, {"state": State.DELETED}, {"size": 4}])
def test_a_renewal_has_to_say_what_it_renews(site: Site, change: dict[str, Any]) -> None:
    """A live entry with its digest; a size that cannot be is refused."""
    held = site.received(LIVE, payload_of(5))
    assert isinstance(failure_of(site.store.renew(evolve(held, version=Version(6), **change))), BadInput)


# Strays


def test_a_stray_is_served_and_left_out_of_the_digests(site: Site) -> None:
    """It is listed among the strays, and by name; it is no part of what members compare."""
    stray = site.received(evolve(LIVE, is_stray=True))
    assert stray.is_stray
    assert site.fetched(ABC) == b"hello"
    assert names_of(site) == ["abc"]
    assert success_of(site.store.strays()) == [stray]
    assert success_of(site.store.entries(bucket_of(ABC))) in ([], ())
    assert success_of(site.store.summary()).strays == 1


@pytest.mark.parametrize("way", ["receive", "renew", "newer"])
def test_the_mark_falls_with_the_first_write_without_it(site: Site, way: str) -> None:
    """Then this group is a home of the blob."""
    stray = site.received(evolve(LIVE, is_stray=True))
    if way == "renew":
        success_of(site.store.renew(evolve(stray, is_stray=False)))
    else:
        site.received(evolve(LIVE, version=Version(6 if way == "newer" else 5)))
    assert success_of(site.store.strays()) in ([], ())
    assert not success_of(site.store.stat(ABC)).is_stray
    assert site.fetched(ABC) == b"hello"


def test_a_marked_write_does_not_make_a_stray_of_what_is_at_home(site: Site) -> None:
    """Other members hold it as well, and must see that it was renewed."""
    site.received(LIVE)
    site.received(evolve(LIVE, version=Version(6), is_stray=True))
    assert not site.removed(ABC, 7, is_stray=True).is_stray
    assert success_of(site.store.strays()) in ([], ())
    assert site.entries() == [Entry.tombstone(ABC, Version(7))]


def test_a_tombstone_can_be_a_stray(site: Site) -> None:
    """It waits to be carried home, and does not grow old."""
    stray = site.removed(ABC, 7, is_stray=True)
    assert stray.is_stray
    site.moment.time += AGE + 1
    assert success_of(site.store.strays()) == [stray]
    assert success_of(site.store.old_tombstones()) in ([], ())
    assert success_of(site.store.drop_tombstones([(ABC, Version(7))])) == 0
    site.removed(ABC, 7)
    assert success_of(site.store.strays()) in ([], ())
    assert site.entries() == [Entry.tombstone(ABC, Version(7))]


@pytest.mark.parametrize("size", SIZES)
def test_a_stray_that_was_carried_home_is_forgotten(site: Site, size: int) -> None:
    """Without a trace: it lives elsewhere."""
    site.received(evolve(LIVE, is_stray=True), payload_of(size))
    success_of(site.store.forget(ABC, Version(4)))
    assert site.fetched(ABC) == payload_of(size)
    success_of(site.store.forget(ABC, Version(5)))
    assert isinstance(failure_of(site.store.fetch(ABC)), BlobNotFound)
    assert success_of(site.store.strays()) in ([], ())
    site.received(evolve(LIVE, version=Version(1)), payload_of(size + 1))


def test_only_strays_are_forgotten(site: Site) -> None:
    """What is at home here stays, and nothing is not an error."""
    site.received(LIVE)
    success_of(site.store.forget(ABC, Version(5)))
    success_of(site.store.forget(BlobID("unknown"), Version(5)))
    assert site.fetched(ABC) == b"hello"


def test_strays_are_listed_in_pages(site: Site) -> None:
    """Ascending, each once."""
    for name in ("c", "a", "d", "b"):
        site.received(Entry(id=BlobID(name), version=Version(1), is_stray=True))
    site.removed(BlobID("d"), 2, is_stray=True)
    first = success_of(site.store.strays(limit=3))
    assert [entry.id for entry in first] == ["a", "b", "c"]
    assert success_of(site.store.strays("c")) == [evolve(Entry.tombstone(BlobID("d"), Version(2)), is_stray=True)]


# Old tombstones


def test_a_tombstone_grows_old_by_the_clock_of_its_store(site: Site) -> None:
    """Not by its version: that may be from any clock."""
    site.removed(ABC, 1)
    site.moment.time += AGE
    assert success_of(site.store.old_tombstones()) in ([], ())
    assert success_of(site.store.drop_tombstones([(ABC, Version(1))])) == 0
    site.moment.time += 1
    assert success_of(site.store.old_tombstones()) == [Entry.tombstone(ABC, Version(1))]
    assert success_of(site.store.drop_tombstones([(ABC, Version(1))])) == 1
    assert site.local.status().deleted == 0


def test_only_the_tombstones_that_are_meant_are_dropped(site: Site) -> None:
    """One that was replaced since, or lives again, stays."""
    for name in ("a", "b", "c", "d"):
        site.removed(BlobID(name), 1)
    site.received(Entry(id=BlobID("b"), version=Version(2)))
    site.moment.time += AGE + 1
    site.removed(BlobID("c"), 2)
    named = [(BlobID(name), Version(1)) for name in ("a", "b", "c", "unknown")]
    assert success_of(site.store.drop_tombstones(named)) == 1
    assert sorted((entry.id, entry.version) for entry in site.entries()) == [("b", 2), ("c", 2), ("d", 1)]
    assert site.fetched(BlobID("b")) == b"hello"


def test_a_store_remembers_that_it_dropped_tombstones(site: Site) -> None:
    """In which round, and up to which version: an old copy of a member is known by that."""
    for name, version in (("a", 9), ("b", 3), ("c", 12)):
        site.removed(BlobID(name), version)
    success_of(site.store.note_round(4, "one"))
    site.moment.time += AGE + 1
    assert success_of(site.store.drop_tombstones([(BlobID("c"), Version(11))])) == 0
    summary = success_of(site.store.summary())
    assert (summary.dropped_round, summary.dropped_version) == (0, 0)
    assert success_of(site.store.drop_tombstones([(BlobID("a"), Version(9))])) == 1
    success_of(site.store.note_round(5, "one"))
    assert success_of(site.store.drop_tombstones([(BlobID("b"), Version(3)), (BlobID("d"), Version(99))])) == 1
    summary = success_of(site.store.summary())
    assert (summary.dropped_round, summary.dropped_version) == (5, 9)


def test_a_newer_tombstone_is_young_again(site: Site) -> None:
    """Its age counts from when it was taken; the same again does not make it younger."""
    site.removed(ABC, 1)
    site.moment.time += AGE + 1
    site.removed(ABC, 1)
    assert len(success_of(site.store.old_tombstones())) == 1
    site.removed(ABC, 2)
    assert success_of(site.store.old_tombstones()) in ([], ())


def test_old_tombstones_are_listed_in_pages(site: Site) -> None:
    """Ascending, those that are old and no others."""
    for name in ("c", "a", "b"):
        site.removed(BlobID(name), 1)
    site.moment.time += AGE + 1
    site.removed(BlobID("bb"), 1)
    assert [entry.id for entry in success_of(site.store.old_tombstones(limit=2))] == ["a", "b"]
    assert [entry.id for entry in success_of(site.store.old_tombstones("b"))] == ["c"]


def test_many_tombstones_are_dropped_at_once(site: Site) -> None:
    """More than one change takes."""
    named = [(BlobID(f"n{number}"), Version(1)) for number in range(150)]
    for name, version in named:
        site.removed(name, version)
    site.moment.time += AGE + 1
    assert success_of(site.store.drop_tombstones(named)) == 150
    assert site.entries() == []


# Rounds and groups


def test_the_number_of_a_round_never_falls(site: Site) -> None:
    """Two replicators may end their rounds in any order."""
    assert (site.local.round, site.local.group) == (0, None)
    for number, held in ((3, 3), (2, 3), (4, 4)):
        success_of(site.store.note_round(number, "first"))
        summary = success_of(site.store.summary())
        assert (site.local.round, site.local.group) == (summary.round, summary.group) == (held, "first")
    status = site.local.status()
    assert (status.round, status.group) == (4, "first")


def test_that_a_round_met_only_a_part_of_the_group_is_noted_with_its_number(site: Site) -> None:
    """And unsaid by the next that met all; a late word of an older round changes nothing."""
    assert not site.local.is_partial
    for number, is_partial, held in (
        (3, True, True),
        (2, False, True),
        (3, False, True),
        (4, False, False),
        (4, True, False),
    ):
        success_of(site.store.note_round(number, "first", is_partial))
        assert success_of(site.store.summary()).is_partial is site.local.is_partial is held
    success_of(site.store.note_round(5, "first", True))
    success_of(site.local.adopt("first"))
    assert site.local.is_partial
    success_of(site.local.adopt("second"))
    assert not site.local.is_partial


def test_a_store_of_another_group_is_refused_until_it_is_adopted(site: Site) -> None:
    """A config that mixes up two members must not merge two groups; whoever means it says so."""
    success_of(site.store.note_round(9, "first"))
    error = failure_of(site.store.note_round(10, "second"))
    assert isinstance(error, OtherGroup)
    assert (site.local.round, site.local.group) == (9, "first")
    success_of(site.local.adopt("first"))
    assert site.local.round == 9
    success_of(site.local.adopt("second"))
    assert (site.local.round, site.local.group) == (0, "second")
    success_of(site.store.note_round(2, "second"))
    assert site.local.round == 2


def test_a_round_is_noted_by_the_very_incarnation_that_took_part(site: Site) -> None:
    """A store that was put back from an old copy meanwhile has not completed it; who names none means any."""
    incarnation = success_of(site.store.summary()).incarnation
    assert incarnation == site.local.incarnation
    success_of(site.store.note_round(3, "first", incarnation=incarnation))
    error = failure_of(site.store.note_round(4, "first", incarnation="another"))
    assert isinstance(error, OtherIncarnation)
    assert site.local.round == 3
    success_of(site.store.note_round(4, "first"))
    assert site.local.round == 4


@pytest.mark.parametrize(("number", "group"), [(-1, "first"), (2**63, "first"), (1, "")])
def test_a_round_that_cannot_be_is_refused(site: Site, number: int, group: str) -> None:
    """A number outside 63 bits, a group without a name."""
    assert isinstance(failure_of(site.store.note_round(number, group)), BadInput)
    assert site.local.group is None


# Suspicion


@pytest.mark.parametrize("size", SIZES)
def test_sound_bytes_are_left_alone(site: Site, size: int) -> None:
    """A reader may be wrong, or lie."""
    held = site.received(LIVE, payload_of(size))
    success_of(site.store.suspect(ABC))
    assert success_of(site.store.stat(ABC)) == held


def test_what_is_not_there_is_not_suspected(site: Site) -> None:
    """Unknown, deleted, or known to be damaged."""
    success_of(site.store.suspect(ABC))
    site.removed(ABC, 1)
    success_of(site.store.suspect(ABC))
    site.received(LIVE)
    site.damage(ABC)
    success_of(site.store.suspect(ABC))
    assert site.local.status().damaged == 1


# Expiry


@pytest.mark.parametrize("size", SIZES)
def test_an_expired_blob_is_not_found(site: Site, size: int) -> None:
    """From that very second on, by the store's own clock; for replication nothing has changed."""
    site.received(evolve(LIVE, expires=int(NOW) + 10), payload_of(size))
    root = root_of(site)
    site.moment.time = NOW + 9
    assert site.fetched(ABC) == payload_of(size)
    assert names_of(site) == ["abc"]
    site.moment.time = NOW + 10
    assert isinstance(failure_of(site.store.fetch(ABC)), BlobNotFound)
    assert isinstance(failure_of(site.store.stat(ABC)), BlobNotFound)
    assert names_of(site) == []
    assert root_of(site) == root
    assert [entry.is_live for entry in site.entries()] == [True]


@pytest.mark.parametrize("kind", Kind)
def test_a_list_leaves_out_what_is_not_there(site: Site, kind: Kind) -> None:
    """Of a hundred, in pages: all but those that were removed, are damaged, or have expired; what comes back is listed."""
    states = ["live", "removed", "damaged", "expired", "expiring", "back"]
    names = [BlobID(f"n{number:03}{states[number % len(states)]}") for number in range(96)]
    for name in names:
        seconds = {"expired": 1, "expiring": 20}.get(name[4:])
        entry = Entry(id=name, version=Version(5), kind=kind, expires=None if seconds is None else int(NOW) + seconds)
        site.received(entry)
        if "removed" in name or "back" in name:
            site.removed(name, 6)
        if "damaged" in name:
            site.damage(name)
        if "back" in name:
            site.received(evolve(entry, version=Version(7)))
    site.moment.time = NOW + 10
    listed = [name for name in names if name[4:] in ("live", "expiring", "back")]
    assert names_of(site) == listed
    assert list(success_of(site.store.enumerate(kind=kind))) == listed
    assert (
        list(success_of(site.store.enumerate(after=names[40], limit=9))) == [name for name in listed if name > names[40]][:9]
    )
    assert list(success_of(site.store.enumerate("n01"))) == [name for name in listed if name.startswith("n01")]


@pytest.mark.parametrize("size", SIZES)
def test_a_peer_may_copy_what_has_expired(site: Site, size: int) -> None:
    """While its bytes are there: else a member that lacks it would differ from the others for so long."""
    held = site.received(evolve(LIVE, expires=int(NOW) + 10, metadata=metadata_of("old")), payload_of(size))
    for site.moment.time in (NOW, NOW + 10, NOW + 10 + GRACE):
        opened = success_of(site.store.fetch_past_expiry(ABC))
        assert evolve(opened.entry, size=held.size) == held
        assert success_of(collect(opened.body, LARGE)) == payload_of(size)
    success_of(site.local.reap())
    assert isinstance(failure_of(site.store.fetch_past_expiry(ABC)), BlobNotFound)


def test_a_peer_finds_no_more_than_there_is(site: Site) -> None:
    """Unknown, deleted, or damaged."""
    assert isinstance(failure_of(site.store.fetch_past_expiry(ABC)), BlobNotFound)
    site.received(LIVE)
    site.harm(ABC)
    for _ in range(2):
        assert isinstance(failure_of(site.store.fetch_past_expiry(ABC)), Unavailable)
    site.removed(ABC, 6)
    assert isinstance(failure_of(site.store.fetch_past_expiry(ABC)), BlobNotFound)


def test_an_expired_blob_that_is_damaged_is_not_found(site: Site) -> None:
    """Whether its bytes are good is nobody's business any more."""
    site.received(evolve(LIVE, expires=int(NOW) + 10))
    site.damage(ABC)
    assert isinstance(failure_of(site.store.fetch(ABC)), Unavailable)
    site.moment.time = NOW + 10
    assert isinstance(failure_of(site.store.fetch(ABC)), BlobNotFound)


@pytest.mark.parametrize("size", SIZES)
def test_a_renewal_saves_what_expired(site: Site, size: int) -> None:
    """Its bytes are still there."""
    expired = site.received(evolve(LIVE, expires=int(NOW) - 10), payload_of(size))
    success_of(site.store.renew(evolve(expired, version=Version(6), expires=None)))
    assert site.fetched(ABC) == payload_of(size)


@pytest.mark.parametrize("is_stray", [False, True])
def test_the_reaper_leaves_tombstones_of_the_same_version(site: Site, is_stray: bool) -> None:
    """After the grace, and not before: then a wrong clock destroys nothing. A later upload lives."""
    site.received(evolve(LIVE, expires=int(NOW), is_stray=is_stray))
    site.received(Entry(id=BlobID("stays"), version=Version(5)))
    site.moment.time = NOW + GRACE - 1
    assert success_of(site.local.reap()) == 0
    site.moment.time = NOW + GRACE
    assert success_of(site.local.reap()) == 1
    assert success_of(site.local.reap()) == 0
    tombstone = evolve(Entry.tombstone(ABC, Version(5)), is_stray=is_stray)
    assert success_of(site.store.strays() if is_stray else site.store.entries(bucket_of(ABC))) == [tombstone]
    site.received(evolve(LIVE, version=Version(6)))
    assert names_of(site) == ["abc", "stays"]


def test_the_reaper_takes_no_more_than_it_was_told(site: Site) -> None:
    """Those that expired first go first."""
    for number in range(100):
        site.received(Entry(id=BlobID(f"n{number}"), version=Version(1), expires=1000 - number))
    assert success_of(site.local.reap(1)) == 1
    assert [entry.id for entry in site.entries() if not entry.is_live] == ["n99"]
    assert success_of(site.local.reap(90)) == 90
    assert success_of(site.local.reap(90)) == 9


def test_a_closed_store_is_not_compared(site: Site) -> None:
    """Nothing is read or changed any more."""
    store, local = site.store, site.local
    success_of(local.close())
    refused: list[Any] = [
        store.remove(ABC, Version(1)),
        local.reap(),
        store.summary(),
        store.digests(),
        store.entries(0),
        store.strays(),
        store.renew(evolve(LIVE, sha256=sha256_of(5))),
        store.forget(ABC, Version(1)),
        store.old_tombstones(),
        store.drop_tombstones([]),
        store.note_round(1, "first"),
        local.adopt("first"),
        store.suspect(ABC),
    ]
    assert all(isinstance(failure_of(verb), Unavailable) for verb in refused)
