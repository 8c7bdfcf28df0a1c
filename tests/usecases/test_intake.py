"""Intake: a directory of the ancestor goes into a store, with nothing lost and nothing wrong taken."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.web.iweb import IBodyProducer

from sos.http.bodies import collect
from sos.store.flat_files import FlatDirectory
from sos.store.memory import MemoryStore
from sos.usecases.intake import AT_ONCE, Intake, Rules
from sos.words.blob import OLD_CONTRACT, BlobID, Entry, Metadata, Version
from sos.words.errors import BlobNotFound, StoreFull, Unavailable
from sos.words.interfaces import IBlobStore
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import NOW, Flaky, memory_store, put

LONG = bytes(range(256)) * 4000


class Flat:
    """A directory of the ancestor, and what was said of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaints: list[str] = []
        self.advanced = 0
        self.turns = 0

    def write(self, payload: bytes, headers: object = None, name: str | None = None) -> BlobID:
        """Write an object and give its ID."""
        object_id = BlobID(name or hashlib.sha1(payload).hexdigest())
        (self.path / object_id).write_bytes(payload)
        if headers is not None:
            (self.path / f"{object_id}.json").write_text(json.dumps(headers))
        return object_id

    def into(self, store: IBlobStore, rules: Rules = Rules()) -> Intake:
        """Make an intake."""
        return Intake(store, FlatDirectory(self.path), rules, lambda: NOW, self.complaints.append, self._advance, self._turn)

    def taken(self, store: IBlobStore, rules: Rules = Rules()) -> dict[str, int]:
        """Take it all and give the counts."""
        intake = self.into(store, rules)
        success_of(intake.run())
        return {name: count for name, count in intake.counts.items() if count and name not in ("seen", "bytes")}

    def _advance(self, number: int) -> None:
        self.advanced += number

    def _turn(self) -> Deferred[None]:
        self.turns += 1
        return succeed(None)


@pytest.fixture
def flat(tmp_path: Path) -> Flat:
    """An empty one."""
    return Flat(tmp_path)


def got(store: MemoryStore, name: str) -> bytes:
    """Fetch a blob."""
    return success_of(collect(success_of(store.fetch(BlobID(name))).body, 10**7))


def test_objects_are_taken_with_their_metadata(flat: Flat) -> None:
    """Small, large, empty, under both digests; at the version that everything of the old contract has."""
    store = memory_store()
    names = [flat.write(payload, {"X-Colour": "blue"}) for payload in (b"hello", LONG, b"")]
    sha256 = flat.write(b"other", name=hashlib.sha256(b"other").hexdigest())
    assert flat.taken(store) == {"taken": 4}
    assert [got(store, name) for name in (*names, sha256)] == [b"hello", LONG, b"", b"other"]
    entries = [success_of(store.stat(name)) for name in (*names, sha256)]
    assert {entry.version for entry in entries} == {OLD_CONTRACT}
    assert [entry.metadata.value(b"x-colour") for entry in entries] == [b"blue", b"blue", b"blue", None]
    assert (flat.complaints, flat.advanced) == ([], 4)


def test_it_can_be_done_again(flat: Flat) -> None:
    """What is there is passed over, what is missing is taken; or all is compared, if that is asked for."""
    store = memory_store()
    names = [flat.write(payload, {"X-Colour": "blue"}) for payload in (b"hello", LONG)]
    assert flat.taken(store) == {"taken": 2}
    flat.write(b"more")
    flaky = Flaky(store)
    assert flat.taken(flaky) == {"taken": 1, "there": 2}
    assert flaky.calls.count("receive") == 1
    assert flat.taken(store, Rules(passes_over=False)) == {"taken": 3}
    root = success_of(store.summary()).root
    os.truncate(flat.path / names[1], 0)
    (flat.path / names[1]).write_bytes(LONG[::-1])
    assert flat.taken(store) == {"there": 3}
    assert flat.taken(store, Rules(passes_over=False)) == {"taken": 2, "complaints": 1}
    assert success_of(store.summary()).root == root


def test_a_later_upload_and_a_delete_stay(flat: Flat) -> None:
    """Whatever comes out of an old directory is older than both, and than any version that there is."""
    store = memory_store()
    kept, gone = flat.write(b"kept", {"X-Colour": "old"}), flat.write(LONG)
    entry = Entry(id=kept, version=Version(1), metadata=Metadata(((b"x-colour", b"new"),)))
    success_of(store.receive(entry, bytes_body(b"kept")))
    success_of(store.remove(gone, Version(1)))
    for rules in (Rules(), Rules(passes_over=False)):
        assert flat.taken(store, rules) == {"newer": 2}
    assert success_of(store.stat(kept)).metadata.value(b"x-colour") == b"new"
    assert isinstance(failure_of(store.fetch(gone)), BlobNotFound)
    assert flat.complaints == []


def test_two_members_come_to_hold_the_same(flat: Flat, tmp_path: Path) -> None:
    """Of copies of one directory, and even where their metadata differ, whichever comes first."""
    other = Flat(tmp_path / "other")
    other.path.mkdir()
    flat.write(b"hello", {"X-Colour": "blue"})
    other.write(b"hello", {"X-Colour": "red"})
    for directory in (flat, other):
        directory.write(LONG, {"X-Name": "long"})
    one, two = memory_store("one"), memory_store("two")
    flat.taken(one)
    other.taken(one)
    other.taken(two)
    flat.taken(two)
    assert success_of(one.summary()).root == success_of(two.summary()).root


def test_wrong_bytes_are_not_taken(flat: Flat) -> None:
    """Small or large: the name is a digest, and says so."""
    store = memory_store()
    small = flat.write(b"hello", name=hashlib.sha1(b"another").hexdigest())
    large = flat.write(LONG, name=hashlib.sha256(b"another").hexdigest())
    for rules in (Rules(), Rules(takes_any_id=True)):
        assert flat.taken(store, rules) == {"complaints": 2}
    why = "its bytes do not have the digest that its name says."
    assert set(flat.complaints) == {f"{small}: {why}", f"{large}: {why}"}
    assert success_of(store.enumerate()) == []


def test_a_name_that_is_no_digest_is_taken_when_asked(flat: Flat) -> None:
    """Nobody can tell whether its bytes are right."""
    store = memory_store()
    flat.write(LONG, name="holiday")
    assert flat.taken(store) == {"complaints": 1}
    assert flat.complaints == ["holiday: its name is no digest (--any-id takes it)."]
    assert flat.taken(store, Rules(takes_any_id=True)) == {"taken": 1}
    flat.write(b"other bytes", name="holiday")
    assert flat.taken(store, Rules(takes_any_id=True)) == {"complaints": 1}
    assert "holiday was not taken: it is held with other bytes" in flat.complaints[-1]
    assert got(store, "holiday") == LONG


def test_what_is_no_object_is_named(flat: Flat) -> None:
    """Names that are no IDs, directories, links, metadata of nothing; the rest is taken."""
    store = memory_store()
    taken = flat.write(b"hello")
    for name in ("README.txt", "Upper", "grüße", ".json", "aa.json", f"{taken}.part"):
        (flat.path / name).write_bytes(b"{}")
    (flat.path / os.fsdecode(b"\xff")).touch()
    (flat.path / "dir").mkdir()
    (flat.path / "bb").symlink_to(flat.path / taken)
    assert flat.taken(store) == {"taken": 1, "complaints": 9}
    assert "bb: it is no file." in flat.complaints
    assert "aa.json: there is no file that it is the metadata of." in flat.complaints
    assert success_of(store.enumerate()) == [taken]


def test_an_object_with_bad_metadata_is_taken_without_them(flat: Flat) -> None:
    """And that is said."""
    store = memory_store()
    object_id = flat.write(b"hello", {"Colour": "blue", "X-Size": "5"})
    broken = flat.write(LONG, [])
    assert flat.taken(store) == {"taken": 2, "complaints": 2}
    assert sorted(flat.complaints) == sorted(
        [
            f"{object_id}: the header 'Colour' is not kept: its name does not begin with X-.",
            f"{broken}: its metadata are lost: the JSON is not an object.",
        ]
    )
    assert success_of(store.stat(object_id)).metadata.pairs == ((b"x-size", b"5"),)


def test_what_expires_goes_on_to_do_so(flat: Flat) -> None:
    """And what has expired is not taken."""
    store = memory_store()
    later = flat.write(b"later", {"X-Delete-At": f"{int(NOW) + 60}"})
    past = flat.write(b"past", {"X-Delete-At": f"{int(NOW)}"})
    assert flat.taken(store) == {"taken": 1, "complaints": 1}
    assert success_of(store.stat(later)).expires == int(NOW) + 60
    assert flat.complaints == [f"{past}: it has expired."]
    assert flat.taken(store) == {"there": 1, "complaints": 1}


def test_a_file_that_shrinks_while_it_is_read_is_not_taken(flat: Flat) -> None:
    """Somebody else is writing there."""
    names = [flat.write(payload) for payload in (b"hello", LONG)]

    class Meddler(FlatDirectory):
        def read(self, file):  # type: ignore[no-untyped-def]
            if file.blob_id == names[0]:
                os.truncate(flat.path / file.blob_id, 3)
            return super().read(file)

        def open(self, file):  # type: ignore[no-untyped-def]
            body = super().open(file)
            os.truncate(flat.path / file.blob_id, 3)
            return body

    intake = Intake(
        memory_store(), Meddler(flat.path), Rules(), lambda: NOW, flat.complaints.append, flat._advance, flat._turn
    )
    success_of(intake.run())
    assert intake.counts["complaints"] == len(names)
    assert intake.counts["taken"] == 0


@pytest.mark.parametrize("error", [StoreFull("The store's disk is full."), Unavailable("The store is closed.")])
def test_a_store_that_takes_no_more_ends_it(flat: Flat, error: Exception) -> None:
    """Not each file has to be told."""
    for number in range(AT_ONCE + 50):
        flat.write(b"%d" % number)
    flaky = Flaky(memory_store(), always=error)
    intake = flat.into(flaky, Rules(passes_over=False))
    assert failure_of(intake.run()) is error
    assert flaky.calls == ["receive"] * AT_ONCE
    assert flat.complaints == []


def test_a_damaged_copy_is_healed(flat: Flat) -> None:
    """A good one has come."""
    store = memory_store()
    object_id = flat.write(b"hello")
    put(store, b"hello", object_id)
    store.damage(object_id)
    assert flat.taken(store) == {"taken": 1}
    assert got(store, object_id) == b"hello"


def test_many_are_in_flight_and_others_have_their_turn(flat: Flat) -> None:
    """A store that answers late gets many at once; one that answers at once is left now and then."""
    for number in range(AT_ONCE + 5):
        flat.write(b"%d" % number)
    waiting: list[Deferred[None]] = []

    class Slow(Flaky):
        async def receive(self, entry: Entry, body: IBodyProducer):  # type: ignore[no-untyped-def]
            later: Deferred[None] = Deferred()
            waiting.append(later)
            await later
            return await super().receive(entry, body)

    store = memory_store()
    intake = flat.into(Slow(store), Rules(passes_over=False))
    running = Deferred.fromCoroutine(intake.run())
    assert len(waiting) == AT_ONCE
    while waiting:
        waiting.pop().callback(None)
    success_of(running)
    assert (intake.counts["taken"], flat.turns) == (AT_ONCE + 5, 1)
    assert flat.taken(store) == {"there": AT_ONCE + 5}
    assert flat.turns == 2
