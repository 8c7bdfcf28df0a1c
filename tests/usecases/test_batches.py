"""Rounds that bring small blobs many at a time; and what becomes of those that do not go with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from attrs import evolve
from twisted.web.iweb import IBodyProducer

from sos.decisions.batch import LARGEST
from sos.store.memory import MemoryStore
from sos.usecases.copying import Round
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Metadata, Parcel, Version
from sos.words.errors import BlobDamaged, ServerUnavailable, SOSError, StoreFull, Unsupported
from sos.words.interfaces import IBlobStore, OpenBlob, Received
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server

BUCKET = [BlobID(f"n{number}") for number in (1156, 186, 193, 1990, 388)]
"""Names that lie in one bucket, so that they go in one batch."""
ONE_BY_ONE = {"fetch", "fetch_past_expiry", "receive"}
DOWN = ServerUnavailable("http://x:3001", "connection refused")


def replicated(**members: IBlobStore) -> Round:
    """Run one round over one group."""
    return success_of(Replication(cluster_of(one=members), SilentReporter()).round())


def filled(name: str, names: Sequence[str] = BUCKET, size: int = 5) -> MemoryStore:
    """Make a store with blobs."""
    store = memory_store(name)
    for number, blob in enumerate(names):
        put(store, b"%d" % number * size, blob)
    return store


def asked(member: Flaky) -> dict[str, int]:
    """Give the verbs that move bytes, and how often a member was asked for each."""
    return {
        verb: count for verb, count in Counter(member.calls).items() if verb in {*ONE_BY_ONE, "fetch_some", "receive_some"}
    }


def roots(*stores: MemoryStore) -> int:
    """Give the number of different root digests."""
    return len({success_of(store.summary()).root for store in stores})


def test_the_blobs_of_a_bucket_go_together() -> None:
    """One request at the source, one at the target; metadata, versions and expiry go with them."""
    store, empty = filled("a"), memory_store("b")
    fields = Entry(id=BUCKET[0], version=Version(3), metadata=Metadata.of([(b"x-is", b"it")]), expires=1)
    success_of(store.receive(fields, bytes_body(b"0" * 5)))
    source, target = Flaky(store), Flaky(empty)
    outcome = replicated(a=source, b=target)
    assert outcome.is_complete and outcome.copied == len(BUCKET)
    assert (asked(source), asked(target)) == ({"fetch_some": 1}, {"receive_some": 1})
    assert roots(store, empty) == 1
    assert replicated(a=source, b=target).copied == 0


def test_a_batch_is_fetched_once_for_several_targets() -> None:
    """Who lacks the same gets the same."""
    stores = [filled("a"), memory_store("b"), memory_store("c")]
    members = [Flaky(store) for store in stores]
    outcome = replicated(a=members[0], b=members[1], c=members[2])
    assert outcome.is_complete and outcome.copied == 2 * len(BUCKET)
    assert [asked(member) for member in members] == [{"fetch_some": 1}, {"receive_some": 1}, {"receive_some": 1}]
    assert roots(*stores) == 1


def test_large_ones_go_by_themselves() -> None:
    """A request of its own is little for 65 KiB."""
    store, empty = filled("a", BUCKET[:3]), memory_store("b")
    put(store, bytes(LARGEST + 1), BUCKET[3])
    source, target = Flaky(store), Flaky(empty)
    assert replicated(a=source, b=target).copied == 4
    assert asked(source) == {"fetch_some": 1, "fetch": 1}
    assert asked(target) == {"receive_some": 1, "receive": 1}


def test_one_alone_goes_as_it_always_did() -> None:
    """It takes as many requests."""
    source, target = Flaky(filled("a", BUCKET[:1])), Flaky(memory_store("b"))
    assert replicated(a=source, b=target).copied == 1
    assert (asked(source), asked(target)) == ({"fetch": 1}, {"receive": 1})


def test_the_reporter_hears_of_each() -> None:
    """As it does of those that go one by one."""
    heard: list[str] = []

    class Reporter(SilentReporter):
        def blob_is_missing(self, blob_id: BlobID, server: str) -> None:
            heard.append(f"{blob_id} is missing at {server}")

        def copy_begins(self, blob_id: BlobID, source: str, target: str) -> None:
            heard.append(f"{blob_id} from {source} to {target}")

    cluster = cluster_of(one={"a": filled("a"), "b": memory_store("b")})
    success_of(Replication(cluster, Reporter()).round())
    a, b = server("a").url, server("b").url
    assert heard == [line for name in BUCKET for line in (f"{name} is missing at {b}", f"{name} from {a} to {b}")]


class Lacking(Flaky):
    """A source that gives all but one in a batch, and not that one either."""

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        parcels = await super().fetch_some(blob_ids)
        return [parcel for parcel in parcels if parcel.entry.id != BUCKET[1]]


def test_what_does_not_come_with_the_others_is_fetched_by_itself() -> None:
    """It may have become large, or be gone; the others are not held up."""
    store, empty = filled("a"), memory_store("b")
    source, target = Lacking(store), Flaky(empty)
    outcome = replicated(a=source, b=target)
    assert outcome.is_complete and outcome.copied == len(BUCKET)
    assert (asked(source), asked(target)) == ({"fetch_some": 1, "fetch": 1}, {"receive_some": 1, "receive": 1})
    assert roots(store, empty) == 1


class Rotten(Flaky):
    """A source whose disk gives wrong bytes for one of its blobs, and finds that out when it is told to look."""

    def __init__(self, local: MemoryStore) -> None:
        super().__init__(local)
        self._local = local

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        parcels = await super().fetch_some(blob_ids)
        return [evolve(parcel, payload=b"x" * 5) if parcel.entry.id == BUCKET[1] else parcel for parcel in parcels]

    async def fetch(self, blob_id: BlobID, span: object = None) -> OpenBlob:
        opened = await super().fetch(blob_id)
        return OpenBlob(opened.entry, bytes_body(b"x" * 5)) if blob_id == BUCKET[1] else opened

    async def suspect(self, blob_id: BlobID) -> None:
        await super().suspect(blob_id)
        self._local.damage(blob_id)


def test_wrong_bytes_in_a_batch_never_spread() -> None:
    """Torture F25: the others are taken; this one comes from another member, and the source looks at its copy."""
    stores = [filled("a"), filled("b"), memory_store("c")]
    rotten, good, target = Rotten(stores[0]), Flaky(stores[1]), Flaky(stores[2])
    outcome = replicated(a=rotten, b=good, c=target)
    assert (outcome.copied, outcome.failed) == (len(BUCKET), 0)
    assert (rotten.calls.count("suspect"), good.calls.count("suspect")) == (1, 0)
    assert asked(target) == {"receive_some": 1, "receive": 1}
    assert isinstance(failure_of(stores[0].stat(BUCKET[1])), BlobDamaged)
    assert roots(stores[1], stores[2]) == 1


@pytest.mark.parametrize("change", [{"payload": b"xxxxx"}, {"payload": b"1111"}, {"payload": b"111111"}])
def test_the_bytes_are_held_against_what_was_listed(change: dict[str, bytes]) -> None:
    """Torture B15: a liar may give an entry that agrees with its bytes; what it listed before is what counts."""

    class Liar(Flaky):
        async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
            other = memory_store("other")
            for name in blob_ids:
                success_of(other.receive(Entry(id=name), bytes_body(change["payload"])))
            return await other.fetch_some(blob_ids)

    store, target = filled("a"), Flaky(memory_store("b"))
    replicated(a=Liar(store), b=target)
    assert "receive_some" not in target.calls
    assert roots(store, target._store) == 1  # type: ignore[arg-type]


class Refusing(Flaky):
    """A target that has one error for one blob, in a batch and alone."""

    def __init__(self, store: MemoryStore, error: SOSError) -> None:
        super().__init__(store)
        self._error = error

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        outcomes = await super().receive_some([parcel for parcel in parcels if parcel.entry.id != BUCKET[1]])
        taken = iter(outcomes)
        return [self._error if parcel.entry.id == BUCKET[1] else next(taken) for parcel in parcels]

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        self.calls.append("receive")
        body.stopProducing()
        raise self._error


def test_one_that_is_refused_counts_as_it_does_alone() -> None:
    """It fails, and the others are copied."""
    target = Refusing(memory_store("b"), StoreFull("full"))
    outcome = replicated(a=filled("a"), b=target)
    assert (outcome.copied, outcome.failed) == (len(BUCKET) - 1, 1)
    assert asked(target) == {"receive_some": 1, "receive": 1}
    assert outcome.behind == {server("b")}


class Older(Flaky):
    """A member that knows of no batches."""

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        self.calls.append("fetch_some")
        raise Unsupported("It gives one at a time.")

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        self.calls.append("receive_some")
        raise Unsupported("It takes one at a time.")


@pytest.mark.parametrize(("source", "target"), [(Older, Flaky), (Flaky, Older), (Older, Older)])
def test_a_member_that_knows_of_no_batches_is_asked_once(source: type[Flaky], target: type[Flaky]) -> None:
    """Then its blobs go one by one, and the round is as complete as ever."""
    names = [f"n{number}" for number in range(300)]
    store, empty = filled("a", names), memory_store("b")
    members = source(store), target(empty)
    outcome = replicated(a=members[0], b=members[1])
    assert outcome.is_complete and outcome.copied == len(names)
    assert [member.calls.count("fetch_some") for member in members] == [1, 0]
    assert members[1].calls.count("receive_some") == (not isinstance(members[0], Older))
    assert roots(store, empty) == 1


def test_another_member_gives_what_an_older_one_cannot() -> None:
    """Among several sources one that can is enough."""
    names = [f"n{number}" for number in range(300)]
    stores = [filled("a", names), filled("b", names), memory_store("c")]
    older, newer, target = Older(stores[0]), Flaky(stores[1]), Flaky(stores[2])
    outcome = replicated(a=older, b=newer, c=target)
    assert outcome.is_complete and outcome.copied == len(names)
    assert newer.calls.count("fetch_some") > 10
    assert roots(*stores) == 1


class Dying(Flaky):
    """A member that goes away in the middle of a batch."""

    async def fetch_some(self, blob_ids: Sequence[BlobID]) -> Sequence[Parcel]:
        self._always = DOWN
        return await super().fetch_some(blob_ids)

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        outcomes = await super().receive_some(parcels)
        self._always = DOWN  # all was taken, and nobody hears of it
        raise DOWN if outcomes else AssertionError


def test_a_source_that_goes_away_is_replaced_by_another() -> None:
    """The round names it, and goes on."""
    stores = [filled("a"), filled("b"), memory_store("c")]
    outcome = replicated(a=Dying(stores[0]), b=stores[1], c=stores[2])
    assert list(outcome.unreachable) == [server("a")]
    assert outcome.copied == len(BUCKET)
    assert roots(*stores) == 1


def test_a_target_that_goes_away_is_left_out() -> None:
    """It costs one failed request, not one for each blob; what it took is there when it comes back."""
    stores = [filled("a"), memory_store("b"), memory_store("c")]
    target = Dying(stores[1])
    outcome = replicated(a=stores[0], b=target, c=stores[2])
    assert list(outcome.unreachable) == [server("b")]
    assert asked(target) == {"receive_some": 1}
    assert outcome.copied == len(BUCKET)
    assert roots(*stores) == 1


def test_a_delete_wins_over_a_batch_that_is_under_way() -> None:
    """The late copy is refused, alone among the others, and no round brings it back."""
    store, other = filled("a"), memory_store("b")

    class Racing(Flaky):
        async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
            await other.remove(BUCKET[1], Version(9))
            return await super().receive_some(parcels)

    outcome = replicated(a=store, b=Racing(other))
    assert outcome.copied == len(BUCKET) - 1
    replicated(a=store, b=other)
    assert roots(store, other) == 1
    assert success_of(store.enumerate()) == sorted(set(BUCKET) - {BUCKET[1]})
