"""The look at what a dead process left, tried on stores made bad by hand: a check that never failed shows nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sos.store.opening import open_disk_store
from sos.words.blob import BlobID, Entry, Metadata, Version
from tests.support import bytes_body, immediately, success_of
from tests.torture.at_rest import file_of
from tests.torture.ledger import TOMBSTONE, Held, Ledger, live
from tests.torture.remains import LABEL, remains_of

SMALL, LARGE = b"hello", b"x" * 200_000
SERIAL = (1 << 32) + 1


@pytest.fixture
def ledger() -> Ledger:
    """Say what was promised: two live blobs, one deleted, and one that nobody answered for."""
    ledger = Ledger()
    for name, payload, label in (("small", SMALL, "two"), ("large", LARGE, "")):
        ledger.begin(name, live(payload, label))
        ledger.acknowledge(name, 7)
    ledger.begin("gone", TOMBSTONE)
    ledger.acknowledge("gone")
    ledger.begin("unknown", live(SMALL))
    return ledger


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make the store that kept those promises."""
    path = tmp_path / "store"
    opened = open_disk_store(path, in_thread=immediately, commit_in_thread=immediately, wall=time.time)
    labelled = Metadata(((LABEL, b"two"),))
    success_of(opened.receive(Entry(id=BlobID("small"), version=Version(7), metadata=labelled), bytes_body(SMALL)))
    success_of(opened.receive(Entry(id=BlobID("large"), version=Version(7)), bytes_body(LARGE)))
    success_of(opened.remove(BlobID("gone"), Version(8)))
    success_of(opened.close())
    return path


def test_a_store_that_kept_its_promises_has_nothing_wrong(store: Path, ledger: Ledger) -> None:
    """Whether the unanswered write happened or not."""
    assert remains_of(store, ledger).wrong == []


@pytest.mark.parametrize(
    ("name", "wanted", "version"),
    [
        ("lost", live(SMALL), 7),
        ("small", live(SMALL, "three"), 7),
        ("large", TOMBSTONE, 7),
        ("gone", live(SMALL), 7),
        ("large", live(LARGE), 99),
    ],
)
def test_a_promise_that_was_not_kept_is_found(store: Path, ledger: Ledger, name: str, wanted: Held, version: int) -> None:
    """Bytes lost, metadata lost, a delete lost, an upload lost, a clock that fell back."""
    ledger.begin(name, wanted)
    ledger.acknowledge(name, version)
    assert len(remains_of(store, ledger).wrong) == 1


def test_what_nobody_asked_for_is_found(store: Path, ledger: Ledger) -> None:
    """A blob under an ID that no client named."""
    del ledger.acknowledged["small"]
    assert len(remains_of(store, ledger).wrong) == 1


def _truncate(store: Path) -> None:
    file_of(store, "large", SERIAL).write_bytes(b"")


def _unlink(store: Path) -> None:
    file_of(store, "large", SERIAL).unlink()


def _publish_early(store: Path) -> None:
    file_of(store, "large", SERIAL + 1).write_bytes(b"")


def _execute(statement: str) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        connection = sqlite3.connect(store / "sos.db", isolation_level=None)
        connection.execute(statement)
        connection.close()

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _unlink,
        _publish_early,
        _execute("DELETE FROM small"),
        _execute("UPDATE small SET payload = x'00'"),
        _execute("UPDATE entries SET size = 4 WHERE id = 'small'"),
        _execute("UPDATE digests SET digest = zeroblob(16)"),
        _execute("UPDATE counts SET value = value + 1 WHERE name = 'live'"),
        _execute("UPDATE meta SET value = 1 WHERE name = 'highest'"),
    ],
)
def test_what_is_wrong_in_the_store_itself_is_found(store: Path, ledger: Ledger, damage: Callable[[Path], None]) -> None:
    """Files, rows, bytes and books."""
    damage(store)
    assert remains_of(store, ledger).wrong
