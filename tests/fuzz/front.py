"""One input against the real front, without a socket: what it took, what it answered, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.http.bodies import collect
from sos.http.limits import Limits
from sos.http.request import Request
from sos.words.errors import SOSError
from tests.corpus.table import CONDITIONS, ROWS
from tests.fuzz.oracle import MOST_BODY, Behind, Message, Reading, read
from tests.fuzz.trouble import Trouble
from tests.http.front_client import Connection, Leaf, front_of

LONGEST = 3000
"""Bytes of the longest row that is mutated: longer ones only take longer."""

CORPUS = sorted({row.data for row in [*ROWS, *CONDITIONS[::20]] if len(row.data) <= LONGEST})

_PATIENCE = (10.5, *[5.5] * 7, 61.0, 61.0)
"""Seconds by which a head, a body (looked at again and again), an idle connection and a slow reader are given up."""


class Front:
    """A front that takes every request and its body, and writes down what it took."""

    def __init__(self) -> None:
        """Listen on a clock of its own."""
        self._clock = Clock()
        self._taken: list[Message] = []
        self._leaf = Leaf(self._take)
        self._front = front_of(self._leaf, Limits(most_body=MOST_BODY), self._clock)

    def faults(self, pieces: Sequence[bytes]) -> list[str]:
        """Send segments over one connection; say what is wrong with what came of them."""
        self._taken.clear()
        self._leaf.requests.clear()
        try:
            with Trouble() as trouble:
                connection = Connection(self._front)
                for piece in pieces:
                    if not connection.transport.is_ended:
                        connection.send(piece)
                has_waited = self._wait(connection)
                found = list(self._judge(connection, read(b"".join(pieces)), has_waited))
        except Exception as error:  # the guard of the fuzzer: whatever comes out is the find
            return [f"it raised {error!r}"]
        return found + trouble.events

    def _wait(self, connection: Connection) -> bool:
        """Let time pass until the front gives up; say whether it had to."""
        had_ended = connection.transport.is_ended
        for seconds in _PATIENCE:
            if connection.transport.is_ended:
                break
            self._clock.advance(seconds)
        return not had_ended

    def _judge(self, connection: Connection, reading: Reading, has_waited: bool) -> Iterator[str]:
        taken = tuple(self._taken)
        expected = tuple(message for message in reading.messages if message.target != b"*")  # the front's own to answer
        if not connection.transport.is_ended:
            yield "it hangs: no deadline closed it"
        connection.lose()
        if self._clock.getDelayedCalls() or self._front.connections:
            yield "it left a timer or a connection behind"
        statuses = [answer.status for answer in connection.answers if answer.status not in (100, 204)]
        if taken != expected[: len(taken)]:
            yield f"it read {taken}, where there is {expected}"
        elif statuses[: len(taken)] != [200] * len(taken) or len(statuses) > len(taken) + 1:
            yield f"to {len(taken)} requests it answered {statuses}"
        elif len(statuses) > len(taken):
            if not (400 <= statuses[-1] < 500 or statuses[-1] in (501, 505)):
                yield f"it answered {statuses[-1]} to what it refused"
            if reading.behind is Behind.UNREAD and len(taken) == len(expected):
                yield "it read on behind a request that closes the connection"
        elif len(taken) < len(expected):
            yield f"of {len(expected)} requests it answered {len(taken)} and refused none"
        elif reading.behind is not Behind.NOTHING and has_waited:
            yield "it waited for more, where nothing more can be read"

    def _take(self, request: Request) -> None:
        """Take a request with its body, and answer it."""
        collected = Deferred.fromCoroutine(collect(request.body, MOST_BODY))
        collected.addCallback(lambda body: self._answer(request, body))
        collected.addErrback(lambda failure: failure.trap(SOSError) and None)

    def _answer(self, request: Request, body: bytes) -> None:
        self._taken.append(Message(request.method, request.uri, tuple(request.raw_headers), body))
        request.respond(200)
