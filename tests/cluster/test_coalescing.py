"""Many small writes at once to a member at the far end of a connection: in batches, and each as if it had come alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.iweb import IBodyProducer

from sos.store.memory import MemoryStore
from sos.words.blob import BlobID, Entry, Kind, Metadata, Parcel, Version
from sos.words.errors import BlobConflict, SOSError
from sos.words.interfaces import Received
from tests.cluster.test_batches import Far, far_store
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import NOW, clock


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
    """Make writes of all sorts. Among them are one that is older than what is held, one with other bytes, two of one ID."""
    made = []
    for number in range(40):
        payload = b"%d" % number * number
        metadata = Metadata.of([(b"X-Is", b"\xff it"), (b"x-of", b"%d" % number)] if number % 3 == 0 else [])
        entry = Entry(
            id=BlobID(f"n{number if number < 38 else number - 20}"),
            version=Version(50 + number),
            kind=Kind.CHUNK if number % 7 == 1 else Kind.BLOB,
            size=len(payload),
            sha256=hashlib.sha256(payload).digest(),
            metadata=metadata,
            expires=int(NOW) + 1000 if number % 5 == 0 else None,
            is_stray=number % 11 == 4,
        )
        made.append((entry, payload))
    return made


def outcome_of(writing: Deferred[Received]) -> object:
    """Give what a write came to, in what its sender sees of it."""
    try:
        received = success_of(writing)
    except BlobConflict as error:
        return error.reason, error.version
    except SOSError as error:
        return type(error)
    return received


def written(far: Far, *, at_once: bool) -> list[object]:
    """Write all, at once or one after the other, and give what came of each."""
    store = far.store
    assert isinstance(store, Gated)
    if not at_once:
        store.open()
    writing = [Deferred.fromCoroutine(far.remote.receive(entry, bytes_body(payload))) for entry, payload in writes()]
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
    assert (BlobConflict.OLDER, 1000) in outcomes
    assert success_of(alone.store.summary()) == success_of(together.store.summary())
    assert success_of(alone.store.strays()) == success_of(together.store.strays())
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
