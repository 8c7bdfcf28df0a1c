"""Many small uploads at once to a member at the far end of a connection: in batches, and each as if it had come alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer

from sos.decisions.tally import CopyTally
from sos.http.bodies import BytesSource
from sos.store.memory import MemoryStore
from sos.usecases.copies import Copies
from sos.usecases.load import Load
from sos.words.blob import BlobID, Entry, Kind, Metadata, Parcel, Version
from sos.words.errors import BlobConflict
from sos.words.interfaces import Received
from tests.cluster.test_batches import Far, far_store
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import NOW, clock, cluster_of


class Gated(MemoryStore):
    """A store whose writes wait until it is opened."""

    is_open = False

    def __init__(self) -> None:
        super().__init__("store", clock())
        self._waiting: list[Deferred[None]] = []

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        """See `IBlobReceiver`."""
        if not self.is_open:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting
        return await super().receive(entry, body)

    def open(self) -> None:
        """Let all writes happen."""
        self.is_open = True
        for waiting in self._waiting:
            waiting.callback(None)


def writes() -> Sequence[tuple[Entry, bytes]]:
    """Make uploads of all sorts. Two are of one ID, and two of IDs under which other bytes are held."""
    made = []
    for number in range(40):
        at = number % 38
        payload = b"%d" % at * at
        metadata = Metadata.of([(b"X-Is", b"\xff it"), (b"x-of", b"%d" % number)] if number % 3 == 0 else [])
        entry = Entry(
            id=BlobID(f"n{at}"),
            kind=Kind.CHUNK if number % 7 == 1 else Kind.BLOB,
            size=len(payload),
            sha256=hashlib.sha256(payload).digest(),
            metadata=metadata,
            expires=int(NOW) + 1000 if number % 5 == 0 else None,
        )
        made.append((entry, payload))
    return made


def outcome_of(writing: Deferred[CopyTally]) -> object:
    """Give what an upload came to, in what its client sees of it."""
    try:
        return success_of(writing).copies
    except BlobConflict as error:
        return error.reason, error.version


def written(far: Far, *, at_once: bool) -> list[object]:
    """Write all, at once or one after the other, and give what came of each."""
    store = far.store
    assert isinstance(store, Gated)
    if not at_once:
        store.open()
    copies = Copies(cluster_of(one={"a": far.remote}), Clock())
    writing = []
    for entry, payload in writes():
        load = Load(BytesSource([payload]))
        writing.append(Deferred.fromCoroutine(copies.send(entry, payload, load, copies.groups_for(entry.id))))
    store.open()
    return [outcome_of(one) for one in writing]


@pytest.mark.parametrize("is_older", [False, True])
def test_each_is_taken_or_refused_as_it_would_be_alone(is_older: bool) -> None:
    """A member that knows of no batches is asked once, and nothing is lost by that."""
    alone, together = (far_store(Gated(), "a", is_older) for _ in range(2))
    for far in (alone, together):
        for name in ("n20", "n21"):
            held = Entry(id=BlobID(name), version=Version(1000))
            success_of(MemoryStore.receive(far.store, held, bytes_body(b"held")))
    outcomes = written(alone, at_once=False)
    assert outcomes == written(together, at_once=True)
    assert outcomes.count((BlobConflict.OTHER_BYTES, 1000)) == 2
    left, right = (success_of(far.store.summary()) for far in (alone, together))
    assert left == evolve(right, incarnation=left.incarnation)
    assert alone.asked.count(b"/sync/receive") == 0
    assert together.asked.count(b"/sync/receive") == (0 if is_older else 2)  # an older one knows no such path
    assert sum(path.startswith(b"/blob/") for path in together.asked) == (40 if is_older else 1)


def test_a_sender_that_leaves_is_no_fault_of_the_store() -> None:
    """What it had begun to take is called off as one write would be: nothing is logged as a failure."""
    store = Gated()
    parcels = [Parcel(entry, payload) for entry, payload in writes()[:3]]
    receiving = Deferred.fromCoroutine(store.receive_some(parcels))
    receiving.cancel()
    assert isinstance(failure_of(receiving), CancelledError)
