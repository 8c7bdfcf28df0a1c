"""Export: objects become files, whole ones or none; and what was exported can be imported again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from sos.decisions.tally import usual_min_copies
from sos.http.bodies import collect
from sos.store.flat_files import FlatDirectory, FlatPart
from sos.store.memory import MemoryStore
from sos.usecases.downloads import Downloads
from sos.usecases.export import Export, IObjectSource
from sos.usecases.intake import Rules
from sos.words.blob import BlobID, Entry, Kind, Metadata
from sos.words.errors import Unavailable
from sos.words.interfaces import IBlobStore, OpenBlob
from tests.decisions.test_sidecar import EXPIRIES, KEPT
from tests.support import bytes_body, failure_of, immediately, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_of, memory_store
from tests.usecases.test_intake import Flat

LONG = bytes(range(256)) * 20_000


class Full(FlatPart):
    """A file on a disk that is full."""

    def write(self, piece: bytes) -> None:
        """Refuse."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Target:
    """A directory to export into, and what was said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaints: list[str] = []
        self.advanced = 0

    def exported(self, store: IBlobStore, is_verifying: bool = False) -> dict[str, int]:
        """Export all of a store and give the counts."""
        objects = Downloads(cluster_of(one={"a": store}), usual_min_copies, Clock())
        return self.exported_from(objects, store, is_verifying)

    def exported_from(self, objects: IObjectSource, store: IBlobStore, is_verifying: bool = False) -> dict[str, int]:
        """Export what a source gives under the names of a store."""
        export = self.export(objects, is_verifying)
        success_of(export.run(names_in(store)))
        return {name: count for name, count in export.counts.items() if count and name != "bytes"}

    def export(self, objects: IObjectSource, is_verifying: bool = False) -> Export:
        """Make an export."""
        return Export(objects, FlatDirectory(self.path), immediately, self.complaints.append, self._advance, is_verifying)

    def files(self) -> dict[str, bytes]:
        """Give all files."""
        return {path.name: path.read_bytes() for path in self.path.iterdir()}

    def _advance(self, number: int) -> None:
        self.advanced += number


async def names_in(store: IBlobStore) -> AsyncIterator[Sequence[BlobID]]:
    """List a store."""
    yield await store.enumerate()


def put(store: MemoryStore, payload: bytes, *, kind: Kind = Kind.BLOB, **headers: str) -> BlobID:
    """Store an object and give its ID."""
    metadata = Metadata.of((f"x-{name}".encode(), value.encode()) for name, value in headers.items())
    entry = Entry(id=BlobID(hashlib.sha1(payload).hexdigest()), kind=kind, metadata=metadata)
    success_of(store.receive(entry, bytes_body(payload)))
    return entry.id


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """An empty one."""
    return Target(tmp_path)


def test_each_object_is_a_file_with_its_metadata_beside_it(target: Target) -> None:
    """Named by its ID, as the ancestor has it; chunks are parts, and no objects."""
    store = memory_store()
    plain, coloured = put(store, LONG), put(store, b"hello", colour="blue")
    put(store, b"chunk", kind=Kind.CHUNK)
    assert target.exported(store) == {"written": 2}
    files = target.files()
    assert json.loads(files.pop(f"{coloured}.json")) == {"X-Colour": "blue"}
    assert files == {plain: LONG, coloured: b"hello"}
    assert (target.complaints, target.advanced) == ([], 2)


def test_it_can_be_done_again(target: Target) -> None:
    """What is there in its full length is passed over; what was cut is written again, and so are other metadata."""
    store = memory_store()
    cut, kept, coloured = put(store, LONG), put(store, b"hello"), put(store, b"blue", colour="blue")
    target.exported(store)
    os.truncate(target.path / cut, 5)
    put(store, b"red")
    (target.path / f"{coloured}.json").write_text("{}")
    (target.path / f"{kept}.json").write_text("{}")
    assert target.exported(store) == {"written": 2, "there": 2}
    files = target.files()
    assert files[cut] == LONG
    assert json.loads(files[f"{coloured}.json"]) == {"X-Colour": "blue"}
    assert f"{kept}.json" not in files


def test_wrong_bytes_are_found_when_asked(target: Target) -> None:
    """They are read, and written again."""
    store = memory_store()
    object_id = put(store, b"hello")
    target.exported(store)
    (target.path / object_id).write_bytes(b"jello")
    assert target.exported(store) == {"there": 1}
    assert target.exported(store, is_verifying=True) == {"written": 1}
    assert target.exported(store, is_verifying=True) == {"there": 1}
    assert target.files() == {object_id: b"hello"}


def test_an_object_that_nobody_gives_is_named(target: Target) -> None:
    """The others are written, and nothing is left of it."""
    store = memory_store()
    names = sorted([put(store, b"one"), put(store, b"two")])
    flaky = Flaky(store, [None, Unavailable("It hangs.")])
    assert target.exported(flaky) == {"written": 1, "complaints": 1}
    assert list(target.files()) == names[1:]
    assert target.complaints[0].startswith(f"{names[0]} was not exported: Too few")


def test_wrong_bytes_are_not_kept(target: Target) -> None:
    """Whoever gives them: what is written is hashed as it comes, and counted."""
    store = memory_store()
    names = [put(store, b"hello"), put(store, LONG)]

    class Liar(Downloads):
        async def open(self, object_id: BlobID, span: object = None) -> OpenBlob:
            opened = await store.fetch(object_id)
            payload = await collect(opened.body, 10**8)
            if object_id == names[0]:
                return OpenBlob(opened.entry, bytes_body(payload[::-1]))
            return OpenBlob(evolve(opened.entry, size=10), bytes_body(payload))

    liar = Liar(cluster_of(one={"a": store}), usual_min_copies, Clock())
    assert target.exported_from(liar, store) == {"complaints": 2}
    assert target.files() == {}
    assert set(target.complaints) == {
        f"{names[0]} was not exported: Its bytes do not have the right digest.",
        f"{names[1]} was not exported: It has {len(LONG)} bytes instead of 10.",
    }


def test_a_full_disk_ends_it_and_stops_what_comes(target: Target) -> None:
    """Nothing of the object is left."""
    store = memory_store()
    put(store, LONG)

    class FullDirectory(FlatDirectory):
        def begin(self, name: BlobID) -> FlatPart:
            return Full(target.path, name)

    objects = Downloads(cluster_of(one={"a": store}), usual_min_copies, Clock())
    export = Export(objects, FullDirectory(target.path), immediately, target.complaints.append, target._advance)
    error = failure_of(export.run(names_in(store)))
    assert isinstance(error, OSError) and error.errno == errno.ENOSPC
    assert target.files() == {}


@settings(max_examples=25)
@given(st.dictionaries(st.binary(max_size=20), st.tuples(KEPT, EXPIRIES), max_size=3))
def test_what_was_exported_comes_back_as_it_was(objects: dict[bytes, tuple[Metadata, int | None]]) -> None:
    """Bytes, metadata and expiry; and since an import has one version, two stores that were imported are equal."""
    first, second = memory_store("first"), memory_store("second")
    for payload, (metadata, expires) in objects.items():
        entry = Entry(id=BlobID(hashlib.sha1(payload).hexdigest()), metadata=metadata, expires=expires)
        if not entry.is_expired(NOW):
            success_of(first.receive(entry, bytes_body(payload)))
    with tempfile.TemporaryDirectory() as path:
        assert Target(Path(path)).exported(first).get("complaints") is None
        assert Flat(Path(path)).taken(second, Rules()).get("complaints") is None
    assert success_of(second.summary()).root == success_of(first.summary()).root
