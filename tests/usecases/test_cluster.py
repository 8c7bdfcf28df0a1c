"""The cluster: who is asked, who is written to, and who is left alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from twisted.internet.task import Clock
from zope.interface import implementer

from sos.decisions.health import Health
from sos.decisions.topology import Server, Topology
from sos.usecases.cluster import LATELY, REMEMBERED, Cluster
from sos.usecases.watched_store import WatchedStore
from sos.words.blob import BlobID
from sos.words.errors import BlobNotFound, Forbidden, ServerUnavailable
from sos.words.interfaces import IBlobStore, IRemoteReplica
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, clock, cluster_of, memory_store, server

A, B, C = server("a"), server("b"), server("c")
ABC = BlobID("abc")


@implementer(IRemoteReplica)
class Remote(Flaky):
    """A store at the far end of a connection that is up or down."""

    def __init__(self) -> None:
        super().__init__(memory_store())
        self.says: Callable[[], None] = lambda: None
        """Is called when it gives a sign of life."""

    async def alive(self) -> None:
        """Answer, or not."""
        self.calls.append("alive")
        if self._always is not None:
            raise self._always
        self.says()

    def go_down(self) -> None:
        """Be out of reach."""
        self._always = ServerUnavailable("http://x:1", "connection refused")

    def come_back(self) -> None:
        """Be there again."""
        self._always = None


class Setup:
    """Three remote members of one group, a clock, and an order of chance that turns the list round."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.remotes = {member: Remote() for member in (A, B, C)}
        topology = Topology.of_servers([A, B, C])
        self.cluster = Cluster(topology, self._store_for, Health(lambda: 0.5), self.clock, list.reverse, clock())

    def _store_for(self, member: Server) -> IBlobStore:
        return self.remotes[member]

    def ask(self, member: Server) -> None:
        """Ask a member for a blob that nobody has."""
        failure_of(self.cluster.store_of(member).stat(ABC))


def test_reads_are_spread_and_those_that_rest_come_last() -> None:
    """Chance makes the order, health corrects it."""
    setup = Setup()
    assert setup.cluster.readers_for(ABC) == [C, B, A]
    setup.remotes[C].go_down()
    setup.ask(C)
    assert setup.cluster.readers_for(ABC) == [B, A, C]


def test_any_answer_says_that_a_member_is_well() -> None:
    """A 404 is a good answer; only silence and garbage are failures."""
    setup = Setup()
    setup.ask(A)
    assert not setup.cluster.is_resting(A)
    setup.remotes[A].go_down()
    setup.ask(A)
    assert setup.cluster.is_resting(A)
    setup.remotes[A].come_back()
    setup.ask(A)
    assert not setup.cluster.is_resting(A)


def test_a_probe_brings_a_member_back_when_its_rest_has_ended() -> None:
    """Not before, and nobody has to ask it for anything."""
    setup = Setup()
    setup.remotes[A].go_down()
    setup.ask(A)
    success_of(setup.cluster.probe())
    assert "alive" not in setup.remotes[A].calls
    setup.clock.advance(1)
    success_of(setup.cluster.probe())
    assert setup.cluster.is_resting(A)
    setup.remotes[A].come_back()
    setup.clock.advance(2)
    success_of(setup.cluster.probe())
    assert not setup.cluster.is_resting(A)
    assert setup.remotes[B].calls == []


def test_any_answer_is_a_sign_of_life_and_silence_is_none() -> None:
    """A refusal is an answer; a store of this very process is always there."""
    setup = Setup()
    assert success_of(setup.cluster.is_alive(A))
    setup.remotes[A]._always = Forbidden("wrong key")
    assert success_of(setup.cluster.is_alive(A))
    setup.remotes[A].go_down()
    assert not success_of(setup.cluster.is_alive(A))
    assert setup.cluster.is_resting(A)
    assert success_of(cluster_of(one={"a": memory_store()}).is_alive(server("a")))


def test_a_member_that_left_the_topology_is_probed_no_more() -> None:
    """And forgotten."""
    setup = Setup()
    setup.cluster.failed(A)
    setup.cluster.change(Topology.of_servers([B, C]))
    setup.clock.advance(5)
    success_of(setup.cluster.probe())
    assert "alive" not in setup.remotes[A].calls
    assert not setup.cluster.is_resting(A)


def test_writes_go_to_the_well_unless_they_are_too_few() -> None:
    """A dead member costs an upload nothing."""
    setup = Setup()
    (group,) = setup.cluster.topology.groups
    assert setup.cluster.writers_of(group, 2) == [A, B, C]
    setup.cluster.failed(B)
    assert setup.cluster.writers_of(group, 2) == [A, C]
    assert setup.cluster.writers_of(group, 3) == [A, B, C]


def test_a_body_that_breaks_off_is_a_failure_of_its_member() -> None:
    """Whoever reads it hears of it, and the next reader asks somebody else first."""
    failures: list[str] = []
    remote = Remote()
    watched = WatchedStore(remote, lambda: failures.append("failed"), lambda: failures.append("answered"))
    assert isinstance(failure_of(watched.fetch(ABC)), BlobNotFound)
    assert failures == ["answered"]
    remote.go_down()
    assert isinstance(failure_of(watched.fetch(ABC)), ServerUnavailable)
    assert failures == ["answered", "failed"]


def test_who_reads_asks_all_members_again_after_a_while_of_silence() -> None:
    """A round that somebody else ran, and an old copy put back meanwhile, would not be noticed otherwise."""
    setup = Setup()
    success_of(setup.cluster.heard_lately())
    success_of(setup.cluster.heard_lately())
    assert [remote.calls.count("alive") for remote in setup.remotes.values()] == [1, 1, 1]
    setup.clock.advance(LATELY)
    setup.cluster.failed(C)
    success_of(setup.cluster.heard_lately())
    assert [remote.calls.count("alive") for remote in setup.remotes.values()] == [2, 2, 1]


def test_who_missed_a_round_is_not_read_from_as_soon_as_the_others_are_silent() -> None:
    """Nor a minute later if it is only them that are slow; but when they do not come back it is all that there is."""
    setup = Setup()
    for member, number in ((A, 4), (B, 4), (C, 1)):
        setup.cluster.heard(member, None, number)
    setup.cluster.failed(A)
    setup.cluster.failed(B)
    assert not setup.cluster.is_read_from(C)
    setup.clock.advance(REMEMBERED / 2)
    setup.cluster.heard(B, None, 4)
    setup.clock.advance(REMEMBERED * 0.9)
    assert not setup.cluster.is_read_from(C)
    setup.clock.advance(REMEMBERED)
    assert setup.cluster.is_read_from(C)


def test_who_was_opened_anew_is_not_read_from_before_its_peers_were_asked() -> None:
    """However soon that is: what was heard of them is older, and it may have been put back from an old copy."""
    setup = Setup()
    for member in (A, B, C):
        setup.cluster.heard(member, None, 1, False, b"first")
    success_of(setup.cluster.heard_lately())
    assert [setup.cluster.is_read_from(member) for member in (A, B, C)] == [True, True, True]
    setup.cluster.heard(C, None, 1, False, b"second")
    assert [setup.cluster.is_read_from(member) for member in (A, B, C)] == [True, True, False]
    assert not setup.cluster.denies_truly(C)
    setup.remotes[A].says = lambda: setup.cluster.heard(A, None, 2, False, b"first")
    success_of(setup.cluster.heard_lately())
    assert [setup.cluster.is_read_from(member) for member in (A, B, C)] == [True, False, False]
    setup.cluster.heard(B, None, 2, False, b"first")
    setup.cluster.heard(C, None, 2, False, b"second")
    assert [setup.cluster.is_read_from(member) for member in (A, B, C)] == [True, True, True]


def test_who_has_no_peers_is_no_newcomer() -> None:
    """Nobody can have completed a round without it."""
    cluster = cluster_of(one={"a": memory_store()}, two={"b": memory_store(), "c": memory_store()})
    for name in "abc":
        cluster.heard(server(name), None, 1, False, b"first")
    assert [cluster.is_read_from(server(name)) for name in "abc"] == [True, False, False]


def test_who_is_opened_while_all_are_asked_has_them_asked_again() -> None:
    """Its peers may have been asked before that."""
    setup = Setup()
    names = iter((b"second", b"second", b"third"))
    setup.remotes[C].says = lambda: setup.cluster.heard(C, None, 1, False, next(names))
    success_of(setup.cluster.greeted())
    assert [remote.calls.count("alive") for remote in setup.remotes.values()] == [2, 2, 2]
    assert setup.cluster.is_read_from(C)


def test_who_has_another_name_each_time_is_not_waited_for() -> None:
    """Two servers behind one URL, say: neither is read from, and nobody waits for ever."""
    setup = Setup()
    names = count()
    setup.remotes[C].says = lambda: setup.cluster.heard(C, None, 1, False, b"%d" % next(names))
    success_of(setup.cluster.heard_lately())
    assert [setup.cluster.is_read_from(member) for member in (A, B, C)] == [True, True, False]
    assert not success_of(setup.cluster.has_caught_up())


def test_members_that_are_heard_all_the_time_are_not_asked() -> None:
    """Under load their answers say how they are."""
    setup = Setup()
    success_of(setup.cluster.heard_lately())
    for _ in range(20):
        setup.clock.advance(LATELY / 2)
        for member in (A, B, C):
            setup.cluster.heard(member, None, 1)
        success_of(setup.cluster.heard_lately())
    assert [remote.calls.count("alive") for remote in setup.remotes.values()] == [1, 1, 1]
