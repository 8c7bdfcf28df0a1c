"""Torture F39: writes and deletes while the home group is away. The newest version wins across groups."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.decisions import placement
from sos.http.bodies import BytesSource
from sos.usecases.copies import Copies
from sos.usecases.deletes import Deletes
from sos.usecases.downloads import Downloads
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from sos.words.errors import BlobNotFound, NotEnoughCopies, SOSError, Unavailable, Unsupported
from sos.words.interfaces import Removed
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import Switched, cluster_of, memory_store, server, store_by

T = TypeVar("T")

ABC = BlobID("abc")
HELLO = Entry(id=ABC, size=5, sha256=hashlib.sha256(b"hello").digest())
HOME, NEXT = ["h0", "h1"], ["n0", "n1"]


class OldContract(Switched):
    """A member that cannot remove anything, and knows nothing of replication."""

    async def remove(self, blob_id: BlobID, version: Version, is_stray: bool = False) -> Removed:
        raise Unsupported("It speaks the old contract.")

    async def renew(self, entry: Entry) -> Any:
        raise Unsupported("It speaks the old contract.")

    async def summary(self) -> Any:
        raise Unsupported("It speaks the old contract.")


class Late(Switched):
    """A member that answers its first question when a round has gone by."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    async def stat(self, blob_id: BlobID) -> Entry:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return await super().stat(blob_id)


class Place:
    """Two groups of two, an api, and one object whose home is the first of them."""

    def __init__(self, names: Mapping[str, type[Switched]] = {}) -> None:
        self.members = {name: names.get(name, Switched)(memory_store(name)) for name in [*HOME, *NEXT]}
        probe = cluster_of(one={"x": memory_store()}, two={"y": memory_store()})
        home, other = (group.name for group in placement.order(ABC, probe.topology.groups))
        groups = {home: {name: self.members[name] for name in HOME}, other: {name: self.members[name] for name in NEXT}}
        self.cluster = cluster_of(**groups)
        self.copies = Copies(self.cluster, Clock())
        self.downloads = Downloads(self.cluster, self.copies.needed_in, Clock())
        self.deletes = Deletes(self.cluster, self.copies.needed_in, Clock())
        self.replication = Replication(self.cluster, SilentReporter())

    def switch(self, names: Sequence[str], is_on: bool) -> None:
        """Switch members off, or on again, when they are noticed to be well."""
        for name in names:
            self.members[name].is_on = is_on
            if is_on:
                self.cluster.answered(server(name))

    def upload(self, colour: str = "red", entry: Entry = HELLO, *, has_home: bool = True) -> None:
        """Upload the object, which must go well."""
        coloured = evolve(entry, metadata=Metadata.of([(b"x-colour", colour.encode("ascii"))]))
        success_of(store_by(self.copies, coloured, BytesSource([b"hello"]), has_home=has_home))

    def delete(self) -> bool:
        """Delete the object, which must go well, and say whether it is deleted everywhere."""
        return success_of(self.deletes.delete(ABC)).is_everywhere

    def fetched(self) -> str | None:
        """Give the colour of the object, None where it is not found."""
        try:
            value = success_of(self.downloads.stat(ABC)).metadata.value(b"x-colour")
        except BlobNotFound:
            return None
        assert value is not None
        return value.decode("ascii")

    def round(self) -> None:
        """Run a round."""
        success_of(self.replication.round())

    def strays(self) -> list[int]:
        """Give the number of strays of each member."""
        return [member.local.status().strays for member in self.members.values()]

    def held(self) -> list[str]:
        """Say what each member holds."""
        statuses = [member.local.status() for member in self.members.values()]
        return ["live" if status.blobs else "deleted" if status.deleted else "nothing" for status in statuses]


def test_what_the_next_group_takes_is_carried_home_and_forgotten_there() -> None:
    """The object is found all the time."""
    place = Place()
    place.switch(HOME, False)
    place.upload()
    assert place.strays() == [0, 0, 1, 1]
    assert place.fetched() == "red"
    place.switch(HOME, True)
    assert place.fetched() == "red"
    place.round()
    assert place.held() == ["live", "live", "nothing", "nothing"]
    assert place.strays() == [0, 0, 0, 0]
    assert place.fetched() == "red"


@pytest.mark.parametrize("is_silent", [False, True])
def test_what_is_carried_home_while_it_is_looked_for_is_found(is_silent: bool) -> None:
    """I6: home was asked too early, and the other group too late. Where home is silent then, nobody says 404 for it."""
    place = Place({"n0": Late})
    place.switch(HOME, False)
    place.upload()
    place.switch(HOME, True)

    def meanwhile() -> None:
        place.round()
        assert place.held() == ["live", "live", "nothing", "nothing"]
        place.switch(HOME, not is_silent)

    late = place.members["n0"]
    assert isinstance(late, Late)
    late.meanwhile = meanwhile
    if is_silent:
        assert isinstance(failure_of(place.downloads.stat(ABC)), Unavailable)
    else:
        assert place.fetched() == "red"


def test_a_stray_is_kept_until_every_member_at_home_has_it() -> None:
    """I6: two copies were promised; with one at home, and that one out of reach, the other must not be able to say 404."""
    place = Place()
    place.switch(HOME, False)
    place.upload()
    place.switch(["h0"], True)
    place.round()
    assert place.held() == ["live", "nothing", "live", "live"]
    place.switch(["h0"], False)
    place.switch(["h1"], True)
    assert place.fetched() == "red"
    place.switch(["h0"], True)
    place.round()
    assert place.held() == ["live", "live", "nothing", "nothing"]


def test_what_the_home_group_takes_is_no_stray() -> None:
    """Not even where a member is down."""
    place = Place()
    place.switch(["h0"], False)
    place.upload()
    assert place.strays() == [0, 0, 0, 0]


def test_what_has_no_home_is_never_a_stray() -> None:
    """A chunk lies where its object put it; and should one be marked, nobody carries it anywhere."""
    place = Place()
    place.switch(HOME, False)
    chunk = evolve(HELLO, kind=Kind.CHUNK)
    place.upload(entry=chunk, has_home=False)
    assert place.strays() == [0, 0, 0, 0]
    marked = evolve(chunk, id=BlobID("marked"), version=Version(7), is_stray=True)
    success_of(place.members["n0"].local.receive(marked, bytes_body(b"hello")))
    place.switch(HOME, True)
    place.round()
    assert place.strays() == [0, 0, 1, 0]
    assert place.held() == ["nothing", "nothing", "live", "live"]


def test_a_group_that_holds_the_object_as_its_own_does_not_make_a_stray_of_it() -> None:
    """It was there before the home group was added: its members go on comparing it."""
    place = Place()
    for name in NEXT:
        success_of(place.members[name].local.receive(evolve(HELLO, version=Version(5)), bytes_body(b"hello")))
    place.switch(HOME, False)
    place.upload("blue")
    assert place.strays() == [0, 0, 0, 0]
    place.switch(HOME, True)
    assert place.fetched() == "blue"
    place.round()
    assert place.held() == ["nothing", "nothing", "live", "live"]


def test_upload_delete_and_upload_again_across_groups() -> None:
    """Torture F39 as it stands there: no ghost, no lost object."""
    place = Place()
    place.switch(HOME, False)
    place.upload("red")
    place.switch(HOME, True)
    assert place.delete()
    assert place.fetched() is None
    place.upload("blue")
    assert place.fetched() == "blue"
    for _ in range(2):
        place.round()
        assert place.fetched() == "blue"
    assert place.strays() == [0, 0, 0, 0]
    assert place.held() == ["live", "live", "nothing", "nothing"]


def test_a_delete_whose_home_group_is_away_is_kept_by_the_next_group() -> None:
    """And carried home: what was at home is gone after that round, and the other group has no trace of it."""
    place = Place()
    place.upload()
    place.switch(HOME, False)
    assert not place.delete()
    assert place.strays() == [0, 0, 1, 1]
    place.switch(HOME, True)
    place.round()
    assert place.held() == ["deleted", "deleted", "nothing", "nothing"]
    assert place.fetched() is None


def test_a_stray_that_is_deleted_is_a_stray_tombstone() -> None:
    """An older copy at home would be a ghost otherwise."""
    place = Place()
    place.upload("red")
    place.switch(HOME, False)
    place.upload("blue")
    assert not place.delete()
    assert place.held() == ["live", "live", "deleted", "deleted"]
    assert place.strays() == [0, 0, 1, 1]
    place.switch(HOME, True)
    place.round()
    assert place.fetched() is None
    assert place.held() == ["deleted", "deleted", "nothing", "nothing"]


def test_what_is_uploaded_after_such_a_delete_lives() -> None:
    """Here or at home, before the round and after it."""
    for is_home_back in (False, True):
        place = Place()
        place.upload("red")
        place.switch(HOME, False)
        place.delete()
        place.switch(HOME, is_home_back)
        place.upload("blue")
        place.switch(HOME, True)
        assert place.fetched() is not None
        place.round()
        assert place.fetched() == "blue"
        assert place.held() == ["live", "live", "nothing", "nothing"]


def test_a_tombstone_that_nobody_would_carry_home_does_not_count() -> None:
    """The group that is left holds the object as its own, and keeps the tombstone likewise: home would never learn of it."""
    place = Place()
    place.upload()
    for name in NEXT:
        success_of(place.members[name].local.receive(evolve(HELLO, version=Version(5)), bytes_body(b"hello")))
    place.switch(HOME, False)
    assert isinstance(failure_of(place.deletes.delete(ABC)), NotEnoughCopies)
    place.switch(HOME, True)
    assert place.delete()
    assert place.held() == ["deleted"] * 4
    assert place.strays() == [0, 0, 0, 0]


def test_a_delete_that_no_group_can_take_is_refused() -> None:
    """Nothing is promised."""
    place = Place()
    place.upload()
    place.switch([*HOME, *NEXT], False)
    assert isinstance(failure_of(place.deletes.delete(ABC)), NotEnoughCopies)


def test_an_old_server_cannot_stand_in_for_anybody() -> None:
    """It takes no tombstone. Where the home group is of such servers, nothing is left anywhere."""
    place = Place(dict.fromkeys(NEXT, OldContract))
    place.upload()
    place.switch(HOME, False)
    assert isinstance(failure_of(place.deletes.delete(ABC)), NotEnoughCopies)
    place = Place(dict.fromkeys(HOME, OldContract))
    place.upload()
    assert isinstance(failure_of(place.deletes.delete(ABC)), Unsupported)
    assert place.held() == ["live", "live", "nothing", "nothing"]


def test_an_old_server_gets_its_strays() -> None:
    """With their bytes, for it takes nothing else."""
    place = Place(dict.fromkeys(HOME, OldContract))
    place.switch(HOME, False)
    place.upload()
    place.switch(HOME, True)
    assert success_of(place.replication.round()).is_complete
    assert place.held() == ["live", "live", "nothing", "nothing"]


def test_a_stray_with_other_bytes_than_are_at_home_stays_and_is_reported() -> None:
    """In every round: sos picks nobody's bytes."""
    place = Place()
    stray = evolve(HELLO, version=Version(7), is_stray=True)
    success_of(place.members["n0"].local.receive(stray, bytes_body(b"hello")))
    success_of(place.members["h0"].local.receive(Entry(id=ABC, version=Version(5)), bytes_body(b"other")))
    success_of(place.replication.round())
    for _ in range(2):
        assert success_of(place.replication.round()).reported == {ABC}
        assert place.held() == ["live", "live", "live", "nothing"]


def test_a_damaged_stray_that_another_member_keeps_whole_is_forgotten() -> None:
    """The other one is brought home, and then nobody needs this one."""
    place = Place()
    place.switch(HOME, False)
    place.upload()
    place.members["n0"].local.damage(ABC)
    place.switch(HOME, True)
    outcome = success_of(place.replication.round())
    assert (outcome.is_complete, outcome.reported) == (True, set())
    assert place.strays() == [0, 0, 0, 0]
    assert place.fetched() == "red"


def test_a_damaged_stray_that_nobody_has_whole_is_reported_and_holds_up_nothing() -> None:
    """A person has to look at it, as at what is damaged in every copy. Once home has the bytes, it is forgotten."""
    place = Place()
    place.switch([*HOME, "n1"], False)
    place.upload()
    place.members["n0"].local.damage(ABC)
    place.switch([*HOME, "n1"], True)
    for _ in range(2):
        outcome = success_of(place.replication.round())
        assert (outcome.is_complete, outcome.behind, outcome.reported) == (True, set(), {ABC})
        assert place.strays() == [0, 0, 1, 0]
    place.upload("blue")
    assert success_of(place.replication.round()).is_complete
    assert place.strays() == [0, 0, 0, 0]
    assert place.fetched() == "blue"


def test_a_copy_that_missed_a_delete_is_not_served() -> None:
    """A whole group was away; the home group knows better, and says so with its no."""
    place = Place()
    for name in NEXT:
        success_of(place.members[name].local.receive(evolve(HELLO, version=Version(5)), bytes_body(b"hello")))
    place.switch(NEXT, False)
    assert not place.delete()
    place.switch(NEXT, True)
    assert place.fetched() is None
    assert isinstance(failure_of(place.downloads.open(ABC)), BlobNotFound)
    place.switch(HOME, False)
    assert success_of(place.downloads.stat(ABC)).version == 5  # nobody is left who knows better
    place.switch(HOME, True)
    place.upload("blue")
    assert place.fetched() == "blue"


def test_a_tombstone_elsewhere_does_not_make_a_404_while_the_home_group_is_away() -> None:
    """A later upload may be there."""
    place = Place()
    place.switch(HOME, False)
    place.upload("red")
    place.delete()
    assert isinstance(failure_of(place.downloads.stat(ABC)), Unavailable)
    place.switch(HOME, True)
    assert place.fetched() is None
    assert isinstance(failure_of(place.deletes.delete(ABC)), BlobNotFound)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("upload"), st.sampled_from("abcdefgh")),
        st.tuples(st.just("delete"), st.just("")),
        st.tuples(st.sampled_from(["on", "off"]), st.sampled_from([*HOME, *NEXT])),
        st.tuples(st.sampled_from(["on", "off"]), st.sampled_from(["home", "next"])),
        st.tuples(st.just("round"), st.just("")),
    ),
    max_size=14,
)
GROUPS = {"home": HOME, "next": NEXT}


@settings(max_examples=20)
@given(STEPS)
def test_whatever_happens_the_last_write_wins(steps: list[tuple[str, str]]) -> None:
    """What was acknowledged last is what there is once all are back and two rounds have run; nothing lies before that."""
    place = Place()
    wanted: set[str | None] = {None}
    """What may be found in the end: more than one thing, where a write failed half-way."""
    may_be_live = True
    for step, argument in steps:
        if step in ("on", "off"):
            place.switch(GROUPS.get(argument, [argument]), step == "on")
        elif step == "round":
            place.round()
        elif step == "upload":
            outcome = result_of(store_by(place.copies, _coloured(argument), BytesSource([b"hello"])))
            wanted = {argument, *(wanted if isinstance(outcome, SOSError) else ())}
            may_be_live = True
        else:
            deleted = result_of(place.deletes.delete(ABC))
            if not isinstance(deleted, BlobNotFound):
                wanted = {None, *(wanted if isinstance(deleted, SOSError) else ())}
                may_be_live = isinstance(deleted, SOSError) or not deleted.is_everywhere
        found = result_of(place.downloads.stat(ABC))
        if isinstance(found, BlobNotFound):
            assert None in wanted
        elif isinstance(found, Entry):
            assert may_be_live
    place.switch([*HOME, *NEXT], True)
    place.round()
    place.round()
    assert place.fetched() in wanted
    assert place.strays() == [0, 0, 0, 0]


def result_of(running: Coroutine[Any, Any, T]) -> T | SOSError:
    """Give the result of something, or the reason why there is none."""
    results: list[T | SOSError] = []
    Deferred.fromCoroutine(running).addCallbacks(results.append, lambda failure: results.append(failure.value))
    (result,) = results
    return result


def _coloured(colour: str) -> Entry:
    return evolve(HELLO, metadata=Metadata.of([(b"x-colour", colour.encode("ascii"))]))
