"""Torture F26: two apis upload one ID at once, the same bytes with other metadata, in whatever order that happens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.tally import CopyTally
from sos.http.bodies import BytesSource
from sos.store.memory import MemoryStore
from sos.usecases.copies import Copies
from sos.usecases.group_write import STRAGGLE
from sos.words.blob import BlobID, Entry, Kind, Metadata, Span
from sos.words.errors import NotEnoughCopies, ServerUnavailable
from sos.words.interfaces import IBlobStore, OpenBlob, Received
from sos.words.versions import HybridClock
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import NOW, cluster_of, memory_store, store_by
from tests.usecases.steps import Steps

ID = BlobID("abc")
SOURCE = BytesSource([b"hello"])
NAMES = "abc"


def entry_with(colour: bytes) -> Entry:
    """Make what one of the apis uploads."""
    sha256 = hashlib.sha256(b"hello").digest()
    return Entry(id=ID, size=5, sha256=sha256, metadata=Metadata.of([(b"X-Colour", colour)]))


@implementer(IBlobStore)
class Gated:
    """A member as one api sees it: a write is a step, and so is its answer; some answers are lost."""

    def __init__(self, store: MemoryStore, steps: Steps, loses_answers: bool) -> None:
        self._store = store
        self._steps = steps
        self._loses_answers = loses_answers

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        await self._steps.turn()
        try:
            received = await self._store.receive(entry, body)
        finally:
            await self._steps.turn()
            if self._loses_answers:
                raise ServerUnavailable("http://x:3001", "its answer was lost")
        return received

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        raise NotImplementedError

    async def stat(self, blob_id: BlobID) -> Entry:
        raise NotImplementedError

    async def enumerate(
        self, prefix: str = "", after: str = "", limit: int = 1000, kind: Kind | None = None
    ) -> Sequence[BlobID]:
        raise NotImplementedError


class Race:
    """Two apis, three members, and one upload of each api."""

    def __init__(self, ahead: float, lost: str = "") -> None:
        """Let the second api's clock run ahead; `lost` names the members whose answers it never gets."""
        self.stores = {name: memory_store(name) for name in NAMES}
        self.steps = Steps()
        self.clock = Clock()
        self.uploads = [
            self._upload(colour, NOW + wall, lost_here)
            for colour, wall, lost_here in ((b"red", 0.0, ""), (b"blue", ahead, lost))
        ]

    def _upload(self, colour: bytes, now: float, lost: str) -> Deferred[CopyTally]:
        cluster = cluster_of(one={name: Gated(store, self.steps, name in lost) for name, store in self.stores.items()})
        cluster.versions = HybridClock(lambda: now)
        copies = Copies(cluster, self.clock)
        return Deferred.fromCoroutine(store_by(copies, entry_with(colour), SOURCE))

    def run(self, choices: Sequence[int]) -> None:
        """Take steps as chosen, and whatever is left in its order. An odd choice lets the straggling of others end, too."""
        chosen = iter(choices)
        while len(self.steps):
            choice = next(chosen, 0)
            if choice >= 100:
                self.clock.advance(STRAGGLE)
            self.steps.take(choice)

    def outcomes(self) -> list[int | None]:
        """Give the copies that each upload was acknowledged with, None where it was told to come again."""
        return [self._outcome(upload) for upload in self.uploads]

    def _outcome(self, upload: Deferred[CopyTally]) -> int | None:
        assert upload.called, "an upload hangs"
        try:
            return success_of(upload).copies
        except NotEnoughCopies:
            return None

    def entries(self) -> set[Entry]:
        """Give the different entries that members hold."""
        return {success_of(store.stat(ID)) for store in self.stores.values() if success_of(store.enumerate())}


CHOICES = st.lists(st.integers(0, 150), max_size=40)


@given(ahead=st.sampled_from([0.0, 0.001, 60.0, -60.0]), choices=CHOICES)
@settings(max_examples=300)
def test_two_uploads_at_once_leave_one_entry(ahead: float, choices: list[int]) -> None:
    """Each is acknowledged or told to come again, at least one is acknowledged, and all members hold the same."""
    race = Race(ahead)
    race.run(choices)
    outcomes = race.outcomes()
    assert any(outcomes)
    assert all(copies is None or copies >= 2 for copies in outcomes)
    assert len(race.entries()) == 1
    assert all(success_of(store.enumerate()) == [ID] for store in race.stores.values())


@given(ahead=st.sampled_from([0.0, 60.0]), lost=st.sampled_from(["a", "bc", "abc"]), choices=CHOICES)
@settings(max_examples=150)
def test_lost_answers_change_nothing_of_that(ahead: float, lost: str, choices: list[int]) -> None:
    """The members know what they took, though an api does not."""
    race = Race(ahead, lost)
    race.run(choices)
    race.outcomes()
    assert len(race.entries()) == 1


@given(choices=CHOICES)
@settings(max_examples=150)
def test_what_was_asked_later_wins_whatever_the_clocks(choices: list[int]) -> None:
    """An upload that begins when the other is acknowledged is the one that stays, though its clock is a minute behind."""
    race = Race(60.0)
    race.run(choices)
    later = race._upload(b"green", NOW - 60, "")
    race.run(choices)
    assert success_of(later).copies >= 2
    (entry,) = race.entries()
    assert entry.metadata.value(b"x-colour") == b"green"


def test_a_first_upload_is_newer_than_all_that_a_member_in_reach_has_seen() -> None:
    """Of any group: a tombstone that was left elsewhere, by an api whose clock is ahead, must not bury it later."""
    stores = {name: memory_store(name) for name in "ab"}
    cluster = cluster_of(one={"a": stores["a"]}, two={"b": stores["b"]})
    home, other = cluster.groups_for(ID)
    away = stores[other.members[0].host]
    ahead = away.clock.tick() + (60_000 << 16)
    success_of(away.receive(_newer(ahead), SOURCE.body()))
    success_of(store_by(Copies(cluster, Clock()), entry_with(b"red"), SOURCE))
    assert success_of(stores[home.members[0].host].stat(ID)).version > ahead


def test_an_upload_that_is_refused_to_the_end_says_so() -> None:
    """Three times past a clock that jumps ahead each time, and then the client is asked to come again."""
    race = Race(0.0)
    while len(race.steps):
        for store in race.stores.values():
            newest = store.clock.tick() + (60_000 << 16)
            success_of(store.receive(_newer(newest), SOURCE.body()))
        race.steps.take(0)
    for upload in race.uploads:
        assert isinstance(failure_of(upload), NotEnoughCopies)


def _newer(version: int) -> Entry:
    return Entry(id=ID, version=version, size=5)  # type: ignore[arg-type]
