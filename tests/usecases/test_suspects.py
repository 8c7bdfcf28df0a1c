"""Members that are told of copies that turned out wrong."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sos.decisions.topology import Server
from sos.store.memory import MemoryStore
from sos.usecases.suspects import MOST, Suspects
from sos.words.blob import BlobID
from sos.words.errors import ServerUnavailable, Unsupported
from tests.support import success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server

ABC = BlobID("abc")


class Slow(Flaky):
    """A member that looks at a copy for as long as it is not told to end."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.looking: list[Deferred[None]] = []

    async def suspect(self, blob_id: BlobID) -> None:
        self.looking.append(Deferred())
        await self.looking[-1]
        await super().suspect(blob_id)


def test_whoever_wants_to_know_hears_when_the_member_has_looked() -> None:
    """Not before: a repair that came sooner would find nothing to do."""
    heard: list[tuple[Server, BlobID]] = []
    member = Slow(memory_store())
    suspects = Suspects(cluster_of(one={"a": member}), lambda *copy: heard.append(copy))
    suspects.tell(server("a"), ABC)
    assert heard == []
    member.looking[0].callback(None)
    assert heard == [(server("a"), ABC)]


def test_many_readers_of_one_copy_have_it_looked_at_once() -> None:
    """Each look reads the whole of it; when it is over, another may be asked for."""
    member = Slow(memory_store())
    suspects = Suspects(cluster_of(one={"a": member}))
    for _ in range(5):
        suspects.tell(server("a"), ABC)
    assert len(member.looking) == 1
    member.looking[0].callback(None)
    suspects.tell(server("a"), ABC)
    assert len(member.looking) == 2
    member.looking[1].callback(None)


def test_only_so_many_copies_are_looked_at_at_a_time() -> None:
    """A flood of bad bytes is bounded in memory, and the rest is found again."""
    member = Slow(memory_store())
    suspects = Suspects(cluster_of(one={"a": member}))
    for number in range(MOST + 10):
        suspects.tell(server("a"), BlobID(f"blob{number}"))
    assert len(member.looking) == MOST
    for looking in member.looking:
        looking.callback(None)


def test_a_member_that_cannot_look_hurts_nobody() -> None:
    """It is out of reach, or of the old contract."""
    for error in (ServerUnavailable("http://a:3001", "connection refused"), Unsupported("old contract")):
        suspects = Suspects(cluster_of(one={"a": Flaky(memory_store(), always=error)}))
        success_of(suspects.ask(server("a"), ABC))
        suspects.tell(server("a"), ABC)


def test_a_good_copy_stays_as_it_is() -> None:
    """It was the way that spoilt the bytes."""
    store = memory_store()
    entry = put(store, b"hello", "abc")
    success_of(Suspects(cluster_of(one={"a": store})).ask(server("a"), ABC))
    assert success_of(store.stat(ABC)) == entry
