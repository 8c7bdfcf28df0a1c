"""Two stores on which anything was done are equal once each was told what the other holds: then their roots say so."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobConflict, BlobDamaged, BlobNotFound
from tests.contracts.replica_sites import NOW, Site, disk_site, memory_site, metadata_of
from tests.support import bytes_body, success_of

NAMES = [BlobID("a"), BlobID("b"), BlobID("c")]


@frozen
class Step:
    """Something that happens to one of two stores."""

    verb: str
    place: int
    entry: Entry

    def take(self, site: Site) -> None:
        """Do it; what a store refuses, it refuses."""
        entry = self.entry
        try:
            if self.verb == "receive":
                site.received(entry, payload_of(entry.id))
            elif self.verb == "remove":
                site.removed(entry.id, entry.version, is_stray=entry.is_stray)
            elif self.verb == "renew":
                success_of(site.store.renew(evolve(success_of(site.store.stat(entry.id)), version=entry.version)))
            elif self.verb == "damage":
                success_of(site.store.stat(entry.id))
                site.damage(entry.id)
            elif self.verb == "forget":
                success_of(site.store.forget(entry.id, entry.version))
            else:
                success_of(site.local.reap())
        except (BlobConflict, BlobNotFound, BlobDamaged):
            pass


entries = st.builds(
    Entry,
    id=st.sampled_from(NAMES),
    version=st.integers(1, 5).map(Version),
    metadata=st.sampled_from(["one", "two"]).map(metadata_of),
    expires=st.sampled_from([None, None, int(NOW) - 10_000, int(NOW) + 10_000]),
    is_stray=st.sampled_from([False, False, False, True]),
)
verbs = st.sampled_from(["receive", "receive", "receive", "remove", "renew", "damage", "forget", "reap"])
histories = st.lists(st.builds(Step, verbs, st.integers(0, 1), entries), max_size=14)


def payload_of(name: BlobID) -> bytes:
    """Bytes under a name never change: only a client picks between bytes. Those of one are a file."""
    return name.encode("ascii") * (70_000 if name == "c" else 1)


def tell(target: Site, entry: Entry, source: Site) -> None:
    """Bring one entry from a store to the other, as a round does."""
    arriving = evolve(entry, is_stray=False)
    try:
        if not entry.is_live:
            success_of(target.store.remove(entry.id, entry.version))
            return
        try:
            success_of(target.store.renew(arriving))
        except BlobNotFound:
            success_of(target.store.receive(arriving, bytes_body(source.fetched(entry.id))))
    except (BlobConflict, BlobNotFound):  # something newer is there; it has expired, and cannot be read
        pass


def exchange(one: Site, other: Site, order: random.Random) -> None:
    """Tell each store what the other holds, strays as well, in any order."""
    told = []
    for source, target in ((one, other), (other, one)):
        strays = list(success_of(source.store.strays()))
        told += [(target, entry, source) for entry in [*source.entries(), *strays] if not entry.is_damaged]
        told += [(source, stray, source) for stray in strays if not stray.is_damaged]
    order.shuffle(told)
    for telling in told:
        tell(*telling)


def made(make: Callable[[Path], Site], stack: ExitStack) -> Site:
    """Make a store in a fresh directory."""
    site = make(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "store")
    stack.callback(lambda: success_of(site.local.close()))
    return site


@settings(max_examples=100)
@given(histories, st.randoms(use_true_random=False))
def test_stores_in_memory_that_tell_each_other_are_equal(history: list[Step], order: random.Random) -> None:
    """Whatever was done to them, in whatever order they are told; and their books are right at every step."""
    check_convergence(memory_site, history, order)


@settings(max_examples=25)
@given(histories, st.randoms(use_true_random=False))
def test_a_store_on_a_disk_becomes_equal_to_one_in_memory(history: list[Step], order: random.Random) -> None:
    """They keep the same books, so each checks the other."""
    check_convergence(disk_site, history, order)


def check_convergence(make: Callable[[Path], Site], history: list[Step], order: random.Random) -> None:
    """Let a history happen to two stores, let them tell each other, and compare."""
    with ExitStack() as stack:
        sites = [made(make, stack), made(memory_site, stack)]
        for step in history:
            step.take(sites[step.place])
            sites[step.place].check_books()
        for site in sites:
            success_of(site.local.reap())  # an expired blob cannot be read, and so not be copied
        for _ in range(3):
            exchange(sites[0], sites[1], order)
        for site in sites:
            site.check_books()
        remove_what_is_damaged(sites)
        assert len({success_of(site.store.summary()).root for site in sites}) == 1


def remove_what_is_damaged(sites: list[Site]) -> None:
    """Remove what no copy could heal: of it a digest says nothing, and the other store may hold something older."""
    damaged = {entry.id for site in sites for entry in site.held() if entry.is_damaged}
    for name, site in product(sorted(damaged), sites):
        site.removed(name, 100)
