"""How a copy moves its bytes: small blobs whole, larger ones as they come and few at a time."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer

from sos.decisions.repair import Copy
from sos.http.bodies import BytesBody, PushedBody
from sos.usecases.copying import LARGE_AT_ONCE, SMALL, Copier, Round
from sos.usecases.replication import SilentReporter
from sos.words.blob import BlobID, Entry, Span
from sos.words.interfaces import OpenBlob, Received
from tests.support import success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server


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
