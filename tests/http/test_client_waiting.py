"""Deadlines, back-pressure in both directions, and callers that leave."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from sos.http.bodies import BytesSource
from sos.http.client import Client
from sos.http.deadlines import Deadlines
from sos.words.errors import BlobTruncated
from tests.http.client_case import CHUNKED, HELLO, ClientTestCase, ScriptedBody
from tests.support import ScriptedConsumer


class Patience(ClientTestCase):
    """B10: a server that takes its time."""

    def test_no_head_within_the_deadline_is_a_failure(self) -> None:
        """Thirty seconds, or what the request says; single bytes of a head do not move it."""
        for wait, first_byte in ((30, None), (2, 2)):
            asking = self.ask(first_byte=first_byte)
            for byte in HELLO[: wait - 1]:
                self.clock.advance(1)
                self.last.feed(bytes([byte]))
            self.clock.advance(0.9)
            self.assertNoResult(asking)
            self.clock.advance(0.1)
            self.assertIn(f"within {wait} s", str(self.refused(asking)))
            self.assertTrue(self.last.is_dropped)

    def test_a_pooled_connection_keeps_a_nearer_deadline(self) -> None:
        """The watch that was set for the idle time is moved."""
        self.answered()
        asking = self.ask(first_byte=2)
        self.clock.advance(2)
        self.refused(asking)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence_within_a_body_is_a_failure(self) -> None:
        """Each piece lets it begin anew."""
        asking = self.ask()
        self.last.feed(HELLO[:-5])
        done = self.successResultOf(asking).body.startProducing(ScriptedConsumer())
        for _ in range(4):
            self.clock.advance(29)
            self.last.feed(b"x")
        self.clock.advance(29)
        self.assertNoResult(done)
        self.clock.advance(1)
        self.assertIn("stood still", str(self.refused(done)))
        self.assertTrue(self.last.is_dropped)

    def test_a_silence_that_we_asked_for_does_not_count(self) -> None:
        """Not before anybody took the body, and not while its consumer is full."""
        asking = self.ask()
        self.last.feed(HELLO[:-4])
        answer = self.successResultOf(asking)
        self.clock.advance(1000)
        consumer = ScriptedConsumer(pause_after=1)
        consumer.registerProducer(answer.body, True)
        done = answer.body.startProducing(consumer)
        self.clock.advance(1000)
        self.assertNoResult(done)
        consumer.go_on()
        self.clock.advance(29)
        self.last.feed(b"ello")
        self.successResultOf(done)
        self.assertEqual(consumer.payload, b"hello")

    def test_a_server_that_takes_nothing_of_a_body_fails(self) -> None:
        """Silence counts in this direction, too."""
        body = ScriptedBody(100)
        asking = self.ask(b"POST", body=body)
        body.consumer.write(b"x")
        self.last.producer.pauseProducing()
        self.clock.advance(30)
        self.assertIn("took nothing", str(self.refused(asking)))
        self.assertEqual(body.calls, ["pause", "stop"])

    def test_a_body_that_stands_still_is_not_the_servers_fault(self) -> None:
        """It was cut short."""
        body = ScriptedBody(100)
        asking = self.ask(b"POST", body=body)
        for _ in range(3):
            self.clock.advance(29)
            body.consumer.write(b"x")
        self.assertNoResult(asking)
        self.clock.advance(30)
        self.failureResultOf(asking, BlobTruncated)

    def test_the_time_to_answer_begins_when_the_body_is_out(self) -> None:
        """A long body does not use it up."""
        body = ScriptedBody(3)
        asking = self.ask(b"POST", body=body, first_byte=2)
        for _ in range(3):
            self.clock.advance(20)
            body.consumer.write(b"x")
        body.done.callback(None)
        self.clock.advance(1.9)
        self.assertNoResult(asking)
        self.clock.advance(0.1)
        self.refused(asking)

    def test_the_deadlines_can_be_others(self) -> None:
        """They are an argument."""
        self.client = Client(self.server, self.clock, Deadlines(first_byte=1))
        asking = self.ask()
        self.clock.advance(1)
        self.refused(asking)


class BackPressure(ClientTestCase):
    """No side is faster than the other."""

    def test_an_answer_that_nobody_takes_is_not_read(self) -> None:
        """From the moment its head is known, until somebody takes the body."""
        asking = self.ask()
        self.last.feed(HELLO[:-4])
        answer = self.successResultOf(asking)
        self.assertTrue(self.last.is_paused)
        answer.body.startProducing(ScriptedConsumer())
        self.assertFalse(self.last.is_paused)

    def test_a_full_consumer_pauses_the_server(self) -> None:
        """And the pieces that had come wait for it."""
        asking = self.ask()
        self.last.feed(CHUNKED)
        answer = self.successResultOf(asking)
        consumer = ScriptedConsumer(pause_after=2)
        consumer.registerProducer(answer.body, True)
        done = answer.body.startProducing(consumer)
        self.last.feed(b"2\r\nhe\r\n1\r\nl\r\n1\r\nl\r\n")
        self.assertEqual((consumer.payload, self.last.is_paused), (b"he", True))
        consumer.go_on(pause_after=3)
        self.assertEqual((consumer.payload, self.last.is_paused), (b"hel", True))
        consumer.go_on()
        self.assertEqual((consumer.payload, self.last.is_paused), (b"hell", False))
        self.last.feed(b"1\r\no\r\n0\r\n\r\n")
        self.successResultOf(done)
        self.assertEqual(consumer.payload, b"hello")

    def test_the_end_waits_for_a_full_consumer_and_the_connection_does_not(self) -> None:
        """The last pieces are ours; the connection serves others."""
        asking = self.ask()
        self.last.feed(CHUNKED + b"1\r\nh\r\n")
        answer = self.successResultOf(asking)
        consumer = ScriptedConsumer(pause_after=1)
        consumer.registerProducer(answer.body, True)
        done = answer.body.startProducing(consumer)
        self.last.feed(b"1\r\ne\r\n0\r\n\r\n")
        self.assertNoResult(done)
        self.assertEqual(self.answered().status, 200)
        self.assertEqual(len(self.server.connections), 1)
        consumer.go_on()
        self.successResultOf(done)
        self.assertEqual(consumer.payload, b"he")

    def test_a_full_server_pauses_the_body(self) -> None:
        """The transport's word reaches the body that is sent."""
        body = ScriptedBody(10)
        self.ask(b"POST", body=body)
        producer = self.last.producer
        producer.pauseProducing()
        producer.resumeProducing()
        self.assertEqual(body.calls, ["pause", "resume"])

    def test_a_body_that_is_out_leaves_no_producer_behind(self) -> None:
        """The next request can have its own."""
        for _ in range(2):
            self.answered(method=b"POST", source=BytesSource([b"hello"]))
            self.assertIsNone(self.last.transport.producer)
        self.assertEqual(len(self.server.connections), 1)


class Leaving(ClientTestCase):
    """Whoever asked does not want it any more."""

    def test_a_cancelled_request_drops_its_connection_and_its_body(self) -> None:
        """At once."""
        body = ScriptedBody(10)
        asking = self.ask(b"POST", body=body)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertTrue(self.last.is_dropped)
        self.assertEqual(body.calls, ["stop"])
        self.last.close()

    def test_a_stopped_body_drops_the_connection(self) -> None:
        """Before it was begun, and in the middle; its Deferred never fires."""
        for begins in (False, True):
            asking = self.ask()
            self.last.feed(HELLO[:-4])
            body = self.successResultOf(asking).body
            done = body.startProducing(ScriptedConsumer()) if begins else None
            body.stopProducing()
            self.assertTrue(self.last.is_dropped)
            self.last.close()
            if done is not None:
                self.assertNoResult(done)

    def test_a_stopped_body_that_was_whole_leaves_the_connection_whole(self) -> None:
        """Nothing more was to come."""
        self.answered().body.stopProducing()
        self.assertFalse(self.last.is_dropped)

    def test_a_consumer_may_stop_the_body_within_its_write(self) -> None:
        """It gets nothing more."""
        asking = self.ask()
        self.last.feed(CHUNKED + b"1\r\na\r\n1\r\nb\r\n")
        body = self.successResultOf(asking).body

        class Fussy(ScriptedConsumer):
            def write(self, data: bytes) -> None:
                super().write(data)
                body.stopProducing()

        consumer = Fussy()
        self.assertNoResult(body.startProducing(consumer))
        self.assertEqual(consumer.payload, b"a")
        self.assertTrue(self.last.is_dropped)

    def test_a_cancelled_body_drops_the_connection(self) -> None:
        """Cancelling is how a handler that is cancelled lets go of it."""
        asking = self.ask()
        self.last.feed(HELLO[:-1])
        done = self.successResultOf(asking).body.startProducing(ScriptedConsumer())
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertTrue(self.last.is_dropped)
