"""Replicators that are killed, and several of them at once."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred

from sos.usecases.copying import Round
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Metadata, Version
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.steps import Stepped
from tests.usecases.test_races import NAMES, Arena

LARGE = 70_000
BLOBS = 600


def unequal(arena: Arena, text: str) -> None:
    """Make the members differ in all ways that a round repairs: large and small blobs, metadata, a delete, a stray."""
    a, b, c = arena.stores.values()
    for store, size in ((a, 5), (b, LARGE), (c, LARGE)):
        success_of(store.receive(Entry(id=BlobID(f"{text}lone{store.uuid[:8]}".replace("-", ""))), bytes_body(b"x" * size)))
    for store in (a, b, c):
        success_of(store.receive(Entry(id=BlobID(f"{text}meta"), version=Version(3)), bytes_body(b"hello")))
        success_of(store.receive(Entry(id=BlobID(f"{text}gone"), version=Version(3)), bytes_body(b"x" * LARGE)))
    colour = Metadata.of([(b"X-Colour", b"red")])
    success_of(a.receive(Entry(id=BlobID(f"{text}meta"), version=Version(4), metadata=colour), bytes_body(b"hello")))
    success_of(b.remove(BlobID(f"{text}gone"), Version(5)))
    success_of(c.receive(Entry(id=BlobID(f"{text}stray"), is_stray=True), bytes_body(b"stray")))


def replicating(arena: Arena, chance: random.Random) -> tuple[Deferred[Round], dict[str, Stepped]]:
    """Begin a round whose every request and answer is a step."""
    cluster, members = arena.racer(shuffle=chance.shuffle)
    return Deferred.fromCoroutine(Replication(cluster, SilentReporter()).round()), members


def kill_at_every_step(arena: Arena, stride: int) -> int:
    """Kill replicators at one step after the other, until one gets to its end first; give the steps that it took."""
    killed_at = 0
    while True:
        unequal(arena, f"k{killed_at}")
        arena.steps.hold()
        chance = random.Random(killed_at)
        running, _ = replicating(arena, chance)
        taken = arena.steps.take_all(chance, killed_at)
        is_over = running.called
        running.cancel()
        arena.steps.set_free()  # the members finish what has reached them
        if is_over:
            assert success_of(running).is_complete
            return taken
        assert isinstance(failure_of(running), CancelledError)
        arena.round()
        assert len(arena.roots()) == 1
        assert [store.status().strays for store in arena.stores.values()] == [0] * 3
        arena.check_files()
        assert arena.round().copied == 0
        killed_at += stride


@pytest.mark.parametrize(
    ("where", "stride"), [("memory", 5), ("disk", 30), pytest.param("disk", 1, marks=pytest.mark.torture)]
)
def test_what_a_killed_replicator_leaves_the_next_round_finishes(tmp_path: Path, where: str, stride: int) -> None:
    """Torture F28: killed among digests, lists, reads, writes, burials, strays and notes; and nothing is partial."""
    with closing(Arena(tmp_path if where == "disk" else None)) as arena:
        assert kill_at_every_step(arena, stride) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(1, 5))])
def test_two_replicators_at_once_take_few_bytes_twice(seed: int) -> None:
    """Torture F29: what both have under way at one moment, here a tenth at most; and they come to the same."""
    with closing(Arena(None)) as arena:
        for number in range(BLOBS):
            arena.put(BlobID(f"n{number}"), b"x" * 1000, NAMES[number % 3])
        arena.steps.hold()
        chance = random.Random(seed)
        runs = [replicating(arena, chance) for _ in range(2)]
        arena.steps.take_all(chance)
        arena.steps.set_free()
        outcomes = [success_of(running) for running, _ in runs]
        assert all(outcome.is_complete for outcome in outcomes)
        assert all(outcome.copied > BLOBS / 2 for outcome in outcomes)
        moved = sum(member.bytes_in for _, members in runs for member in members.values())
        assert moved <= 1.1 * 2 * BLOBS * 1000
        assert len(arena.roots()) == 1
        assert arena.round().copied == 0
