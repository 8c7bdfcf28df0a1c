"""How a copy moves its bytes: small blobs whole, larger ones as they come and few at a time."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer

from sos.decisions.repair import Copy
from sos.http.bodies import BytesBody, PushedBody
from sos.store.memory import MemoryStore
from sos.usecases.copying import LARGE_AT_ONCE, SMALL, Copier, Round
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Span
from sos.words.errors import BadInput, BlobDamaged, DigestMismatch, ServerUnavailable, SOSError, StoreFull
from sos.words.interfaces import OpenBlob, Received
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server

ABC = BlobID("abc")


class OneByOne(PushedBody):
    """A body that is not in memory."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(len(payload))
        self._pieces = [payload[:1], payload[1:]]

    def next_piece(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


class Streaming(Flaky):
    """A source whose bytes come as they do from a socket."""

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await super().fetch(blob_id, span)
        assert isinstance(opened.body, BytesBody)
        return OpenBlob(opened.entry, OneByOne(b"".join(opened.body.pieces)))


class Keeping(Flaky):
    """A target that keeps the bodies that it gets, and may let its senders wait."""

    def __init__(self, is_slow: bool = False) -> None:
        super().__init__(memory_store("target"))
        self.bodies: list[IBodyProducer] = []
        self.waiting: list[Deferred[None]] = []
        self._is_slow = is_slow

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        self.bodies.append(body)
        if self._is_slow:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        return await super().receive(entry, body)


def copied(size: int) -> IBodyProducer:
    """Copy a blob of this size, and give the body that the target got."""
    source, target = memory_store("source"), Keeping()
    entry = put(source, bytes(size), "abc")
    copier = Copier(cluster_of(one={"s": Streaming(source), "t": target}), SilentReporter(), Round())
    assert success_of(copier.copy(Copy(entry, (server("t"),), (server("s"),)), server("t")))
    assert success_of(target.stat(entry.id)).sha256 == entry.sha256
    return target.bodies[0]


def test_a_small_blob_is_sent_from_memory() -> None:
    """So it can be sent again, and its connection be one that was kept."""
    assert isinstance(copied(SMALL), BytesBody)
    assert isinstance(copied(2), BytesBody)


def test_a_larger_blob_is_sent_as_it_comes() -> None:
    """Only small blobs are ever whole in memory."""
    assert isinstance(copied(SMALL + 1), OneByOne)


def test_few_larger_blobs_are_under_way_at_a_time() -> None:
    """However many repairs a round makes at once."""
    source, target = memory_store("source"), Keeping(is_slow=True)
    copier = Copier(cluster_of(one={"s": source, "t": target}), SilentReporter(), Round())
    entries = [put(source, bytes(SMALL + 1), f"blob{number}") for number in range(LARGE_AT_ONCE + 2)]
    copies = [Copy(entry, (server("t"),), (server("s"),)) for entry in entries]
    done = [Deferred.fromCoroutine(copier.carry_out(copy)) for copy in copies]
    assert len(target.bodies) == LARGE_AT_ONCE
    while target.waiting:
        target.waiting.pop(0).callback(None)
    assert all(deferred.called for deferred in done)
    assert len(success_of(target.enumerate())) == len(entries)


class Wrong(Flaky):
    """A source whose disk gives other bytes than it was given (torture F25)."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self._disk = store

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await super().fetch(blob_id, span)
        opened.body.stopProducing()
        assert opened.entry.size is not None
        return OpenBlob(opened.entry, OneByOne(b"x" * opened.entry.size))

    async def suspect(self, blob_id: BlobID) -> None:
        await super().suspect(blob_id)
        self._disk.damage(blob_id)  # it reads its copy, and finds the same


@pytest.mark.parametrize("size", [5, SMALL + 1])
def test_a_source_that_gives_wrong_bytes_is_found_and_never_spreads(size: int) -> None:
    """Torture F25: the target takes nothing of it and gets the bytes elsewhere; the next round heals the source."""
    stores = [memory_store(name) for name in "abc"]
    for store in stores[:2]:
        put(store, bytes(size), "abc")
    wrong, good = Wrong(stores[0]), Flaky(stores[1])
    before = success_of(stores[1].stat(ABC))
    outcome = success_of(Replication(cluster_of(one={"a": wrong, "b": good, "c": stores[2]}), SilentReporter()).round())
    assert (outcome.copied, outcome.failed) == (1, 0)
    assert success_of(stores[2].stat(ABC)) == success_of(stores[1].stat(ABC)) == before
    assert (wrong.calls.count("suspect"), good.calls.count("suspect")) == (1, 0)
    assert isinstance(failure_of(stores[0].stat(ABC)), BlobDamaged)
    healed = cluster_of(one={"a": stores[0], "b": stores[1], "c": stores[2]})
    assert success_of(Replication(healed, SilentReporter()).round()).copied == 1
    assert success_of(stores[0].stat(ABC)) == before


@pytest.mark.parametrize("size", [5, SMALL + 1])
def test_without_another_source_nothing_is_copied(size: int) -> None:
    """It is counted as failed, and the copy of the target's is none."""
    source, target = memory_store("a"), memory_store("b")
    put(source, bytes(size), "abc")
    cluster = cluster_of(one={"a": Wrong(source), "b": target})
    outcome = success_of(Replication(cluster, SilentReporter()).round())
    assert (outcome.copied, outcome.failed) == (0, 1)
    assert success_of(target.enumerate()) == []
    assert source.status().damaged == 1


@pytest.mark.parametrize("error", [StoreFull("full"), ServerUnavailable("http://t:3001", "gone"), BadInput("no")])
def test_a_source_is_not_blamed_for_what_a_target_refuses_otherwise(error: SOSError) -> None:
    """Each look reads the whole of a copy."""
    source = Flaky(memory_store("a"))
    put(source, b"hello", "abc")
    success_of(
        Replication(
            cluster_of(one={"a": source, "b": Flaky(memory_store("b"), [None, None, None, error])}), SilentReporter()
        ).round()
    )
    assert "suspect" not in source.calls


def test_a_source_that_is_blamed_for_a_fault_of_the_target_stays_as_it_is() -> None:
    """It looks at its copy, finds it good, and gives it again in the next round."""

    class Spoiling(Flaky):
        """A target whose memory spoils what it gets."""

        async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
            body.stopProducing()
            raise DigestMismatch("other bytes")

    source, target = Flaky(memory_store("a")), memory_store("b")
    entry = put(source, b"hello", "abc")
    success_of(Replication(cluster_of(one={"a": source, "b": Spoiling(target)}), SilentReporter()).round())
    assert "suspect" in source.calls
    assert success_of(source.stat(ABC)) == entry
