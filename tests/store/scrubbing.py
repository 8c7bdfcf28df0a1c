"""Passes of the scrub on a clock that moves as fast as it is wanted."""

from __future__ import annotations

import hashlib

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.store.disk import DiskStore
from sos.store.index import Write
from sos.store.pace import Pace
from sos.words.blob import Entry
from sos.words.interfaces import Findings
from tests.support import success_of


def fill(store: DiskStore, *entries: Entry, payload: bytes = b"hello") -> None:
    """Put many small blobs into a store, in one transaction."""
    sha256 = hashlib.sha256(payload).digest()
    whole = [evolve(entry, size=len(payload), sha256=sha256) for entry in entries]
    success_of(store._commits.submit(lambda index: [index.apply(Write(entry, 1, payload)) for entry in whole]))


def scrubbed(store: DiskStore, clock: Clock | None = None) -> Findings:
    """Have a pass made over everything, and give what it found."""
    before = store._scrub.standing.passes
    assert success_of(store.scrub()) == before + 1
    run(store, clock or Clock())
    standing = success_of(store.scrub_standing())
    assert (standing.passes, standing.share, standing.found_so_far) == (before + 1, None, Findings())
    return standing.found


def run(store: DiskStore, clock: Clock, rate: float | None = 0) -> None:
    """Let the pass that is due go on to its end."""
    running = Deferred.fromCoroutine(store.scrub_on(Pace(clock, rate)))
    while not running.called:
        clock.advance(60)
    success_of(running)
    assert clock.getDelayedCalls() == []
