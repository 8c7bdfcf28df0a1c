"""What a store keeps in memory of what was read: never longer than until the next commit."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sos.http.bodies import collect
from sos.store.memory import MemoryStore
from sos.store.recent import Recent
from sos.store.rows import Row
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BlobDamaged, BlobNotFound, SOSError
from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.store.faults import NOW, Bench
from tests.support import bytes_body, failure_of, success_of

ABC = BlobID("abc")
ENTRY = Entry(id=ABC, version=Version(5))
HELLO = b"hello"


class Count:
    """The number of commits."""

    def __init__(self) -> None:
        self.commits = 0

    def __call__(self) -> int:
        return self.commits


def row(name: str, payload: bytes | None = HELLO) -> Row:
    """Make a row as it is read."""
    return Row(1, Entry(id=BlobID(name), version=Version(1)), 0, None, payload)


def kept(recent: Recent, *names: str) -> str:
    """Give those of some names under which something is kept."""
    return "".join(name for name in names if recent.of(BlobID(name)) is not None)


def test_a_row_is_kept_until_the_next_commit() -> None:
    """Whatever that changes."""
    count = Count()
    recent = Recent(count)
    assert recent.of(ABC) is None
    recent.keep(row("abc"))
    assert recent.of(ABC) == row("abc")
    count.commits += 1
    assert recent.of(ABC) is None


def test_what_was_read_while_there_was_a_commit_is_not_kept() -> None:
    """It may have been read before that, and the writer has heard by now that its change is durable."""
    count = Count()
    recent = Recent(count)
    assert recent.of(ABC) is None
    count.commits += 1
    recent.keep(row("abc"))
    assert recent.of(ABC) is None


def test_what_was_kept_first_goes_first_when_there_is_too_much() -> None:
    """And what is larger than all that may be kept is not kept; nor is what has its bytes elsewhere."""
    recent = Recent(Count(), most=12)
    for name in "abcb":
        recent.of(BlobID(name))
        recent.keep(row(name))
    assert kept(recent, *"abc") == "bc"
    recent.drop(BlobID("b"))
    recent.drop(BlobID("b"))
    recent.keep(row("d"))
    assert kept(recent, *"abcd") == "cd"
    recent.keep(row("e", None))
    assert kept(recent, *"cde") == "cd"
    recent.keep(row("f", bytes(13)))
    assert kept(recent, *"cdef") == ""
    recent.keep(row("g", bytes(12)))
    assert kept(recent, "g") == "g"


def test_a_blob_that_is_read_over_and_over_is_read_once(bench: Bench) -> None:
    """Until something is written, be it of another one; then each is as it is now."""
    store = bench.open()
    success_of(store.receive(ENTRY, bytes_body(HELLO)))
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    assert success_of(collect(success_of(store.fetch(ABC)).body, 5)) == HELLO
    connection.execute("UPDATE small SET payload = ?", (b"jello",))
    assert success_of(collect(success_of(store.fetch(ABC)).body, 5)) == HELLO
    assert success_of(store.stat(ABC)).size == 5
    success_of(store.receive(Entry(id=BlobID("other"), version=Version(5)), bytes_body(b"other")))
    assert isinstance(failure_of(store.fetch(ABC)), BlobDamaged)
    connection.close()
    success_of(store.close())


def test_a_suspicion_is_not_answered_out_of_memory(bench: Bench) -> None:
    """Whoever says that bytes are wrong has them looked at where they are stored."""
    store = bench.open()
    success_of(store.receive(ENTRY, bytes_body(HELLO)))
    assert success_of(collect(success_of(store.fetch(ABC)).body, 5)) == HELLO
    connection = sqlite3.connect(bench.path / "sos.db", isolation_level=None)
    connection.execute("UPDATE small SET payload = ?", (b"jello",))
    connection.close()
    success_of(store.suspect(ABC))
    assert isinstance(failure_of(store.fetch(ABC)), BlobDamaged)
    success_of(store.close())


def test_what_a_write_changed_is_seen_as_soon_as_it_is_durable(bench: Bench) -> None:
    """New metadata, a delete; and an expiry that passes, which nothing writes."""
    store = bench.open()
    success_of(store.receive(ENTRY, bytes_body(HELLO)))
    assert success_of(store.stat(ABC)).version == 5
    renewed = Entry(
        id=ABC,
        version=Version(6),
        sha256=success_of(store.stat(ABC)).sha256,
        metadata=Metadata.of([(b"x-is", b"new")]),
        expires=int(bench.now) + 60,
    )
    success_of(store.renew(renewed))
    opened = success_of(store.fetch(ABC))
    opened.body.stopProducing()
    assert (opened.entry.version, opened.entry.metadata) == (6, renewed.metadata)
    bench.now += 60
    assert isinstance(failure_of(store.fetch(ABC)), BlobNotFound)
    bench.now -= 60
    assert success_of(store.stat(ABC)).version == 6
    success_of(store.remove(ABC, Version(7)))
    assert isinstance(failure_of(store.fetch(ABC)), BlobNotFound)
    success_of(store.close())


IDS = [BlobID(name) for name in "abc"]
PAYLOADS = {blob_id: blob_id.encode() * 20 for blob_id in IDS}

Step = tuple[str, BlobID, int, int]
"""What is done, to which blob, under which version, and a number that says how; or how many seconds pass."""

STEPS = st.tuples(
    st.sampled_from(["receive", "renew", "remove", "forget", "suspect", "reap", "drop", "sweep", "wait"]),
    st.sampled_from(IDS),
    st.integers(1, 5),
    st.integers(0, 3),
)


def done(store: ILocalReplica, step: Step) -> type[SOSError] | None:
    """Take a step at a store, and give the kind of error that it ended with."""
    verb, name, number, how = step
    version, payload = Version(number), PAYLOADS[name]
    entry = Entry(
        id=name,
        version=version,
        sha256=hashlib.sha256(payload).digest(),
        metadata=Metadata.of([(b"x-how", b"%d" % how)]),
        expires=int(NOW) + 40 if how == 2 else None,
        is_stray=how == 3,
    )
    calls: dict[str, Callable[[], Any]] = {
        "receive": lambda: store.receive(entry, bytes_body(payload)),
        "renew": lambda: store.renew(entry),
        "remove": lambda: store.remove(name, version, how == 3),
        "forget": lambda: store.forget(name, version),
        "suspect": lambda: store.suspect(name),
        "reap": store.reap,
        "drop": lambda: store.drop_tombstones([(name, version)]),
        "sweep": lambda: store.sweep([(name, version)]),
    }
    try:
        success_of(calls[verb]())
    except SOSError as error:
        return type(error)
    return None


def seen(store: ILocalReplica, name: BlobID) -> tuple[Entry, bytes] | type[SOSError]:
    """Read a blob, and give what a reader gets."""
    try:
        opened = success_of(store.fetch(name))
        assert success_of(store.stat(name)) == opened.entry
        return opened.entry, success_of(collect(opened.body, 100))
    except SOSError as error:
        return type(error)


AGES: dict[str, Any] = {"tombstone_age": 30.0, "expiry_grace": 20.0, "sweep_age": 30.0}
NUMBERS = itertools.count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=20))
def test_whoever_reads_after_each_step_gets_what_a_store_that_keeps_nothing_gives(
    memory_path: Path, steps: Sequence[Step]
) -> None:
    """Each blob twice, so that the second time it comes out of memory if ever; beside a store that is a dictionary."""
    bench = Bench(memory_path / f"store{next(NUMBERS)}")
    disk = bench.open(**AGES)
    plain = MemoryStore("plain", HybridClock(lambda: bench.now), **AGES)
    for step in steps:
        if step[0] == "wait":
            bench.now += 15 * step[3]
        else:
            assert done(disk, step) == done(plain, step)
        for name in IDS * 2:
            assert seen(disk, name) == seen(plain, name)
    success_of(disk.close())
