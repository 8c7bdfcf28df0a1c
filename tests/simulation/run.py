"""One simulated run: clients and the nemesis for a while, then peace, two rounds, and everything is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from random import Random

from attrs import define, field
from twisted.internet.defer import Deferred

from sos.decisions.buckets import BUCKETS, EMPTY, bucket_of, changed, takes_part
from sos.words.blob import Entry
from tests.simulation.clients import Crowd, Thing, things_of
from tests.simulation.history import Outcome, Verb, violations_of
from tests.simulation.nemesis import Nemesis
from tests.simulation.world import APIS, GROUPS, World

SECONDS = 60.0
"""Of the simulated clock, under faults."""

CLIENTS = 4
VOLLEY = 6
"""Things that a client uploads at once, in one run of four: small ones go to a member together."""

THINGS = 10
AFTERMATH = 60.0
"""Seconds after the last fault in which what is under way comes to its end: deadlines, rests of members, stragglers."""


@define
class Report:
    """What a run came to."""

    seed: int
    operations: int = 0
    done: int = 0
    unknown: int = 0
    faults: int = 0
    problems: list[str] = field(factory=list)
    deeds: Sequence[str] = ()
    history: Sequence[str] = ()
    trace: str = ""
    """A digest of all that clients saw: equal for every run of one seed."""


def simulate(seed: int, seconds: float = SECONDS) -> Report:
    """Run a seed."""
    chance = Random(seed)
    world = World(chance, min_copies=chance.choice((None, 2)))
    things = things_of(chance, THINGS)
    crowd = Crowd(world, things, CLIENTS, seconds, VOLLEY if seed % 4 == 3 else 1)
    nemesis = Nemesis(world, seconds)
    nemesis.begin()
    report = Report(seed)
    try:
        if not world.run_until(lambda: crowd.is_over, seconds + 200):
            report.problems.append("a client still waits, long after all faults have ended")
        crowd.check()
        report.problems += aftermath(world, crowd, things)
    finally:
        world.end()
    report.operations = len(crowd.history)
    report.done = sum(operation.outcome is Outcome.DONE for operation in crowd.history)
    report.unknown = sum(operation.outcome is Outcome.UNKNOWN for operation in crowd.history)
    report.faults, report.deeds = len(nemesis.deeds), nemesis.deeds
    report.problems += [
        f"{found.rule} {found.operation.object[:8]} at {found.operation.called:.3f}: {found.why}"
        for found in violations_of(crowd.history)
    ]
    report.history = [
        f"{op.called:9.3f} {op.returned:9.3f} {op.client:8} {op.verb.value:6} {op.object[:8]} {op.outcome.value}"
        for op in sorted(crowd.history, key=lambda op: op.called)
    ]
    report.trace = hashlib.sha256("\n".join(report.history).encode()).hexdigest()[:16]
    return report


def aftermath(world: World, crowd: Crowd, things: Sequence[Thing]) -> Iterator[str]:
    """Let there be peace, run two rounds, and look at everything."""
    world.run_for(20.0)  # faults that were begun end by themselves
    world.heal()
    world.run_for(AFTERMATH)
    outcomes = [world.replicate() for _ in range(2)]
    if not outcomes[-1].is_complete:
        yield f"I11: the second round is not complete: {outcomes[-1]}"
    for group in GROUPS:
        yield from _unequal(world, group)
    for store in (store for group in GROUPS for store in world.stores(group)):
        buckets = [EMPTY] * BUCKETS
        for entry in store.disk.shelf.entries:
            if takes_part(entry):
                buckets[bucket_of(entry.id)] = changed(buckets[bucket_of(entry.id)], entry)
        if buckets != store.disk.shelf.buckets:
            yield f"I25: the digests of {store.uuid} are not those of its entries"
    for thing in things:
        for api in APIS:
            done = world.result_of(Deferred.fromCoroutine(crowd.do(Verb.FETCH, thing, api, "final", is_final=True)))
            if done.outcome is Outcome.UNKNOWN:
                yield f"I19: {thing.id[:8]} has no answer from {api} although everything is well again"


def _unequal(world: World, group: str) -> Iterator[str]:
    """Say where the members of a group differ, and what they should not have any more."""
    stores = world.stores(group)
    present = [[entry for entry in store.disk.shelf.entries if not _is_lost(world, entry)] for store in stores]
    entries = [{entry for entry in held if not entry.is_stray} for held in present]
    for store, held, here in zip(stores, entries, present, strict=True):
        for entry in sorted(held ^ entries[0], key=lambda entry: entry.id):
            yield f"I11: {store.uuid} and {stores[0].uuid} differ: {entry.id[:8]} {entry.version} {entry.state.name}"
        for entry in here:
            if entry.is_damaged:
                yield f"I14: {entry.id[:8]} is still damaged at {store.uuid}"
            if entry.is_stray:
                yield f"I11: {entry.id[:8]} is still a stray at {store.uuid}"


def _is_lost(world: World, entry: Entry) -> bool:
    """Whether nobody has a sound copy of what is damaged here, nor its tombstone.

    Its upload was not acknowledged: one that was has a copy on a disk that loses nothing, and must be given out.
    """
    stores = [store for group in GROUPS for store in world.stores(group)]
    held = [store.disk.shelf.held(entry.id) for store in stores]
    return entry.is_damaged and all(one is None or one.entry.is_damaged for one in held)
