"""The sweep's races: uploads, deletes, sweeps and rounds in any order, while members come and go, and days pass.

Hypothesis picks what happens next: a client sends its next piece, a request reaches a store, an answer arrives, time passes.
What was acknowledged is never missing a chunk, and in the end nothing is left that nobody needs (torture F33, I16, I17).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from attrs import define, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from sos.decisions.health import Health
from sos.decisions.manifest import manifest_of
from sos.decisions.topology import Group, Server, Topology
from sos.http.bodies import collect
from sos.remote import Hear
from sos.store.memory import MemoryStore
from sos.store.name_set import NameSet
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.deletes import Deletes
from sos.usecases.downloads import Downloads
from sos.usecases.patience import within
from sos.usecases.replication import Replication, SilentReporter
from sos.usecases.sweep import Sweep, SweepReport
from sos.usecases.uploads import Uploads
from sos.words.blob import NO_METADATA, BlobID, Kind
from sos.words.errors import BlobNotFound, NotEnoughCopies, ServerUnavailable, SOSError, Unavailable, UploadTooSlow
from sos.words.interfaces import IRemoteReplica
from sos.words.versions import HybridClock
from tests.machines import run_machine
from tests.store.test_staging import PushingBody
from tests.support import immediately, success_of
from tests.usecases.cluster_of import NOW, Flaky, server
from tests.usecases.steps import Steps

GROUPS = {"one": "ab", "two": "cd"}
MEMBERS = "".join(GROUPS.values())
CHUNK = 64
OBJECTS = [b"".join(b"%c" % letter * CHUNK for letter in letters) for letters in (b"AB", b"BC", b"CAD", b"EF")]
"""Each is cut into chunks, most of which others have as well."""

DAY = 86_400.0
SILENCE = 60.0
"""Seconds after which a request that nobody answers is given up, as a client does that is served over a wire."""

SKEWS = [0.0, 0.4, -0.4, 2.5, -2.5]
"""Days that the clock of a store is ahead or behind: with the last two a sweep that hears of it removes nothing."""

UPLOAD, DELETE, SWEEP, ROUND = "upload", "delete", "sweep", "round"
MOST_AT_ONCE = {UPLOAD: 3, DELETE: 2, SWEEP: 2, ROUND: 2}


def id_of(payload: bytes) -> BlobID:
    """Give the ID of an object."""
    return BlobID(hashlib.sha1(payload).hexdigest())


class Host:
    """A store, the clock of its machine, and whether anybody reaches it."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.skew = 0.0
        self.is_in_reach = True
        self.store = MemoryStore(name, HybridClock(lambda: now() + self.skew * DAY))


@implementer(IRemoteReplica)
class Far(Flaky):
    """A member as an api sees it: a request is a step, and so is its answer; both go astray while it is out of reach.

    Whoever gives up on an answer does not call the request back: it may still arrive.
    """

    def __init__(self, host: Host, steps: Steps, clock: Clock, where: Server, hear: Hear) -> None:
        super().__init__(host.store)
        self._host = host
        self._steps = steps
        self._clock = clock
        self._where = where
        self._hear = hear

    async def alive(self) -> None:
        """See `IProbed`."""
        await self._answer("strays", "", 1)

    async def _answer(self, verb: str, *arguments: Any, **named: Any) -> Any:
        return await within(SILENCE, self._clock, self._where, self._asked(verb, *arguments))

    async def _asked(self, verb: str, *arguments: Any) -> Any:
        answer: Deferred[Any] = Deferred()
        under_way = Deferred.fromCoroutine(self._under_way(verb, *arguments))
        under_way.addBoth(lambda result: None if answer.called else answer.callback(result))
        return await answer

    async def _under_way(self, verb: str, *arguments: Any) -> Any:
        await self._steps.turn()
        try:
            self._check_reach()
        except ServerUnavailable:
            for argument in arguments:
                if IBodyProducer.providedBy(argument):
                    argument.stopProducing()
            raise
        try:
            result = await getattr(self._host.store, verb)(*arguments)
        except SOSError as error:
            result = Failure(error)
        await self._steps.turn()
        self._check_reach()
        store = self._host.store
        self._hear(store.clock.last, store.round, store.is_partial, store.incarnation.encode("ascii"))
        return result.raiseException() if isinstance(result, Failure) else result

    def _check_reach(self) -> None:
        if not self._host.is_in_reach:
            raise ServerUnavailable(self._where.url, "connection refused")


class Site:
    """Stores in groups, a time that passes, and those who work on the stores."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.clock = Clock()
        self.hosts = {name: Host(name, self.wall) for name in MEMBERS}
        self.free = Steps()
        self.free.is_free = True

    def wall(self) -> float:
        """Give unix seconds."""
        return NOW + self.clock.seconds()

    def cluster(self, steps: Steps) -> Cluster:
        """Make the cluster as an api sees it, whose requests are such steps."""
        groups = tuple(Group(name, tuple(map(server, members))) for name, members in GROUPS.items())

        def store_for(where: Server) -> Far:
            host = self.hosts[where.host]
            return Far(host, steps, self.clock, where, lambda *said: made.heard(where, *said))

        made = Cluster(
            Topology(groups), store_for, Health(lambda: 0.5), self.clock, lambda order: None, HybridClock(self.wall)
        )
        return made

    @property
    def are_all_in_reach(self) -> bool:
        """Whether every member is in reach."""
        return all(host.is_in_reach for host in self.hosts.values())

    @property
    def is_nobody_behind(self) -> bool:
        """Whether the members of each group have completed the same rounds: none of them is kept from being read."""
        rounds = ({self.hosts[name].store.round for name in members} for members in GROUPS.values())
        return all(len(numbers) == 1 for numbers in rounds)

    def entries(self, name: str, kind: Kind) -> dict[BlobID, bytes]:
        """Give what a member holds of a kind, with its bytes."""
        store = self.hosts[name].store
        names = success_of(store.enumerate(kind=kind))
        return {held: success_of(collect(success_of(store.fetch(held)).body, 10**6)) for held in names}


@define(eq=False)
class Deed:
    """What somebody does, from the moment it was called to the moment it returned."""

    kind: str
    payload: bytes
    called: int
    doing: Deferred[Any]
    end: Deferred[None] = field(factory=Deferred)
    returned: int | None = None
    went_well: bool = False
    body: PushingBody | None = None
    sent: int = 0


class Diary:
    """All deeds, and what must be true after them: for the content of an ID is fixed, and the newest version wins."""

    def __init__(self) -> None:
        self.deeds: list[Deed] = []
        self._moment = 0

    def begin(self, kind: str, payload: bytes, doing: Coroutine[Any, Any, Any], *refusals: type[BaseException]) -> Deed:
        """Begin a deed; it may be refused in these ways, and in no other."""
        self._moment += 1
        deed = Deed(kind, payload, self._moment, Deferred.fromCoroutine(doing))
        self.deeds.append(deed)
        deed.doing.addBoth(self._end, deed, refusals)
        return deed

    def _end(self, result: object, deed: Deed, refusals: tuple[type[BaseException], ...]) -> None:
        self._moment += 1
        deed.returned = self._moment
        deed.went_well = not isinstance(result, Failure)
        if isinstance(result, Failure) and not result.check(*refusals):
            deed.end.errback(result)
        elif isinstance(result, Failure) and result.check(BlobNotFound) and self.must_live(deed.payload, deed):
            deed.end.errback(AssertionError(f"a delete of {id_of(deed.payload)}, which is there, found nothing"))
        else:
            deed.end.callback(None)

    def running(self, kind: str) -> Sequence[Deed]:
        """Give the deeds of a kind that have not returned."""
        return [deed for deed in self.deeds if deed.kind == kind and deed.returned is None]

    def must_live(self, payload: bytes, but: Deed | None = None) -> bool:
        """Whether an upload was acknowledged that no delete can have followed, other than one that is left out."""
        deletes = [deed for deed in self._of(DELETE, payload) if deed is not but]
        return any(
            upload.went_well and all(_is_before(delete, upload) for delete in deletes)
            for upload in self._of(UPLOAD, payload)
            if but is None or _is_before(upload, but)
        )

    def must_be_gone(self, payload: bytes) -> bool:
        """Whether a delete went well that no upload can have followed, or nobody ever uploaded it."""
        uploads = self._of(UPLOAD, payload)
        return not uploads or any(
            delete.went_well and all(_is_before(upload, delete) for upload in uploads)
            for delete in self._of(DELETE, payload)
        )

    def _of(self, kind: str, payload: bytes) -> Sequence[Deed]:
        return [deed for deed in self.deeds if (deed.kind, deed.payload) == (kind, payload)]


def _is_before(one: Deed, other: Deed) -> bool:
    """Whether a deed had returned before the other was called."""
    return one.returned is not None and one.returned < other.called


class SweepMachine(RuleBasedStateMachine):
    """Uploads, deletes, sweeps and rounds over two groups of two, one step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.site = Site()
        self.diary = Diary()

    @initialize(
        min_copies=st.sampled_from([1, 2]), present=st.sets(st.sampled_from(OBJECTS)), days=st.sampled_from([0, 1, 9])
    )
    def open(self, min_copies: int, present: set[bytes], days: int) -> None:
        """Two apis, and what was uploaded days ago; how many members must have a copy before it is acknowledged differs."""
        self.min_copies = min_copies
        self.apis = [self.site.cluster(self.site.steps) for _ in range(2)]
        for payload in sorted(present):
            self.begin_upload(payload, 0, 3)
        self._let_all_finish()
        self.site.clock.advance(days * DAY)

    # What is begun

    def _may_begin(self, kind: str) -> bool:
        return len(self.diary.running(kind)) < MOST_AT_ONCE[kind]

    def _copies(self, cluster: Cluster) -> Copies:
        return Copies(cluster, self.site.clock, self.min_copies)

    @precondition(lambda self: self._may_begin(UPLOAD))
    @rule(payload=st.sampled_from(OBJECTS), api=st.integers(0, 1), pieces=st.integers(0, 3))
    def begin_upload(self, payload: bytes, api: int, pieces: int) -> None:
        """A client comes with an object, and sends some of it."""
        body = PushingBody()
        body.length = len(payload)
        uploads = Uploads(self._copies(self.apis[api]), hashlib.sha1, 10 * CHUNK, CHUNK, 8 * CHUNK)
        refusals = NotEnoughCopies, UploadTooSlow, CancelledError
        upload = self.diary.begin(UPLOAD, payload, uploads.upload(body, NO_METADATA), *refusals)
        upload.body = body
        self._feed(upload, pieces)

    @precondition(lambda self: bool(self.diary.running(UPLOAD)))
    @rule(choice=st.integers(0, 2), pieces=st.integers(1, 3))
    def feed(self, choice: int, pieces: int) -> None:
        """A client sends some more, as far as it is let."""
        uploads = self.diary.running(UPLOAD)
        self._feed(uploads[choice % len(uploads)], pieces)

    def _feed(self, upload: Deed, pieces: int) -> None:
        body = upload.body
        assert body is not None
        while pieces and not body.is_paused and not body.is_stopped and upload.sent < len(upload.payload):
            body.write(upload.payload[upload.sent : upload.sent + CHUNK])
            upload.sent += CHUNK
            pieces -= 1
            if upload.sent >= len(upload.payload) and not body.is_stopped:
                body.done.callback(None)

    @precondition(lambda self: bool(self.diary.running(UPLOAD)))
    @rule(choice=st.integers(0, 2), is_meant=st.sampled_from([False, False, False, True]))
    def abandon(self, choice: int, is_meant: bool) -> None:
        """A client leaves, or thinks better of it."""
        if not is_meant:
            return
        uploads = self.diary.running(UPLOAD)
        uploads[choice % len(uploads)].doing.cancel()

    @precondition(lambda self: self._may_begin(DELETE))
    @rule(payload=st.sampled_from(OBJECTS), api=st.integers(0, 1))
    def delete(self, payload: bytes, api: int) -> None:
        """An object is deleted."""
        cluster = self.apis[api]
        deletes = Deletes(cluster, self._copies(cluster).needed_in, self.site.clock)
        self.diary.begin(DELETE, payload, deletes.delete(id_of(payload)), BlobNotFound, NotEnoughCopies)

    @precondition(lambda self: self._may_begin(SWEEP))
    @rule(api=st.integers(0, 1), page=st.sampled_from([1, 2, 1000]))
    def begin_sweep(self, api: int, page: int) -> None:
        """A sweep; there may be another one."""
        self.diary.begin(SWEEP, b"", self._sweep(self.apis[api], page))

    async def _sweep(self, cluster: Cluster, page: int = 1000) -> SweepReport:
        return await Sweep(cluster, self._copies(cluster).needed_in, lambda: NameSet(immediately), page).run()

    @precondition(lambda self: self._may_begin(ROUND))
    @rule(api=st.integers(0, 1))
    def begin_round(self, api: int) -> None:
        """A round; there may be another one."""
        self.diary.begin(ROUND, b"", Replication(self.apis[api], SilentReporter()).round())

    # What happens

    @precondition(lambda self: bool(len(self.site.steps)))
    @rule(chance=st.randoms(use_true_random=False), most=st.sampled_from([1, 5, 30, 1000]))
    def take_steps(self, chance: random.Random, most: int) -> None:
        """Many things, in an order of chance."""
        for _ in range(most):
            if not len(self.site.steps):
                break
            self.site.clock.advance(0.001)
            self.site.steps.take(chance.randrange(1000))

    @rule(chance=st.randoms(use_true_random=False))
    def go_on(self, chance: random.Random) -> None:
        """Clients send all that they are let, and all happens that may happen, in an order of chance."""
        for upload in self.diary.running(UPLOAD):
            self._feed(upload, 100)
        self.take_steps(chance, 1000)

    @rule(seconds=st.sampled_from([0.3, 3.0, 61.0, 3600.0]))
    def let_seconds_pass(self, seconds: float) -> None:
        """Deadlines pass, members that rest are probed; who has not answered by then is given up."""
        self.site.clock.advance(min(seconds, SILENCE / 2))
        self.site.clock.advance(max(0.0, seconds - SILENCE / 2))
        for cluster in self.apis:
            Deferred.fromCoroutine(cluster.probe())

    @rule(days=st.sampled_from([8, 0.5, 2, 8]), api=st.integers(0, 1), is_swept=st.sampled_from([True, True, False]))
    def let_days_pass(self, days: float, api: int, is_swept: bool) -> None:
        """Chunks grow old, while clients take their time; all else has ended by then. At the end a timer may sweep."""
        self.all_return()
        for _ in range(5):
            self.take_steps(random.Random(0), 1000)
            self.let_seconds_pass(61.0)
        self.site.clock.advance(days * DAY)
        if is_swept:
            self.begin_sweep(api, 1000)
            self.take_steps(random.Random(0), 1000)

    @rule(name=st.sampled_from(MEMBERS), days=st.sampled_from(SKEWS))
    def set_a_clock(self, name: str, days: float) -> None:
        """Somebody sets the clock of a member."""
        self.site.hosts[name].skew = days

    @rule(name=st.sampled_from(MEMBERS))
    def go_or_return(self, name: str) -> None:
        """A member goes out of reach, unless another one is: then that comes back."""
        is_meant = self.site.are_all_in_reach
        self.all_return()
        self.site.hosts[name].is_in_reach = not is_meant

    def all_return(self) -> None:
        """Let everybody come back."""
        for host in self.site.hosts.values():
            host.is_in_reach = True

    # What must hold

    @invariant()
    def nothing_has_failed_otherwise(self) -> None:
        """What was refused was refused in a way that it may be."""
        for deed in self.diary.deeds:
            if deed.returned is not None:
                success_of(deed.end)

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        """It is fetched whole; where a member is out of reach, or behind its peers, it may be a 503, and never a 404."""
        is_well = self.site.are_all_in_reach and self.site.is_nobody_behind
        for payload in OBJECTS:
            if self.diary.must_live(payload):
                fetched = self.fetched(payload)
                assert fetched == payload or (not is_well and fetched is Unavailable), (id_of(payload), fetched)

    def fetched(self, payload: bytes) -> bytes | type[SOSError]:
        """Fetch an object through an api that has just started; give its bytes, or what it is refused with."""
        cluster = self.site.cluster(self.site.free)
        downloads = Downloads(cluster, self._copies(cluster).needed_in, self.site.clock)
        try:
            opened = success_of(downloads.open(id_of(payload)))
            fetched = success_of(collect(opened.body, 10**6))
        except BlobNotFound:
            return BlobNotFound
        except Unavailable:
            return Unavailable
        assert fetched == payload
        return fetched

    def teardown(self) -> None:
        """Everything comes back and comes to its end; then I16 and I17 hold, and a few days later nothing is left over."""
        if not hasattr(self, "apis"):
            return
        self.all_return()
        for host in self.site.hosts.values():
            host.skew = 0.0
        self._let_all_finish()
        self.nothing_has_failed_otherwise()
        cluster = self.site.cluster(self.site.free)
        self._rounds(cluster, 2)
        self._check()
        for _ in range(2):
            self.site.clock.advance((7 + max(SKEWS) + 1) * DAY)
            report = success_of(self._sweep(cluster))
            assert report.is_complete
            self._rounds(cluster, 2)
        self._check()
        self._check_that_nothing_is_left_over()

    def _let_all_finish(self) -> None:
        """Feed what is still being uploaded, and let all steps happen, until everything has returned."""
        for _ in range(1000):
            for upload in self.diary.running(UPLOAD):
                self._feed(upload, 100)
            if len(self.site.steps):
                self.site.steps.take(0)
            elif self.site.clock.getDelayedCalls():
                self.site.clock.advance(1.0)
            else:
                break
        assert all(deed.returned is not None for deed in self.diary.deeds), "something does not end"

    def _rounds(self, cluster: Cluster, count: int) -> None:
        for _ in range(count):
            success_of(Replication(cluster, SilentReporter()).round())

    def _check(self) -> None:
        self.what_was_acknowledged_is_there()
        for members in GROUPS.values():
            assert len({success_of(self.site.hosts[name].store.summary()).root for name in members}) == 1
        for payload in OBJECTS:
            assert not self.diary.must_be_gone(payload) or self.fetched(payload) is BlobNotFound
        held = {name: self.site.entries(name, Kind.CHUNK) for name in MEMBERS}
        for chunks in held.values():
            assert all(chunk == "c" + hashlib.sha256(piece).hexdigest() for chunk, piece in chunks.items())
        for chunk in self._named():
            assert any(all(chunk in held[name] for name in members) for members in GROUPS.values()), f"{chunk} is missing"

    def _named(self) -> set[BlobID]:
        """Give the chunks that a manifest names at any member."""
        manifests = [item for name in MEMBERS for item in self.site.entries(name, Kind.MANIFEST).items()]
        return {chunk.id for object_id, payload in manifests for chunk in manifest_of(payload, object_id).chunks}

    def _check_that_nothing_is_left_over(self) -> None:
        named = self._named()
        for name in MEMBERS:
            assert set(self.site.entries(name, Kind.CHUNK)) <= named, f"{name} has chunks that nobody needs"


@pytest.mark.slow
def test_the_sweep_takes_nothing_that_is_needed_and_leaves_nothing_else() -> None:
    """Torture F33, I16 and I17: in brief."""
    run_machine(SweepMachine, 12, 30, is_the_same_each_time=True)


@pytest.mark.torture
def test_the_sweep_takes_nothing_that_is_needed_in_thousands_of_runs() -> None:
    """Torture F33, I16 and I17."""
    run_machine(SweepMachine, 2000, 60)
