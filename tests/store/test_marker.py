"""Which directory may be a store: a missing or empty one, or one that is a store already and nobody's else."""

from __future__ import annotations

import json

import pytest

from sos.words.errors import StoreRefused
from tests.store.faults import Bench
from tests.support import success_of


def test_a_missing_directory_becomes_a_store(bench: Bench) -> None:
    """With those above it."""
    bench.path = bench.path / "deep" / "down"
    store = bench.open(make_uuid=lambda: "the-uuid")
    assert json.loads((bench.path / "store.json").read_text()) == {"format": 1, "uuid": "the-uuid"}
    assert store.uuid == "the-uuid"
    success_of(store.close())


def test_an_empty_directory_becomes_a_store(bench: Bench) -> None:
    """An empty file system counts as empty, though it has its lost+found."""
    (bench.path / "lost+found").mkdir(parents=True)
    success_of(bench.open().close())
    success_of(bench.open(must_exist=True).close())


def test_a_missing_directory_is_refused_where_a_store_must_be(bench: Bench) -> None:
    """A disk that is not mounted does not become a new store, and nothing is written below its mount point."""
    with pytest.raises(StoreRefused, match="does not exist: mount its disk"):
        bench.open(must_exist=True)
    assert not bench.path.exists()


def test_an_empty_directory_is_refused_where_a_store_must_be(bench: Bench) -> None:
    """An empty mount point stays empty."""
    bench.path.mkdir()
    with pytest.raises(StoreRefused, match="is empty: mount its disk"):
        bench.open(must_exist=True)
    assert list(bench.path.iterdir()) == []


def test_a_directory_with_other_things_is_refused(bench: Bench) -> None:
    """The sentence says what was found."""
    bench.path.mkdir()
    for name in ("holiday.jpg", "letter.txt"):
        (bench.path / name).touch()
    with pytest.raises(StoreRefused, match=r"holiday\.jpg, letter\.txt"):
        bench.open()


@pytest.mark.parametrize(
    ("marker", "sentence"),
    [
        ('{"format": 2, "uuid": "a"}', "format 2"),
        ('{"format": "new"}', "format 'new'"),
        ("[1]", "format None"),
        ("[" * 4000, "cannot be read"),
        ("", "cannot be read"),
        ('{"format": 1}', "no UUID"),
    ],
)
def test_a_marker_that_is_not_understood_is_refused(bench: Bench, marker: str, sentence: str) -> None:
    """A newer format is another program's."""
    bench.path.mkdir()
    (bench.path / "store.json").write_text(marker)
    with pytest.raises(StoreRefused, match=sentence):
        bench.open()


def test_a_second_process_is_refused(bench: Bench) -> None:
    """One at a time, and the next one when it is gone."""
    store = bench.open()
    with pytest.raises(StoreRefused, match="in use by another process"):
        bench.open()
    success_of(store.close())
    success_of(bench.open().close())


def test_a_store_without_its_database_is_refused(bench: Bench) -> None:
    """It would say 404 for all that it held."""
    success_of(bench.open().close())
    (bench.path / "sos.db").unlink()
    with pytest.raises(StoreRefused, match="lost its database"):
        bench.open()


def test_a_beginning_that_was_cut_short_begins_again(bench: Bench) -> None:
    """Until the marker has its name nothing was promised, so whatever is there may go."""
    bench.path.mkdir()
    (bench.path / "store.json.new").write_bytes(b"")
    (bench.path / "sos.db").write_bytes(b"torn")
    (bench.path / "staging").mkdir()
    store = bench.open()
    assert not (bench.path / "store.json.new").exists()
    assert success_of(store.enumerate()) == []
    success_of(store.close())


def test_a_beginning_that_was_cut_short_while_its_database_was_made_begins_again(bench: Bench) -> None:
    """Before it has a WAL, SQLite keeps a journal, and a process that is killed just then leaves it."""
    bench.path.mkdir()
    (bench.path / "store.json.new").write_bytes(b"")
    (bench.path / "sos.db").write_bytes(b"torn")
    (bench.path / "sos.db-journal").write_bytes(b"torn")
    store = bench.open()
    assert not (bench.path / "sos.db-journal").exists()
    assert success_of(store.enumerate()) == []
    success_of(store.close())


def test_a_path_that_is_a_file_is_refused(bench: Bench) -> None:
    """Without a traceback."""
    bench.path.write_text("a file")
    with pytest.raises(StoreRefused, match="cannot be used"):
        bench.open()
