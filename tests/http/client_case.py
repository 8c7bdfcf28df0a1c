"""What the tests of the client share: a client with its clock and its server, and a body that the test writes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from sos.http.answer import Answer
from sos.http.bodies import collect
from sos.http.client import Client
from sos.http.origins import Origin
from sos.words.errors import ServerUnavailable
from tests.support import success_of
from tests.support_wire import ScriptedConnection, ScriptedServer

ORIGIN = Origin.of_url("http://member:3001")
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@implementer(IBodyProducer)
class ScriptedBody:
    """A body that the test writes piece by piece."""

    def __init__(self, length: int | None = None) -> None:
        """Make a body that says this length, or none."""
        self.length: int | object = UNKNOWN_LENGTH if length is None else length
        self.done: Deferred[None] = Deferred()
        self.consumer: Any = None
        self.calls: list[str] = []

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Remember the consumer."""
        self.consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        """Write it down."""
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """Write it down."""
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """Write it down."""
        self.calls.append("stop")


class ClientTestCase(SynchronousTestCase):
    """A client, its clock and its server."""

    def setUp(self) -> None:
        """Make them."""
        self.clock = Clock()
        self.server = ScriptedServer()
        self.client = Client(self.server, self.clock)

    def ask(self, method: bytes = b"GET", **more: Any) -> Deferred[Answer]:
        """Begin a request."""
        asking: Coroutine[Any, Any, Answer] = self.client.request(method, ORIGIN, b"/blob/a", **more)
        return Deferred.fromCoroutine(asking)

    @property
    def last(self) -> ScriptedConnection:
        """The newest connection."""
        return self.server.last

    def bytes_of(self, answer: Answer) -> bytes:
        """Take the body of an answer that has come."""
        return success_of(collect(answer.body, 10_000_000))

    def answered(self, reply: bytes = HELLO, **more: Any) -> Answer:
        """Ask, and get a whole answer."""
        asking = self.ask(**more)
        self.last.feed(reply)
        return self.successResultOf(asking)

    def refused(self, asking: Deferred[Any]) -> ServerUnavailable:
        """Take the failure of a request that failed because of its server."""
        error: ServerUnavailable = self.failureResultOf(asking, ServerUnavailable).value
        self.assertEqual(error.server, "http://member:3001")
        return error
