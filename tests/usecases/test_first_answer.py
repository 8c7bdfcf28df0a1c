"""The first good answer of several members, on a fake clock."""

from __future__ import annotations

import gc
import weakref

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from sos.decisions.topology import Server
from sos.usecases.first_answer import ENOUGH, GRACE, IMPATIENCE, FirstAnswer, NoAnswer
from sos.words.errors import BlobNotFound, ServerUnavailable, SOSError
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import server

A, B, C = server("a"), server("b"), server("c")
DOWN = ServerUnavailable("http://a:3001", "connection refused")


class Members:
    """Members whose answers the test gives, one by one."""

    def __init__(self, *servers: Server, grace: float = 0, denials_that_settle: int = 99) -> None:
        self.clock = Clock()
        self.silent: list[Server] = []
        self.discarded: list[str] = []
        self.cancelled: list[Server] = []
        self.answers: dict[Server, Deferred[str]] = {}

        def is_settled(errors: dict[Server, SOSError]) -> bool:
            return len(errors) >= denials_that_settle

        self.asking = asking = FirstAnswer(
            self._ask, self.clock, self.silent.append, self.discarded.append, is_settled, grace
        )
        self.running = Deferred.fromCoroutine(asking.of(servers))

    def _ask(self, server: Server) -> Deferred[str]:
        self.answers[server] = Deferred(lambda _: self.cancelled.append(server))
        return self.answers[server]


def test_the_first_member_alone_is_asked_while_it_answers_in_time() -> None:
    """No load on the others, no timer left behind."""
    members = Members(A, B)
    members.clock.advance(IMPATIENCE - 0.1)
    assert set(members.answers) == {A}
    members.answers[A].callback("hello")
    assert success_of(members.running) == "hello"
    assert members.clock.getDelayedCalls() == []


def test_a_refusal_sends_the_question_on_at_once() -> None:
    """A dead member costs a moment."""
    members = Members(A, B)
    members.answers[A].errback(DOWN)
    members.answers[B].callback("hello")
    assert success_of(members.running) == "hello"
    assert members.silent == []


def test_a_silent_member_is_asked_no_longer_alone_and_remembered() -> None:
    """After two seconds the next one is asked beside it; the first good answer wins, whosever it is."""
    for winner, loser in ((A, B), (B, A)):
        members = Members(A, B)
        members.clock.advance(IMPATIENCE)
        assert set(members.answers) == {A, B}
        assert members.silent == [A]
        members.answers[winner].callback("hello")
        assert success_of(members.running) == "hello"
        assert members.cancelled == [loser]
        assert members.clock.getDelayedCalls() == []


def test_when_all_have_failed_their_errors_are_told() -> None:
    """The caller decides what they come to."""
    members = Members(A, B)
    members.answers[A].errback(DOWN)
    members.answers[B].errback(BlobNotFound("abc"))
    error = failure_of(members.running)
    assert isinstance(error, NoAnswer)
    assert {server: type(said) for server, said in error.errors.items()} == {A: ServerUnavailable, B: BlobNotFound}


def test_silent_members_are_given_up_when_nobody_is_left() -> None:
    """At once where they were known to rest, after a grace where they were well."""
    for grace in (0.0, GRACE):
        members = Members(A, B, grace=grace)
        members.clock.advance(IMPATIENCE)
        members.answers[B].errback(BlobNotFound("abc"))
        members.clock.advance(IMPATIENCE + grace - 0.1)
        assert not members.running.called
        members.clock.advance(0.1)
        error = failure_of(members.running)
        assert isinstance(error, NoAnswer)
        assert set(error.errors) == {B}
        assert members.cancelled == [A]
        assert members.clock.getDelayedCalls() == []


def test_an_answer_that_is_coming_in_is_waited_for_however_long_it_takes() -> None:
    """Nobody else is asked and nobody is given up, whoever is left; when it stands still, patience is as short as ever."""
    for servers in ((A, B), (A,)):
        members = Members(*servers)
        for _ in range(20):
            members.asking.moved(ENOUGH)
            members.clock.advance(IMPATIENCE)
            assert (set(members.answers), members.silent, members.running.called) == ({A}, [], False)
        members.asking.moved(ENOUGH - 1)
        members.clock.advance(IMPATIENCE)
        assert members.silent == [A]
        assert set(members.answers) == set(servers)
        assert members.running.called == (servers == (A,))
        members.running.addErrback(lambda failure: None).cancel()


def test_an_answer_that_is_coming_in_when_all_were_asked_is_not_given_up() -> None:
    """The others have refused, and the last grace is over: there is still hope while it moves."""
    members = Members(A, B, grace=GRACE)
    members.clock.advance(IMPATIENCE)
    members.answers[B].errback(DOWN)
    for _ in range(10):
        members.asking.moved(ENOUGH)
        members.clock.advance(IMPATIENCE + GRACE)
    members.answers[A].callback("hello")
    assert success_of(members.running) == "hello"
    assert members.clock.getDelayedCalls() == []


def test_nobody_is_asked_once_the_answers_settle_it() -> None:
    """When enough members have said no, a hanging one need not be waited for."""
    members = Members(A, B, C, denials_that_settle=2)
    members.clock.advance(IMPATIENCE)
    members.answers[B].errback(BlobNotFound("abc"))
    members.answers[C].errback(BlobNotFound("abc"))
    assert isinstance(failure_of(members.running), NoAnswer)
    assert members.cancelled == [A]


def test_a_fault_of_ours_is_raised_as_it_is() -> None:
    """And the members that were asked are let go."""
    members = Members(A, B)
    members.clock.advance(IMPATIENCE)
    members.answers[B].errback(ValueError("a mistake"))
    assert isinstance(failure_of(members.running), ValueError)
    assert members.cancelled == [A]


def test_a_client_that_leaves_lets_all_members_go() -> None:
    """Torture F3: nothing is fetched for nobody."""
    members = Members(A, B)
    members.clock.advance(IMPATIENCE)
    members.running.cancel()
    assert isinstance(failure_of(members.running), CancelledError)
    assert members.cancelled == [A, B]
    assert members.clock.getDelayedCalls() == []


def test_answers_that_come_at_once_need_no_clock() -> None:
    """A store of this very process is asked without a timer."""

    async def ask(asked: Server) -> str:
        if asked == A:
            raise BlobNotFound("abc")
        return asked.url

    clock = Clock()
    asking = FirstAnswer(ask, clock, lambda server: None, lambda answer: None, lambda errors: False, GRACE)
    assert success_of(asking.of([A, B, C])) == B.url
    assert clock.getDelayedCalls() == []


def test_an_answer_does_not_wait_for_the_collector_of_cycles() -> None:
    """It may have bytes in it; and whoever asks, and is told of the bytes that come, knows the one that asks it."""

    class Bytes:
        pass

    def asked_once(answer: Deferred[Bytes]) -> None:
        async def ask(asked: Server) -> Bytes:
            asking.moved(1)
            return await answer

        asking = FirstAnswer(ask, Clock(), lambda server: None, lambda answer: None, lambda errors: False, GRACE)
        running = Deferred.fromCoroutine(asking.of([A]))
        if not answer.called:
            answer.callback(Bytes())
        found.append(weakref.ref(success_of(running)))

    found: list[weakref.ref[Bytes]] = []
    gc.disable()
    try:
        asked_once(succeed(Bytes()))  # by a store of this very process
        asked_once(Deferred())
        assert [gone() for gone in found] == [None, None]
    finally:
        gc.enable()
