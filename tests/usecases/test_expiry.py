"""Torture F44: objects that expire while members are away, or that are kept for longer while one is."""

from __future__ import annotations

import hashlib

import pytest
from twisted.internet.task import Clock

from sos.http.bodies import BytesSource
from sos.store.memory import MemoryStore
from sos.usecases.copies import Copies
from sos.usecases.downloads import Downloads
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry
from sos.words.errors import BlobNotFound
from sos.words.versions import HybridClock
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import NOW, Switched, cluster_of, server, store_by

ABC = BlobID("abc")
SOON, LATER = int(NOW) + 10, int(NOW) + 10_000
GRACE = 500.0


class Trio:
    """A group of three, an api, and one clock that the test moves. The first member is the one that is away."""

    def __init__(self) -> None:
        self.time = NOW
        self.stores = [MemoryStore(name, HybridClock(self.wall), expiry_grace=GRACE) for name in "abc"]
        self.members = [Switched(store) for store in self.stores]
        self.cluster = cluster_of(one={member.local.uuid: member for member in self.members})
        self.copies = Copies(self.cluster, Clock())
        self.downloads = Downloads(self.cluster, self.copies.needed_in, Clock())
        self.replication = Replication(self.cluster, SilentReporter())

    def wall(self) -> float:
        """Give unix seconds."""
        return self.time

    def switch(self, is_on: bool) -> None:
        """Switch the first member off, or on again."""
        self.members[0].is_on = is_on
        self.cluster.answered(server("a"))

    def upload(self, expires: int | None) -> None:
        """Upload the object to all that are there."""
        entry = Entry(id=ABC, size=5, sha256=hashlib.sha256(b"hello").digest(), expires=expires)
        success_of(store_by(self.copies, entry, BytesSource([b"hello"])))

    def reap(self) -> None:
        """Have all members tidy up."""
        for store in self.stores:
            success_of(store.reap())

    def round(self) -> None:
        """Run a round, after which all hold the same."""
        assert success_of(self.replication.round()).is_complete
        assert len({success_of(store.summary()).root for store in self.stores}) == 1

    def is_found(self) -> bool:
        """Whether a client finds the object; if so, it has its last expiry."""
        try:
            success_of(self.downloads.stat(ABC))
        except BlobNotFound:
            return False
        return True


@pytest.mark.parametrize("is_reaped", [False, True])
def test_a_member_that_was_down_over_the_expiry_agrees_after_a_round(is_reaped: bool) -> None:
    """Be it that the others still have the bytes, or that they have a tombstone by now."""
    trio = Trio()
    trio.switch(False)
    trio.upload(SOON)
    assert trio.is_found()
    trio.time = SOON + (GRACE if is_reaped else 0)
    trio.reap()
    trio.switch(True)
    assert not trio.is_found()
    trio.round()
    assert not trio.is_found()
    trio.time = SOON + GRACE
    trio.reap()
    trio.round()
    assert [store.status().deleted for store in trio.stores] == [1, 1, 1]
    assert [store.status().blobs for store in trio.stores] == [0, 0, 0]


@pytest.mark.parametrize("is_reaped", [False, True])
@pytest.mark.parametrize("expires", [LATER, None])
def test_an_upload_with_a_later_expiry_lives_although_one_member_did_not_hear_of_it(
    is_reaped: bool, expires: int | None
) -> None:
    """That one's own expiry comes first, and loses: its entry is older, and so is the tombstone that it makes of it."""
    trio = Trio()
    trio.upload(SOON)
    trio.switch(False)
    trio.upload(expires)
    trio.switch(True)
    trio.time = SOON + (GRACE if is_reaped else 0)
    trio.reap()
    assert isinstance(failure_of(trio.stores[0].stat(ABC)), BlobNotFound)
    assert trio.is_found()
    trio.round()
    assert [success_of(store.stat(ABC)).expires for store in trio.stores] == [expires] * 3
    trio.time = LATER
    assert trio.is_found() is (expires is None)


def test_an_upload_with_an_earlier_expiry_ends_it_everywhere() -> None:
    """The last upload says how long: the older copy of a member that was away is not given out after that."""
    trio = Trio()
    trio.upload(None)
    trio.switch(False)
    trio.upload(SOON)
    trio.switch(True)
    trio.time = SOON
    trio.members = trio.members[1:] + trio.members[:1]
    trio.cluster = cluster_of(one={member.local.uuid: member for member in trio.members})
    trio.downloads = Downloads(trio.cluster, trio.copies.needed_in, Clock())
    assert not trio.is_found()
    trio.round()
    assert all(isinstance(failure_of(store.stat(ABC)), BlobNotFound) for store in trio.stores)
    trio.time = SOON + GRACE
    trio.reap()
    trio.round()
    assert [store.status().deleted for store in trio.stores] == [1, 1, 1]
