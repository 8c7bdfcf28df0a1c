"""The whole, in one process, one thing after the other: hypothesis picks what is done, and what goes wrong.

What one client sees is written down as in a run of the simulation, and is looked at after each step. Since nothing else
happens meanwhile, little may be either way; and what fails comes out as short as it can be (torture, part I, "Stateful").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from sos.decisions.manifest import manifest_of
from sos.store.shelf import Held
from sos.words.blob import BlobID, Kind
from tests.cluster.visitor import Answer, Visitor
from tests.machines import run_machine
from tests.simulation.clients import Crowd, Thing
from tests.simulation.disks import Disk, SimStore
from tests.simulation.history import Outcome, Verb, violations_of
from tests.simulation.nemesis import DAY, FRAGILE, UNNOTICED, YEAR
from tests.simulation.run import aftermath
from tests.simulation.world import APIS, CHUNK_SIZE, GROUPS, World
from tests.support import success_of

KIB = 1024
SIZES = (0, 1, 64 * KIB, 64 * KIB + 1, CHUNK_SIZE + 1, 3 * CHUNK_SIZE)
THINGS = [Thing(Random(size).randbytes(size)) for size in SIZES]
MEMBERS = "".join("".join(members) for members in GROUPS.values())

A_THING = st.sampled_from(THINGS)
A_MEMBER = st.sampled_from(MEMBERS)
AN_API = st.sampled_from(APIS)


class WholeMachine(RuleBasedStateMachine):
    """A client, two apis, a group of three and one of two, and whatever may befall them."""

    def __init__(self) -> None:
        super().__init__()
        self.backup: Disk | None = None
        self.was_skewed = False
        self.was_reweighted = False
        self.marks: dict[str, set[str]] = {}
        """The metadata that each object may have: that of the last upload that was acknowledged, or of a later one."""
        self.expiring: list[tuple[Thing, float]] = []
        """Objects that were acknowledged, and the moments at which they expire."""

    @initialize(
        seed=st.integers(0, 1000), min_copies=st.sampled_from([None, 2]), present=st.sets(st.sampled_from(THINGS[:3]))
    )
    def open(self, seed: int, min_copies: int | None, present: set[Thing]) -> None:
        """A cluster with a few objects."""
        self.world = World(Random(seed), min_copies)
        self.crowd = Crowd(self.world, THINGS, 0, 0.0)
        for thing in sorted(present, key=lambda thing: thing.id):
            self.upload(thing, "p", "red")

    # What a client does

    @rule(thing=A_THING, api=AN_API, mark=st.sampled_from(THINGS[0].marks))
    def upload(self, thing: Thing, api: str, mark: str) -> None:
        """An object comes, for the first time or again, with one or another metadata."""
        outcome = self._do(Verb.UPLOAD, evolve(thing, marks=(mark,)), api)
        if outcome is Outcome.DONE:
            self.marks[thing.id] = set()
        self.marks.setdefault(thing.id, set()).add(mark)

    @rule(thing=A_THING, api=AN_API)
    def fetch(self, thing: Thing, api: str) -> None:
        """Its bytes and its metadata are those of an upload."""
        self._do(Verb.FETCH, thing, api)

    @rule(thing=A_THING, api=AN_API)
    def delete(self, thing: Thing, api: str) -> None:
        """An object goes."""
        self._do(Verb.DELETE, thing, api)

    def _do(self, verb: Verb, thing: Thing, api: str) -> Outcome:
        doing = Deferred.fromCoroutine(self.crowd.do(verb, thing, api, "client"))
        outcome: Outcome = self.world.result_of(doing).outcome
        return outcome

    @rule(api=AN_API, seconds=st.sampled_from([3, 20, 60]))
    def upload_what_expires(self, api: str, seconds: int) -> None:
        """An object that is gone by itself."""
        thing = Thing(b"expires, number %d" % len(self.expiring))
        expires = self.world.clock.seconds() + seconds
        answer = self._ask(api, "POST", "/upload", {"X-Delete-After": str(seconds)}, thing.payload)
        if answer.status == 200 and answer.is_whole:
            self.expiring.append((thing, expires))

    @rule(api=AN_API, choice=st.integers(0, 100))
    def fetch_what_expires(self, api: str, choice: int) -> None:
        """It is there until then, and not from then on, as long as clocks are right."""
        if self.expiring and not self.was_skewed:
            thing, expires = self.expiring[choice % len(self.expiring)]
            before = self.world.clock.seconds()
            answer = self._ask(f"{api}-down", "GET", f"/fetch/{thing.id}")
            assert answer.status != 200 or not answer.is_whole or (answer.body == thing.payload and before < expires + 1)
            assert answer.status != 404 or self.world.clock.seconds() > expires - 1

    @rule(name=A_MEMBER)
    def reap(self, name: str) -> None:
        """A member tidies up what expired a while ago."""
        store = self.world.members[name].store
        if store is not None:
            success_of(store.reap())

    @rule(thing=A_THING, api=AN_API)
    def head(self, thing: Thing, api: str) -> None:
        """I10: what HEAD says is what GET says."""
        got, head = (self._ask(f"{api}-down", method, f"/fetch/{thing.id}") for method in ("GET", "HEAD"))
        if got.is_whole and (got.status, head.status) == (200, 200):
            assert head.body == b""
            names = ("content-length", "etag", "content-type", "accept-ranges")
            assert [head.headers.get(name) for name in names] == [got.headers.get(name) for name in names]
            assert got.body == thing.payload

    @rule(
        thing=st.sampled_from(THINGS[1:]),
        api=AN_API,
        first=st.integers(0, 3 * CHUNK_SIZE),
        length=st.integers(1, CHUNK_SIZE),
    )
    def range(self, thing: Thing, api: str, first: int, length: int) -> None:
        """I10: a slice of the very bytes, across the edges of chunks too."""
        first %= len(thing.payload)
        wanted = thing.payload[first : first + length]
        answer = self._ask(f"{api}-down", "GET", f"/fetch/{thing.id}", {"Range": f"bytes={first}-{first + length - 1}"})
        assert answer.status in (0, 206, 404, 408, 503), answer.status
        if answer.status == 206 and answer.is_whole:
            assert answer.body == wanted
        assert answer.status != 404 or self._do(Verb.FETCH, thing, api) is not Outcome.DONE

    @rule(thing=A_THING, name=A_MEMBER)
    def put_conflict(self, thing: Thing, name: str) -> None:
        """I4: other bytes under an ID that a member holds are refused, and those that it has stay.

        Not so where it holds a manifest: it cannot tell other bytes from those of the object uncut, and takes the newer.
        """
        store = self.world.members[name].store
        held = None if store is None else store.disk.shelf.held(BlobID(thing.id))
        if held is None or not held.entry.is_live or held.entry.is_damaged or self.was_skewed:
            return
        if held.entry.kind is Kind.MANIFEST:
            return
        answer = self._ask(name, "POST", f"/blob/{thing.id}", body=b"other" + thing.payload[:10])
        assert answer.status in (0, 409, 503, 507), answer.status

    def _ask(
        self, host: str, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Ask a server; the status is 0 where nothing came."""
        visitor = Visitor(method, path, headers or {}, body)
        refused: list[Any] = []
        connecting = self.world.network.endpoint("client", host).connect(Factory.forProtocol(lambda: visitor))
        connecting.addErrback(refused.append)
        self.world.run_until(lambda: visitor.is_over or bool(refused), 60.0)
        if not visitor.is_over:
            connecting.cancel()
            if visitor.transport is not None:
                visitor.leave()
            return Answer(0, {}, b"", False)
        return visitor.answer

    # What goes wrong

    @rule(name=A_MEMBER, says_so=st.booleans())
    def kill(self, name: str, says_so: bool) -> None:
        """A member's process ends, or its power does."""
        self.world.members[name].kill(says_so=says_so)

    @rule(name=A_MEMBER)
    def start(self, name: str) -> None:
        """It is started again."""
        self.world.members[name].start()

    @rule(api=AN_API)
    def restart_api(self, api: str) -> None:
        """It keeps no state."""
        self.world.apis[api].kill()
        self.world.apis[api].start()

    @rule(name=A_MEMBER)
    def pause(self, name: str) -> None:
        """A member accepts, and never answers."""
        for api in APIS:
            self.world.network.path(name, api).is_cut = True

    @rule(name=A_MEMBER, api=AN_API)
    def partition(self, name: str, api: str) -> None:
        """An api and a member lose each other."""
        self.world.network.path(name, api).is_cut = self.world.network.path(api, name).is_cut = True

    @rule()
    def heal(self) -> None:
        """All of that is over."""
        self.world.network.heal()
        for member in self.world.members.values():
            member.start()

    @rule(name=A_MEMBER, is_full=st.booleans())
    def fill_or_free_disk(self, name: str, is_full: bool) -> None:
        """A disk has no room, or has it again."""
        self.world.members[name].disk.is_full = is_full

    @rule(name=A_MEMBER, seconds=st.sampled_from([0.0, 1.0, -UNNOTICED, 3 * DAY, -3 * DAY, 10 * YEAR]))
    def skew(self, name: str, seconds: float) -> None:
        """The clock of a member is set."""
        self.world.members[name].skew = seconds
        self.was_skewed = True

    @rule(choice=st.integers(0, 100), is_truncated=st.booleans())
    def flip_byte_or_truncate(self, choice: int, is_truncated: bool) -> None:
        """Bytes of a copy change on the one disk that may lose something; its member does not know."""
        shelf = self.world.members[FRAGILE].disk.shelf
        sound = sorted(
            (held for held in shelf if held.payload and not held.entry.is_damaged), key=lambda held: held.entry.id
        )
        if sound:
            held = sound[choice % len(sound)]
            at = choice % len(held.payload)
            flipped = held.payload[:at] + bytes([held.payload[at] ^ 1]) + held.payload[at + 1 :]
            shelf.put(evolve(held, payload=held.payload[:-1] if is_truncated else flipped))

    @rule()
    def back_up_or_restore_old_copy(self) -> None:
        """That disk is copied; another time it comes back as it was."""
        member = self.world.members[FRAGILE]
        if self.backup is None:
            self.backup = member.disk.snapshot()
        else:
            member.kill()
            member.disk.restore(self.backup)
            member.start()
            self.backup = None

    @rule(weight=st.sampled_from([1, 3]))
    def reload(self, weight: int) -> None:
        """The apis read a topology in which a group has another weight: what was stored is where it was."""
        groups = self.world.topology.groups
        self.was_reweighted |= weight != groups[1].weight
        self.world.topology = evolve(self.world.topology, groups=(groups[0], evolve(groups[1], weight=weight)))
        for api in self.world.apis.values():
            api.cluster.change(self.world.topology)

    # What the timers do

    @rule(api=AN_API)
    def replicate(self, api: str) -> None:
        """A round, beside those of the timers."""
        self.world.replicate(api)

    @rule(api=AN_API)
    def sweep(self, api: str) -> None:
        """A sweep, beside those of the timers."""
        self.world.result_of(Deferred.fromCoroutine(self.world.apis[api].sweep.run()))

    @rule(name=A_MEMBER)
    def scrub(self, name: str) -> None:
        """I14: it finds whatever is wrong, at once where the store is in memory."""
        store = self.world.members[name].store
        if store is not None:
            success_of(store.scrub())
            assert not _wrong_at(store)

    @rule(seconds=st.sampled_from([0.1, 2.5, 12.0, 30.0]))
    def let_time_pass(self, seconds: float) -> None:
        """Timers run, members are probed, tombstones grow old."""
        self.world.run_for(seconds)

    # What must hold

    @invariant()
    def what_was_seen_can_have_happened(self) -> None:
        """I1, I2, I5, I6 and I9."""
        if hasattr(self, "crowd"):
            assert list(violations_of(self.crowd.history)) == []

    @invariant()
    def members_list_what_they_hold(self) -> None:
        """I3, I10 and I24: names, counts and bytes agree, but for what was changed behind a member's back."""
        for member in self.world.members.values() if hasattr(self, "world") else ():
            store = member.store
            if store is not None and not member.skew:
                sound = [entry for entry in store.disk.shelf.entries if entry.is_live and not entry.is_damaged]
                listed = sorted(entry.id for entry in sound if not entry.is_expired(member.wall()))
                assert list(success_of(store.enumerate())) == listed
                assert store.status().blobs == len(sound)
                assert member.name == FRAGILE or not _wrong_at(store)

    def teardown(self) -> None:
        """Everything is well again: two rounds and a scrub make all members equal, whole, and true to what was seen."""
        if not hasattr(self, "world"):
            return
        try:
            for member in self.world.members.values():
                member.skew = 0.0
            self.world.heal()
            self.world.run_for(40.0)
            for member in self.world.members.values():
                self.scrub(member.name)
            problems = list(aftermath(self.world, self.crowd, THINGS))
            assert problems == []
            self.what_was_seen_can_have_happened()
            self.members_list_what_they_hold()
            self._check_chunks()
            self._check_metadata()
            idle = self.world.replicate()
            assert (idle.copied, idle.renewed, idle.buried, idle.failed) == (0, 0, 0, 0)
        finally:
            self.world.end()

    def _check_metadata(self) -> None:
        """F26: the newest metadata has won at all members, where no clock was astray.

        Nor is it so where the home of an object was another for a while: two groups may hold it as their own then.
        """
        for thing in THINGS if not self.was_skewed and not self.was_reweighted else ():
            answer = self._ask("p-down", "GET", f"/fetch/{thing.id}")
            assert answer.status != 200 or answer.headers["x-is"] in self.marks[thing.id]

    def _check_chunks(self) -> None:
        """I16: each chunk that a manifest names is there, at all members of a group."""
        held = {group: [_live_at(store) for store in self.world.stores(group)] for group in GROUPS}
        everything = [at for members in held.values() for at in members]
        manifests = [one for at in everything for one in at.values() if one.entry.kind is Kind.MANIFEST]
        for manifest in manifests:
            for chunk in manifest_of(manifest.payload, manifest.entry.id).chunks:
                assert any(all(chunk.id in at for at in members) for members in held.values()), f"{chunk.id} is missing"


def _live_at(store: SimStore) -> dict[BlobID, Held]:
    return {held.entry.id: held for held in store.disk.shelf if held.entry.is_live}


def _wrong_at(store: SimStore) -> Sequence[BlobID]:
    """Name what a member takes for sound and is not."""
    taken = [held for held in store.disk.shelf if held.entry.is_live and not held.entry.is_damaged]
    return [held.entry.id for held in taken if hashlib.sha256(held.payload).digest() != held.entry.sha256]


@pytest.mark.slow
def test_whatever_is_done_and_goes_wrong_the_contract_holds() -> None:
    """Torture, part I: in brief."""
    run_machine(WholeMachine, 6, 20, is_the_same_each_time=True)


@pytest.mark.torture
def test_whatever_is_done_and_goes_wrong_the_contract_holds_in_a_thousand_runs() -> None:
    """Torture, part I."""
    run_machine(WholeMachine, 1000, 50)
