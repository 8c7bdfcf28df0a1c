"""The front's patience: deadlines, limits of connections, and ending in good order. All on a clock of the test."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.http.limits import Limits
from sos.http.request import Request
from sos.words.errors import BlobTruncated
from tests.http.front_client import Connection, Leaf, front_of, ok
from tests.support import ScriptedConsumer

HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /a" + HEAD + b"\r\n"


class Deadlines(SynchronousTestCase):
    """What the front does not wait for."""

    def setUp(self) -> None:
        """Connect to a resource that does nothing by itself."""
        self.clock = Clock()
        self.leaf = Leaf(lambda request: None)
        self.connection = Connection(front_of(self.leaf, clock=self.clock))

    def assert_ends_at(self, seconds: float) -> None:
        """The connection ends in so many seconds, and not before."""
        self.clock.advance(seconds - 0.1)
        self.assertFalse(self.connection.transport.is_ended)
        self.clock.advance(0.2)
        self.assertTrue(self.connection.transport.is_ended)

    def test_h61_a_client_that_says_nothing(self) -> None:
        """10 seconds."""
        self.assert_ends_at(10)

    def test_h61_a_head_that_comes_byte_by_byte(self) -> None:
        """10 seconds, however many bytes come."""
        for byte in b"GET /a HT":
            self.connection.send(bytes([byte]))
            self.clock.advance(1)
        self.assert_ends_at(1)

    def test_h61_an_idle_connection(self) -> None:
        """60 seconds from the last answer."""
        self.connection.send(GET)
        self.clock.advance(100)
        self.leaf.requests[0].respond(200)
        self.assert_ends_at(60)

    def test_h61_a_slow_second_head(self) -> None:
        """10 seconds from its first byte."""
        self.connection.send(GET)
        self.leaf.requests[0].respond(200)
        self.clock.advance(30)
        self.connection.send(b"G")
        self.clock.advance(5)
        self.connection.send(b"ET")
        self.assert_ends_at(5)

    def test_a_request_that_is_being_answered_is_not_hurried(self) -> None:
        """How long a resource takes is its own affair."""
        self.connection.send(GET)
        self.clock.advance(1000)
        self.assertFalse(self.connection.transport.is_ended)
        self.leaf.requests[0].respond(200)
        self.assertEqual(self.connection.statuses, [200])

    def post(self, pause_after: int | None = None) -> tuple[Request, ScriptedConsumer]:
        """Begin a body of a million bytes."""
        self.connection.send(b"POST /a" + HEAD + b"Content-Length: 1000000\r\n\r\n")
        request = self.leaf.requests[-1]
        consumer = ScriptedConsumer(pause_after)
        consumer.registerProducer(request.body, True)
        self.done = request.body.startProducing(consumer)
        return request, consumer

    def test_h62_a_body_at_a_byte_a_second(self) -> None:
        """408 after 30 seconds."""
        request, _ = self.post()
        for _ in range(29):
            self.clock.advance(1)
            self.connection.send(b"x")
        self.assertEqual(self.connection.received, b"")
        self.clock.advance(1)
        self.assertEqual(self.connection.statuses, [408])
        self.failureResultOf(self.done, BlobTruncated)
        self.assertTrue(self.connection.transport.is_ended)
        self.assertEqual(request.code, 408)

    def test_h62_a_body_just_fast_enough(self) -> None:
        """1 KiB a second is taken for as long as it lasts."""
        self.post()
        for _ in range(200):
            self.connection.send(b"x" * 1024)
            self.clock.advance(1)
        self.assertEqual(self.connection.received, b"")

    def test_f4_a_body_that_stops_in_the_middle(self) -> None:
        """However much of it came at first: its peer may be gone without a word. 408 after 30 seconds, and a sixth."""
        for seconds in (0, 12, 29):
            with self.subTest(f"it stops after {seconds} s"):
                self.connection = Connection(front_of(self.leaf, clock=self.clock))
                self.post()
                for _ in range(seconds + 1):
                    self.connection.send(b"x" * 30_000)
                    self.clock.advance(1)
                self.clock.pump([1] * 28)
                self.assertEqual(self.connection.received, b"")
                self.clock.pump([1] * 6)
                self.assertEqual(self.connection.statuses, [408])
                self.failureResultOf(self.done, BlobTruncated)

    def test_h62_the_time_that_we_paused_it_does_not_count(self) -> None:
        """It is not the client who is slow."""
        _, consumer = self.post(pause_after=10)
        self.connection.send(b"x" * 10)
        self.clock.advance(1000)
        consumer.go_on()
        self.clock.pump([1] * 29)
        self.assertEqual(self.connection.received, b"")
        self.clock.advance(2)
        self.assertEqual(self.connection.statuses, [408])
        self.failureResultOf(self.done, BlobTruncated)

    def test_h62_a_body_that_nobody_reads_yet_is_not_slow(self) -> None:
        """The clock runs from the moment it is wanted."""
        self.connection.send(b"POST /a" + HEAD + b"Content-Length: 5\r\n\r\n1")
        self.clock.advance(1000)
        self.assertEqual(self.connection.received, b"")

    def test_h63_a_client_that_does_not_read_is_dropped(self) -> None:
        """60 seconds without progress of writing, and the maker of the answer learns it."""
        self.connection.send(GET)
        request = self.leaf.requests[0]
        gone = request.notifyFinish()
        request.begin(200, [], None)
        request.write(b"x")
        self.connection.channel.pauseProducing()
        self.clock.pump([15] * 3 + [14])
        self.assertFalse(self.connection.transport.is_aborted)
        self.clock.advance(2)
        self.assertTrue(self.connection.transport.is_aborted)
        self.failureResultOf(gone)

    def test_h63_a_client_that_reads_slowly_is_not(self) -> None:
        """Bytes that leave are progress, also when the transport does not ask for more yet."""
        self.connection.send(GET)
        transport = self.connection.transport
        transport.dataBuffer = b"x" * 100_000  # type: ignore[attr-defined]
        self.connection.channel.pauseProducing()
        for offset in range(1, 20):
            transport.offset = offset  # type: ignore[attr-defined]
            self.clock.advance(50)
        self.assertFalse(transport.is_aborted)

    def test_h63_a_last_answer_that_nobody_reads(self) -> None:
        """A connection that is closing does not close for ever."""
        self.connection.send(GET[:-2] + b"Connection: close\r\n\r\n")
        self.leaf.requests[0].respond(200)
        self.clock.pump([15] * 4)
        self.assertTrue(self.connection.transport.is_aborted)

    def test_no_timer_is_left_behind(self) -> None:
        """A connection that is gone waits for nothing."""
        self.connection.send(GET)
        self.connection.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_requests_do_not_make_timers(self) -> None:
        """One for the connection is enough."""
        for _ in range(100):
            self.connection.send(GET)
            self.leaf.requests[-1].respond(200)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)


class Connections(SynchronousTestCase):
    """How many there may be, and how they end."""

    def test_beyond_the_limits_a_connection_is_turned_away(self) -> None:
        """503 and when to come again; others are not touched."""
        front = front_of(Leaf(ok), Limits(connections=3, connections_an_address=2))
        first, second = Connection(front, "10.0.0.1"), Connection(front, "10.0.0.1")
        third = Connection(front, "10.0.0.1")
        self.assertEqual(third.answer.status, 503)
        self.assertEqual(third.answer.headers[b"retry-after"], b"5")
        self.assertTrue(third.transport.is_ended)
        third.lose()
        other = Connection(front, "10.0.0.2")
        self.assertEqual(Connection(front, "10.0.0.3").statuses, [503])
        for connection in (first, second, other):
            connection.send(GET)
            self.assertEqual(connection.statuses, [200])

    def test_connections_that_are_gone_do_not_count(self) -> None:
        """Room is room."""
        for limits in (Limits(connections=1), Limits(connections_an_address=1)):
            front = front_of(Leaf(ok), limits)
            for _ in range(3):
                connection = Connection(front)
                self.assertEqual(connection.received, b"")
                connection.lose()
            self.assertEqual(front.connections, 0)

    def test_draining_closes_idle_connections_and_ends_requests(self) -> None:
        """It is done when the last answer is out and its connection closed."""
        leaf = Leaf(lambda request: None)
        front = front_of(leaf)
        idle, busy = Connection(front), Connection(front)
        busy.send(GET + GET)
        drained = front.drain()
        self.assertTrue(idle.transport.is_ended)
        self.assertFalse(busy.transport.is_ended)
        idle.lose()
        self.assertNoResult(drained)
        leaf.requests[0].respond(200)
        self.assertEqual(busy.answer.headers[b"connection"], b"close")
        self.assertTrue(busy.transport.is_ended)
        busy.lose()
        self.successResultOf(drained)
        self.assertEqual(len(leaf.requests), 1)

    def test_tls_clients_are_offered_http_11(self) -> None:
        """A front that offered no protocol would fail the handshake of every client that asks for one."""
        front = front_of(Leaf(ok))
        self.assertTrue(IProtocolNegotiationFactory.providedBy(front))
        self.assertEqual(front.acceptableProtocols(), [b"http/1.1"])

    def test_draining_without_connections_is_done(self) -> None:
        """There is nothing to wait for."""
        self.successResultOf(front_of(Leaf(ok)).drain())

    def test_dropping_aborts_what_is_left(self) -> None:
        """After a wait that was long enough."""
        leaf = Leaf(lambda request: None)
        front = front_of(leaf)
        connection = Connection(front)
        connection.send(GET)
        gone = leaf.requests[0].notifyFinish()
        front.drop()
        self.assertTrue(connection.transport.is_aborted)
        self.failureResultOf(gone)

    def test_what_is_left_is_dropped_in_the_order_in_which_it_came(self) -> None:
        """A run with a seed, a simulation's too, can be had again."""
        leaf = Leaf(lambda request: None)
        front = front_of(leaf)
        told: list[int] = []
        for number in range(8):
            Connection(front).send(GET)
            leaf.requests[number].notifyFinish().addErrback(lambda _, number: told.append(number), number)
        front.drop()
        self.assertEqual(told, list(range(8)))
