"""When a pass of the scrub runs, where it goes on after a restart, and what it does when the disk fails."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from zope.interface.verify import verifyObject

from sos.store.disk import DiskStore
from sos.store.pace import ASKED_FOR, BREAK, LONGEST_PASS, SLOWEST, Pace
from sos.store.scrub import REST
from sos.store.scrub_pass import Phase, ScrubPass
from sos.words.blob import BlobID
from sos.words.errors import StoreReadOnly, Unavailable
from sos.words.interfaces import Findings, IScrubbed, ScrubStanding
from tests.store.faults import NOW, Bench
from tests.store.scrubbing import fill, run, scrubbed
from tests.store.test_commits import HeldThread
from tests.store.test_replica import LARGE, received
from tests.store.test_scrub import entry
from tests.support import failure_of, success_of

PIECES = 5
HUGE = b"x" * (PIECES * 1024 * 1024 - 7)


def begun(store: DiskStore, clock: Clock, rate: float | None = None) -> Deferred[None]:
    """Let a pass that is due begin."""
    return Deferred.fromCoroutine(store.scrub_on(Pace(clock, rate)))


def standing_of(store: DiskStore) -> ScrubStanding:
    """Say where it stands."""
    return success_of(store.scrub_standing())


def opened_descriptors() -> int:
    """Count the open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def many(store: DiskStore) -> None:
    """Store enough for several steps of each kind."""
    fill(store, *(entry(f"n{number}") for number in range(300)))
    for name in "abc":
        received(store, LARGE, entry(name))


# When it runs


def test_a_store_can_be_scrubbed(bench: Bench) -> None:
    """All verbs are there; a store that was closed has nothing to say."""
    store = bench.open()
    assert verifyObject(IScrubbed, store)
    success_of(store.close())
    for verb in (store.scrub, store.scrub_standing, lambda: store.scrub_on(Pace(Clock()))):
        assert isinstance(failure_of(verb()), Unavailable)


def test_a_pass_begins_by_itself_and_the_next_one_a_day_after_its_end(bench: Bench) -> None:
    """Whatever becomes of the wall clock, a pass too many does no harm, and none at all would."""
    store, clock = bench.open(), Clock()
    for _ in range(3):
        run(store, clock, None)
        assert standing_of(store).passes == 1
    for ended, passes in ((NOW - BREAK + 1, 1), (NOW - BREAK, 2), (NOW + 1, 3)):
        store._scrub._pass.ended = ended
        run(store, clock, None)
        assert standing_of(store).passes == passes
    success_of(store.close())


def test_with_a_rate_of_0_only_what_is_asked_for_runs(bench: Bench) -> None:
    """``--scrub-rate=0``."""
    store, clock = bench.open(), Clock()
    run(store, clock, 0)
    assert standing_of(store) == ScrubStanding()
    assert scrubbed(store, clock) == Findings()
    success_of(store.close())


def test_the_usual_rate_reads_everything_within_thirty_days() -> None:
    """What was told counts more; somebody who waits gets more."""
    pace = Pace(Clock())
    assert pace.bytes_a_second(10**9, is_asked=False) == SLOWEST
    assert pace.bytes_a_second(10**14, is_asked=False) * (LONGEST_PASS + BREAK) > 10**14
    assert LONGEST_PASS + BREAK == 30 * 86_400
    assert pace.bytes_a_second(0, is_asked=True) == ASKED_FOR
    told = evolve(pace, rate=5e8)
    assert told.bytes_a_second(10**14, is_asked=False) == told.bytes_a_second(0, is_asked=True) == 5e8


@pytest.mark.parametrize(("rate", "seconds"), [(1e6, 5), (5e6, 1)])
def test_a_pass_keeps_its_pace(bench: Bench, rate: float, seconds: float) -> None:
    """A large file is read in pieces, with a pause after each."""
    store, clock = bench.open(), Clock()
    received(store, HUGE, entry("huge"))
    running = begun(store, clock, rate)
    steps = 0
    while not running.called:
        clock.advance(0.01)
        steps += 1
    assert seconds - 0.1 < clock.seconds() < 1.2 * seconds
    assert steps > PIECES
    success_of(store.close())


def test_a_pass_that_is_asked_for_begins_anew_and_is_joined(bench: Bench) -> None:
    """Who asks wants to know of everything; who asks as well does not send the first one back to the beginning."""
    store, clock = bench.open(), Clock()
    many(store)
    running = begun(store, clock, 1e4)
    clock.pump([1] * 5)
    assert 0 < standing_of(store).checked < 303
    assert [success_of(store.scrub()), success_of(store.scrub())] == [1, 1]
    assert standing_of(store).checked == 0
    clock.pump([1] * 10)
    assert (standing_of(store).passes, running.called) == (1, True)
    assert success_of(store.scrub()) == 2
    success_of(store.close())


def test_two_at_once_do_not_run(bench: Bench) -> None:
    """The second has nothing to do."""
    store, clock = bench.open(), Clock()
    many(store)
    running = begun(store, clock)
    success_of(begun(store, clock))
    running.cancel()
    assert isinstance(failure_of(running), CancelledError)
    success_of(store.close())


# Restarts


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("phase", [Phase.ROWS, Phase.TREE, Phase.BOOKS])
def test_a_pass_goes_on_where_it_was(bench: Bench, phase: Phase, is_killed: bool) -> None:
    """However the process ended; what was found before is not forgotten."""
    thread, clock = HeldThread(), Clock()
    store = bench.open(scrub_in_thread=thread)
    many(store)
    bench.rows("UPDATE small SET payload = x'00' WHERE number = 3")
    running = begun(store, clock, 1e4)
    while not (store._scrub._pass.phase is phase and store._scrub._pass.at > 0):
        assert not running.called
        clock.advance(11)
        if thread.waiting:
            thread.run()
    before = store._scrub._pass
    assert before.found_so_far == Findings(damaged=1)
    left = Bench(bench.path.with_name("left"))
    if is_killed:
        shutil.copytree(bench.path, left.path)
    running.cancel()
    assert isinstance(failure_of(running), CancelledError)
    closing = Deferred.fromCoroutine(store.close())
    thread.run_all()
    success_of(closing)
    if not is_killed:
        shutil.copytree(bench.path, left.path)
    again = left.open()
    at = again._scrub._pass
    assert (at.phase, at.passes, at.found_so_far) == (phase, 0, Findings(damaged=1))
    assert at.at <= before.at
    assert 0 < (standing_of(again).share or 0) <= 1
    run(again, clock, 1e6)
    assert (standing_of(again).passes, standing_of(again).found) == (1, Findings(damaged=1))
    success_of(again.close())


def test_a_note_that_cannot_be_read_is_no_note(bench: Bench) -> None:
    """A pass more does no harm."""
    for text in (b"", b"[]", b"{", b'{"phase": 9}', b'{"found": 3}', b'{"at": 1, "more": 2}', b"\xff", None):
        assert ScrubPass.of_text(text) == ScrubPass()
    kept = ScrubPass(3, 1.5, Findings(1, 2, 3, 4, 5), Phase.TREE, 77, 99, True, 12, Findings(orphans=9))
    assert ScrubPass.of_text(kept.to_text().encode()) == kept


# Stopping, and failures


def test_a_pass_stops_at_once_while_a_thread_reads(bench: Bench) -> None:
    """The read ends by itself, its file is closed behind it, and the store waits for that."""
    store = bench.open()
    received(store, HUGE, entry("huge"))
    success_of(store.close())
    before, thread, clock = opened_descriptors(), HeldThread(), Clock()
    store = bench.open(scrub_in_thread=thread)
    running = begun(store, clock)
    while not any(call == ("open", bench.files("blobs")[0].relative_to(bench.path).as_posix()) for call in bench.fs.calls):
        thread.run()
    running.cancel()
    assert isinstance(failure_of(running), CancelledError)
    closing = Deferred.fromCoroutine(store.close())
    assert not closing.called
    thread.run_all()
    success_of(closing)
    assert (opened_descriptors(), clock.getDelayedCalls()) == (before, [])


def test_a_pass_that_fails_is_logged_and_goes_on_later(bench: Bench) -> None:
    """A sentence, no noise every second; and what it had found stays found."""
    store, clock = bench.open(), Clock()
    many(store)
    bench.fs.failing["open"] = errno.EACCES
    success_of(store.scrub())
    with capturedLogs() as events:
        running = begun(store, clock, 0)
        clock.pump([1] * 50)
        success_of(running)
        success_of(begun(store, clock, 0))
    assert [event["log_level"] for event in events] == [LogLevel.warn]
    assert standing_of(store).passes == 0
    bench.fs.failing.clear()
    clock.advance(REST)
    run(store, clock)
    assert (standing_of(store).passes, standing_of(store).found) == (1, Findings())
    success_of(store.close())


def test_a_piece_that_the_disk_cannot_read_is_damage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad block is no reason to give up the whole disk: the others are read, and this blob is healed."""
    store = bench.open()
    received(store, LARGE, entry("a"))
    received(store, LARGE, entry("b"))
    (bad,) = [file for file in bench.files("blobs") if file.name.startswith("a.")]
    inode, read = bad.stat().st_ino, bench.fs.read

    def failing(descriptor: int, size: int) -> bytes:
        if os.fstat(descriptor).st_ino == inode:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, size)

    monkeypatch.setattr(bench.fs, "read", failing)
    assert scrubbed(store) == Findings(damaged=1)
    assert not store.status().is_read_only
    assert "cannot be read" in "".join(file.read_text() for file in bench.files("quarantine") if file.suffix == ".why")
    success_of(store.close())


def test_a_store_that_takes_no_writes_is_not_scrubbed(bench: Bench) -> None:
    """Nothing could be set apart; whoever asks hears it."""
    store, clock = bench.open(), Clock()
    bench.break_fsync()
    assert isinstance(failure_of(_received_large(store)), StoreReadOnly)
    assert isinstance(failure_of(store.scrub()), StoreReadOnly)
    run(store, clock, None)
    assert standing_of(store) == ScrubStanding()
    success_of(store.close())


def _received_large(store: DiskStore) -> Any:
    from tests.support import bytes_body

    return store.receive(entry("a"), bytes_body(LARGE))


def test_the_end_of_a_pass_is_a_sentence_in_the_log(bench: Bench) -> None:
    """Two where something was found."""
    store = bench.open()
    received(store, b"hello", entry("a"))
    for harm, levels in (("SELECT 1", [LogLevel.info]), ("UPDATE small SET payload = x'00'", [LogLevel.warn] * 2)):
        bench.rows(harm)
        with capturedLogs() as events:
            scrubbed(store)
        assert [event["log_level"] for event in events] == levels
    assert store.status().damaged == 1
    assert success_of(store.summary()).damaged == 1
    assert BlobID("a") in {one.id for bucket in range(4096) for one in success_of(store.entries(bucket))}
    success_of(store.close())
