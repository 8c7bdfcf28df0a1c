"""One write to several members, on a fake clock."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.decisions.tally import CopyTally
from sos.decisions.topology import Server
from sos.usecases.group_write import DOUBT, GIVE_UP, STRAGGLE, GroupWrite
from sos.words.blob import BlobID, Entry
from sos.words.errors import BlobConflict, ServerUnavailable, SOSError, StoreFull
from sos.words.interfaces import Received
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import server

A, B, C = server("a"), server("b"), server("c")
ENTRY = Entry(id=BlobID("abc"))


class Members:
    """Members whose answers the test gives, one by one."""

    def __init__(self, needed: int, *servers: Server, doubtful: Sequence[Server] = ()) -> None:
        self.clock = Clock()
        self.slow: list[Server] = []
        self.cancelled: list[Server] = []
        self.answers: dict[Server, Deferred[Sequence[Received | SOSError]]] = {}
        self.dead: set[Server] = set()
        self.fault_at: Server | None = None
        self.asked: list[Server] = []
        self.write = GroupWrite(1, needed, self.clock, self.slow.append, self._is_alive)
        self.running = Deferred.fromCoroutine(self.write.run(servers, self._write, doubtful))

    async def _is_alive(self, server: Server) -> bool:
        self.asked.append(server)
        return server not in self.dead

    def _write(self, server: Server) -> Deferred[Sequence[Received | SOSError]]:
        self.answers[server] = Deferred(lambda answer: self._cancelled(server, answer))
        return self.answers[server]

    def _cancelled(self, server: Server, answer: Deferred[Sequence[Received | SOSError]]) -> None:
        self.cancelled.append(server)
        if server == self.fault_at:
            answer.errback(RuntimeError("a fault of ours"))

    def take(self, server: Server, store: str | None = None) -> None:
        """Let a member acknowledge."""
        self.answers[server].callback([Received(ENTRY, store or server.url)])

    def refuse(self, server: Server, error: Exception) -> None:
        """Let a member refuse."""
        self.answers[server].errback(error)

    @property
    def tally(self) -> CopyTally:
        """The tally, which must be decided."""
        assert self.clock.getDelayedCalls() == [] or self.running.called
        (tally,) = success_of(self.running)
        return tally


def test_all_members_are_written_to_at_once_and_all_are_waited_for() -> None:
    """When everybody answers in time, everybody counts."""
    members = Members(1, A, B, C)
    assert set(members.answers) == {A, B, C}
    members.take(A)
    members.take(B)
    assert not members.running.called
    members.take(C)
    assert members.tally.copies == 3
    assert members.clock.getDelayedCalls() == []


def test_a_straggler_is_not_waited_for_once_there_are_enough() -> None:
    """250 ms after enough copies the answer goes out, and says how many there were."""
    members = Members(2, A, B, C)
    members.take(A)
    members.clock.advance(60)
    assert not members.running.called
    members.take(B)
    members.clock.advance(STRAGGLE - 0.01)
    assert not members.running.called
    members.clock.advance(0.01)
    assert members.tally.copies == 2


def test_a_straggler_may_finish_for_a_while_and_is_then_let_go() -> None:
    """Its write goes on behind the answer for two seconds; then it is dropped and remembered as slow."""
    for finishes in (True, False):
        members = Members(1, A, B)
        members.take(A)
        members.clock.advance(STRAGGLE)
        assert members.running.called
        members.clock.advance(GIVE_UP - 0.01)
        assert members.cancelled == []
        if finishes:
            members.take(B)
        assert members.tally.copies == (2 if finishes else 1), "it goes on to count"
        assert members.tally.is_complete is finishes
        members.clock.advance(1)
        assert members.tally.is_complete and members.tally.copies == (2 if finishes else 1)
        assert members.cancelled == ([] if finishes else [B])
        assert members.slow == ([] if finishes else [B])
        assert members.clock.getDelayedCalls() == []


def test_a_straggler_that_fails_when_it_is_let_go_does_not_keep_the_others() -> None:
    """A fault of ours ends all that still runs; nothing of that is met twice."""
    members = Members(1, A, B, C)
    members.fault_at = B
    members.take(A)
    members.clock.advance(STRAGGLE)
    members.clock.advance(GIVE_UP)
    assert members.cancelled == [B, C]
    assert members.tally.copies == 1
    assert members.clock.getDelayedCalls() == []


def test_without_enough_copies_all_are_waited_for() -> None:
    """Nothing is decided while a member may still make it enough."""
    members = Members(2, A, B, C)
    members.take(A)
    members.refuse(B, ServerUnavailable(B.url, "refused"))
    members.clock.advance(20)
    assert not members.running.called
    members.refuse(C, StoreFull("full"))
    assert members.tally.copies == 1
    assert not members.tally.is_met
    assert not members.tally.is_full


def test_members_that_did_not_answer_before_get_a_few_seconds() -> None:
    """Then they are refusals, and the others are still waited for."""
    members = Members(2, A, B, C, doubtful=[B, C])
    members.clock.advance(DOUBT - 0.1)
    members.take(B)
    members.clock.advance(0.1)
    assert members.cancelled == [C]
    assert members.slow == [C]
    assert not members.running.called
    members.take(A)
    assert members.tally.copies == 2
    assert [type(error) for error in members.tally.errors] == [ServerUnavailable]
    assert members.clock.getDelayedCalls() == []


def test_a_member_that_is_silent_is_waited_for_while_it_is_alive() -> None:
    """A large blob over a slow line, or a slow disk: there is no bound on the whole write."""
    members = Members(1, A, B)
    for _ in range(100):
        members.clock.advance(DOUBT)
    assert members.asked == [A, B] * 100
    assert not members.running.called
    assert (members.cancelled, members.slow) == ([], [])
    members.take(A)
    members.take(B)
    assert members.tally.copies == 2
    assert members.clock.getDelayedCalls() == []


def test_a_member_without_a_sign_of_life_is_given_up() -> None:
    """The others are still waited for; when none is left, it is decided."""
    members = Members(1, A, B)
    members.dead = {A}
    members.clock.advance(DOUBT)
    assert (members.cancelled, members.slow) == ([A], [A])
    assert not members.running.called
    members.dead = {B}
    members.clock.advance(DOUBT)
    assert members.tally.copies == 0
    assert [type(error) for error in members.tally.errors] == [ServerUnavailable] * 2
    assert members.asked == [A, B, B]
    assert members.clock.getDelayedCalls() == []


def test_nobody_is_let_go_twice() -> None:
    """Neither behind an answer, nor when the straggling of a doubtful member ends first."""
    members = Members(1, A, B, doubtful=[B])
    members.take(A)
    members.clock.advance(STRAGGLE)
    assert members.running.called
    members.clock.advance(GIVE_UP + DOUBT)
    assert members.cancelled == [B]
    assert members.slow == [B]
    assert members.clock.getDelayedCalls() == []


def test_one_store_under_two_urls_is_one_copy() -> None:
    """Torture F21: whatever the configuration says."""
    members = Members(2, A, B)
    members.take(A, "same")
    members.take(B, "same")
    assert members.tally.copies == 1
    assert not members.tally.is_met


def test_refusals_keep_their_reasons() -> None:
    """A newer version that is held, other bytes, and a lack of room are told apart."""
    members = Members(1, A, B, C)
    members.refuse(A, BlobConflict("abc", BlobConflict.OLDER, 7))
    members.refuse(B, BlobConflict("abc", BlobConflict.OLDER, 9))
    members.refuse(C, BlobConflict("abc", BlobConflict.OTHER_BYTES, 1))
    assert members.tally.newest_held == 9
    assert members.tally.other_bytes is not None
    full = Members(1, A, B)
    full.refuse(A, StoreFull("full"))
    full.refuse(B, StoreFull("full"))
    assert full.tally.is_full


def test_a_fault_of_ours_is_raised_and_ends_the_other_writes() -> None:
    """It is no outcome of a member."""
    members = Members(1, A, B)
    members.refuse(A, ValueError("a mistake"))
    assert isinstance(failure_of(members.running), ValueError)
    assert members.cancelled == [B]


def test_a_client_that_leaves_ends_all_writes() -> None:
    """Nobody is left to be told."""
    members = Members(1, A, B)
    members.running.cancel()
    members.running.addErrback(lambda failure: None)
    assert members.cancelled == [A, B]
    assert members.clock.getDelayedCalls() == []


def test_without_members_there_is_no_copy() -> None:
    """An empty group takes nothing."""
    assert Members(1).tally.copies == 0


def test_of_several_blobs_each_has_a_tally_and_all_must_have_enough_copies() -> None:
    """A member may take one and refuse another; one that takes none has refused each."""
    clock = Clock()
    answers: dict[Server, Deferred[Sequence[Received | SOSError]]] = {member: Deferred() for member in (A, B, C)}
    write = GroupWrite(2, 1, clock, lambda server: None, _yes)
    running = Deferred.fromCoroutine(write.run([A, B, C], answers.__getitem__))
    answers[A].callback([Received(ENTRY, "a"), StoreFull("full")])
    clock.advance(STRAGGLE)
    assert not running.called
    answers[B].errback(ServerUnavailable(B.url, "gone"))
    clock.advance(STRAGGLE)
    assert not running.called
    answers[C].callback([Received(ENTRY, "c"), Received(ENTRY, "c")])
    first, second = success_of(running)
    assert (first.copies, second.copies) == (2, 1)
    assert [type(error) for error in first.errors] == [ServerUnavailable]
    assert [type(error) for error in second.errors] == [StoreFull, ServerUnavailable]
    assert clock.getDelayedCalls() == []


def test_of_several_blobs_with_enough_copies_each_no_straggler_is_waited_for() -> None:
    """As with one."""
    clock = Clock()
    answers: dict[Server, Deferred[Sequence[Received | SOSError]]] = {member: Deferred() for member in (A, B)}
    running = Deferred.fromCoroutine(GroupWrite(2, 1, clock, lambda server: None, _yes).run([A, B], answers.__getitem__))
    answers[A].callback([Received(ENTRY, "a"), Received(ENTRY, "a")])
    assert not running.called
    clock.advance(STRAGGLE)
    assert [tally.copies for tally in success_of(running)] == [1, 1]


async def _yes(server: Server) -> bool:
    return True
