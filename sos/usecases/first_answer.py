"""The first good answer of several members, asked one after the other.

The next member is asked as soon as one has failed, and also when none has answered for `IMPATIENCE`; whoever answers well
first wins, and the others are let go. So a member that refuses costs a moment, and one that hangs costs two seconds.

An answer that is coming in is not awaited by the clock but by its progress: under load, or over a slow line, the bytes of a
large blob take longer than any patience, and asking others for them as well would make it worse.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from sos.begun import Running, begun
from sos.decisions.topology import Server
from sos.words.errors import SOSError

IMPATIENCE = 2.0
"""Seconds after which the next member is asked beside the one that is silent (design, section 7)."""

GRACE = 8.0
"""Seconds beyond that for silent members that were well before, when nobody is left to ask: a disk may have to spin up."""

ENOUGH = 64 * 1024
"""Bytes within `IMPATIENCE` that show an answer to be on its way; one that trickles is as good as silent (torture B10)."""

T = TypeVar("T")


class NoAnswer(Exception):
    """No member answered well; `errors` says what each of them said, and whoever is not in it said nothing in time."""

    def __init__(self, errors: dict[Server, SOSError]) -> None:
        super().__init__(f"none of {len(errors)} members answered well")
        self.errors = errors


class FirstAnswer(Generic[T]):
    """Asks members until one answers well. Used once."""

    def __init__(
        self,
        ask: Callable[[Server], Awaitable[T]],
        clock: IReactorTime,
        silent: Callable[[Server], None],
        discard: Callable[[T], None],
        is_settled: Callable[[dict[Server, SOSError]], bool],
        grace: float,
    ) -> None:
        """Ask by `ask`; tell `silent` of members that did not answer in time; `discard` lets go of an answer too many.

        `is_settled` says of the errors so far that no other member can change what they come to. `grace` is what silent
        members get beyond `IMPATIENCE` when nobody is left to ask, in seconds.
        """
        self._ask = ask
        self._clock = clock
        self._silent = silent
        self._discard = discard
        self._is_settled = is_settled
        self._grace = grace
        self._waiting: list[Server] = []
        self._asked: dict[Server, Running] = {}
        self.errors: dict[Server, SOSError] = {}
        """What those have said that did not answer well."""
        self.winner: Server | None = None
        """Who answered well first."""
        self._timer: IDelayedCall | None = None
        self._moved = 0
        self._winner: Deferred[T] = Deferred()

    async def of(self, servers: Sequence[Server]) -> T:
        """Ask the servers in their order. Raises `NoAnswer`, and at once whatever is no `SOSError`."""
        self._waiting = list(servers)
        try:
            self._ask_next()
            return await self._winner
        finally:
            self._let_go()  # where it was cancelled
            del self._ask  # it knows us: the answer would stay in memory until the collector of cycles comes by

    def moved(self, count: int) -> None:
        """Note that so many bytes of an answer have come."""
        self._moved += count

    def _ask_next(self) -> None:
        """Ask until somebody is being waited for, or nobody is left."""
        self._stop_timer()
        while self._waiting and not self._winner.called:
            server = self._waiting.pop(0)
            try:
                asking = begun(self._answer_of(server), self._fail)
            except Exception:  # the guard of those who ask: whoever waits for the answer has to know
                self._fail(Failure())
                continue
            if asking is None:
                continue
            self._asked[server] = asking
            self._wait(IMPATIENCE, self._lose_patience)
            return
        if self._winner.called:
            return
        if self._asked:
            self._wait(IMPATIENCE + self._grace, self._lose_hope)
        else:
            self._end_without()

    async def _answer_of(self, server: Server) -> None:
        try:
            answer = await self._ask(server)
        except SOSError as error:
            self.errors[server] = error
            was_waited_for = self._asked.pop(server, None) is not None
            if self._is_settled(self.errors):
                self._end_without()
            elif was_waited_for:
                self._ask_next()
            return
        self._asked.pop(server, None)
        if self._winner.called:
            self._discard(answer)
        else:
            self._let_go()
            self.winner = server
            self._winner.callback(answer)

    def _lose_patience(self) -> None:
        """Ask the next member beside the silent ones; when nobody is left, they get a last grace."""
        if self._is_moving(self._lose_patience):
            return
        for server in self._asked:
            self._silent(server)
        if self._waiting:
            self._ask_next()
        elif self._grace:
            self._wait(self._grace, self._lose_hope)
        else:
            self._end_without()

    def _lose_hope(self) -> None:
        """Give up when nobody is left to ask, and nothing comes."""
        if not self._is_moving(self._lose_hope):
            self._end_without()

    def _is_moving(self, look_again: Callable[[], None]) -> bool:
        """Whether an answer is on its way; then have another look in a while."""
        is_moving = self._moved >= ENOUGH
        if is_moving:
            self._wait(IMPATIENCE, look_again)
        return is_moving

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._moved = 0
        self._timer = self._clock.callLater(seconds, then)

    def _end_without(self) -> None:
        """Give up on a good answer."""
        self._let_go()
        if not self._winner.called:
            self._winner.errback(NoAnswer(self.errors))

    def _fail(self, failure: Failure) -> None:
        """Pass on a fault of ours; a member that we let go is none."""
        if not failure.check(CancelledError) and not self._winner.called:
            self._let_go()
            self._winner.errback(failure)

    def _let_go(self) -> None:
        self._stop_timer()
        self._waiting.clear()
        asked, self._asked = self._asked, {}
        for asking in asked.values():
            asking.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
