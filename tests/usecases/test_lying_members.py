"""Torture B15 and B16: members whose answers to replication are not true. The round ends, and the others are served."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from attrs import evolve
from twisted.internet.task import Clock

from sos.http.bodies import BytesSource
from sos.usecases.anti_entropy import MOST_IN_A_BUCKET, PAGE
from sos.usecases.copies import Copies
from sos.usecases.copying import Round
from sos.usecases.deletes import Deletes
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobConflict
from sos.words.interfaces import StoreSummary
from sos.words.versions import LARGEST
from tests.support import bytes_body, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server, store_by

NAMES = [f"blob{number}" for number in range(6)]


class Liar(Flaky):
    """A member with some blobs of its own, whose digests are of nothing that it holds."""

    def __init__(self) -> None:
        self.real = memory_store("liar")
        self.chance = random.Random(0)
        super().__init__(self.real)

    async def summary(self) -> StoreSummary:
        return evolve(await super().summary(), root=self.chance.randbytes(16))

    async def digests(self, part: int | None = None) -> Sequence[bytes]:
        self.calls.append("digests")
        true = await self.real.digests(part)
        empty = success_of(memory_store().digests(None))[0]
        return [digest if digest == empty else self.chance.randbytes(16) for digest in true]  # else it takes a while


class Endless(Liar):
    """It lists the first bucket that it is asked for without an end."""

    bucket: int | None = None

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        if self.bucket not in (None, bucket):
            return await super().entries(bucket, after, limit, buckets)
        self.bucket = bucket
        self.calls.append("endless")
        first = 1 + int(after or 0)
        names = [BlobID(f"{number:020}") for number in range(first, first + limit)]
        return [Entry(id=name, version=Version(1), size=5, sha256=bytes(32)) for name in names]


class Boaster(Liar):
    """It lists more than it can give."""

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        boast = Entry(id=BlobID(f"boast{bucket}"), version=Version(1), size=5, sha256=bytes(32))
        return [*await super().entries(bucket, after, limit, buckets), boast]


class Forgetful(Liar):
    """It lists nothing, whatever it was sent."""

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        return []


class Prophet(Liar):
    """It lists tombstones of everything, of a version that no clock made."""

    async def entries(self, bucket: int, after: str = "", limit: int = 1000, buckets: int = 1) -> Sequence[Entry]:
        held = await super().entries(bucket, after, limit, buckets)
        return [Entry.tombstone(entry.id, LARGEST) for entry in held]


def run(liar: Liar) -> tuple[Round, Round]:
    """Run two rounds over it and two honest members, one of which lacks half of all."""
    honest = [memory_store("a"), memory_store("b")]
    for number, name in enumerate(NAMES):
        for store in [*honest[number % 2 :], liar.real]:
            put(store, b"hello", name)
    cluster = cluster_of(one={"a": honest[0], "b": honest[1], "liar": liar})
    rounds = [success_of(Replication(cluster, SilentReporter()).round()) for _ in range(2)]
    assert success_of(honest[0].enumerate()) == success_of(honest[1].enumerate()) == sorted(NAMES)
    assert all(success_of(store.stat(BlobID(name))).version == 1 for store in honest for name in NAMES)
    return rounds[0], rounds[1]


def test_digests_that_change_each_time_cost_lists_and_no_copies() -> None:
    """Buckets are looked at in each round, and found equal."""
    first, second = run(Liar())
    assert (first.copied, second.copied) == (len(NAMES) // 2, 0)
    assert first.is_complete and second.is_complete


@pytest.mark.slow
def test_a_bucket_without_an_end_leaves_its_member_out() -> None:
    """After as many entries as no honest member has; it is named, and the others go on."""
    liar = Endless()
    first, _ = run(liar)
    assert list(first.unreachable) == [server("liar")]
    assert "more entries" in first.unreachable[server("liar")]
    assert liar.calls.count("endless") <= 2 * MOST_IN_A_BUCKET // PAGE


def test_what_a_member_lists_and_does_not_give_is_not_waited_for() -> None:
    """Nothing is copied of it, and nothing else is held up."""
    first, second = run(Boaster())
    assert (first.copied, second.copied) == (len(NAMES) // 2, 0)


def test_a_member_that_forgets_is_sent_each_blob_once_a_round() -> None:
    """No more: copies are bounded by what there is."""
    first, second = run(Forgetful())
    assert (first.copied, second.copied) == (len(NAMES) // 2 + len(NAMES), len(NAMES))


def test_a_tombstone_of_a_version_that_no_clock_made_buries_nothing() -> None:
    """Its member is named and left out: else nothing that it names would ever be repaired."""
    for outcome in run(Prophet()):
        assert outcome.buried == 0
        assert list(outcome.unreachable) == [server("liar")]
        assert "hundred years ahead" in outcome.unreachable[server("liar")]


def test_a_member_whose_clock_is_years_ahead_does_not_stop_later_writes() -> None:
    """Torture B16: ten years are followed, two hundred are refused."""
    stores = {name: memory_store(name) for name in "abc"}
    ahead = Version(stores["a"].clock.tick() + (10 * 365 * 86_400_000 << 16))
    success_of(stores["c"].receive(Entry(id=BlobID("abc"), version=ahead), bytes_body(b"hello")))
    cluster = cluster_of(one=stores)
    assert success_of(Replication(cluster, SilentReporter()).round()).is_complete
    tally = success_of(store_by(Copies(cluster, Clock()), Entry(id=BlobID("abc")), BytesSource([b"hello"])))
    assert tally.copies == 3
    assert {success_of(store.stat(BlobID("abc"))).version > ahead for store in stores.values()} == {True}


def test_a_refusal_for_a_version_that_no_clock_made_is_one_members_refusal() -> None:
    """An upload and a delete go well by the other two: the client has done nothing wrong."""
    liar = Flaky(memory_store("c"), always=BlobConflict("abc", BlobConflict.OLDER, LARGEST))
    cluster = cluster_of(one={"a": memory_store("a"), "b": memory_store("b"), "c": liar})
    tally = success_of(store_by(Copies(cluster, Clock()), Entry(id=BlobID("abc")), BytesSource([b"hello"])))
    assert (tally.copies, tally.is_met) == (2, True)
    deleted = success_of(Deletes(cluster, lambda group: 2, Clock()).delete(BlobID("abc")))
    assert not deleted.is_everywhere
    assert cluster.versions.last < LARGEST
