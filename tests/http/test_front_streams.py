"""Bodies and answers as streams through the front: back-pressure, early answers, clients that leave."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sos.http.bodies import BytesBody, pour
from sos.http.limits import Limits
from sos.http.request import Request
from sos.words.errors import BadInput, BlobTooLarge, BlobTruncated
from tests.http.front_client import Connection, Leaf, front_of, ok
from tests.support import ScriptedConsumer

HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /a" + HEAD + b"\r\n"


def post(length: int, *lines: bytes) -> bytes:
    """Write the head of a POST with a body of so many bytes."""
    return b"POST /a" + HEAD + b"Content-Length: %d\r\n" % length + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


class Bodies(SynchronousTestCase):
    """What a resource sees of a request's body."""

    def setUp(self) -> None:
        """Connect to a resource that does nothing by itself."""
        self.clock = Clock()
        self.leaf = Leaf(lambda request: None)
        self.connection = Connection(front_of(self.leaf, Limits(most_body=10**6), self.clock))

    def start(self, head: bytes, pause_after: int | None = None) -> tuple[Request, ScriptedConsumer, Deferred[None]]:
        """Send a head, and let the body of its request flow."""
        self.connection.send(head)
        request = self.leaf.requests[-1]
        consumer = ScriptedConsumer(pause_after)
        consumer.registerProducer(request.body, True)
        return request, consumer, request.body.startProducing(consumer)

    def test_the_handler_runs_before_the_body_is_there(self) -> None:
        """The length is known, the bytes flow as they come."""
        request, consumer, done = self.start(post(10))
        self.assertEqual(request.body.length, 10)
        self.connection.send(b"01234")
        self.assertEqual(consumer.payload, b"01234")
        self.assertNoResult(done)
        self.connection.send(b"56789")
        self.assertEqual(consumer.payload, b"0123456789")
        self.successResultOf(done)

    def test_a_body_that_comes_with_its_head_is_in_memory(self) -> None:
        """All of it, and no byte of the next request."""
        self.connection.send(post(5) + b"hello" + post(3) + b"you" + GET)
        for number, payload in enumerate([b"hello", b"you"]):
            body = self.leaf.requests[-1].body
            assert isinstance(body, BytesBody)
            self.assertEqual((len(self.leaf.requests), body.pieces), (number + 1, [payload]))
            self.leaf.requests[-1].respond(200)
        self.leaf.requests[-1].respond(204)
        self.assertEqual(self.connection.statuses, [200, 200, 204])
        self.assertFalse(self.connection.transport.is_ended)

    def test_a_body_of_which_a_byte_is_missing_is_a_stream(self) -> None:
        """It is used as ever."""
        _, consumer, done = self.start(post(5) + b"hell")
        self.assertEqual(consumer.payload, b"hell")
        self.assertNoResult(done)
        self.connection.send(b"o" + GET)
        self.successResultOf(done)
        self.assertEqual(consumer.payload, b"hello")

    def test_a_chunked_body_has_no_length(self) -> None:
        """Only its end tells it."""
        request, consumer, done = self.start(b"POST /a" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n012")
        self.assertIsNone(request.body.length)
        self.connection.send(b"34\r\n0\r\n\r\n")
        self.assertEqual(consumer.payload, b"01234")
        self.successResultOf(done)

    def test_a_request_without_a_body_has_an_empty_one(self) -> None:
        """Whoever reads it is done at once."""
        _, consumer, done = self.start(GET)
        self.successResultOf(done)
        self.assertEqual(consumer.payload, b"")

    def test_a_body_is_used_once(self) -> None:
        """A second use is a mistake in the program."""
        request, _, _ = self.start(post(10))
        self.assertRaises(RuntimeError, request.body.startProducing, ScriptedConsumer())

    def test_nothing_is_delivered_before_the_body_is_started(self) -> None:
        """64 KiB wait, then the transport is paused; starting lets all of it through."""
        self.connection.send(post(100_000))
        self.connection.send(b"x" * 65_535)
        self.assertEqual(self.connection.transport.producerState, "producing")
        self.connection.send(b"x")
        self.assertEqual(self.connection.transport.producerState, "paused")
        consumer = ScriptedConsumer()
        consumer.registerProducer(self.leaf.requests[0].body, True)
        self.leaf.requests[0].body.startProducing(consumer)
        self.assertEqual(len(consumer.payload), 65_536)
        self.assertEqual(self.connection.transport.producerState, "producing")

    def test_a_paused_body_pauses_the_transport(self) -> None:
        """What comes all the same waits; resuming delivers it."""
        _, consumer, done = self.start(post(30), pause_after=10)
        self.connection.send(b"x" * 10)
        self.assertEqual(self.connection.transport.producerState, "paused")
        self.connection.send(b"y" * 10)
        self.assertEqual(consumer.payload, b"x" * 10)
        consumer.go_on()
        self.assertEqual(consumer.payload, b"x" * 10 + b"y" * 10)
        self.assertEqual(self.connection.transport.producerState, "producing")
        self.connection.send(b"z" * 10)
        self.successResultOf(done)

    def test_h24_continue_is_said_when_the_body_is_wanted(self) -> None:
        """Not before."""
        self.connection.send(post(5, b"Expect: 100-Continue"))
        self.assertEqual(self.connection.received, b"")
        request = self.leaf.requests[0]
        request.body.startProducing(ScriptedConsumer())
        self.assertEqual(self.connection.received, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.connection.send(b"12345")
        request.respond(200)
        self.assertEqual(self.connection.statuses, [100, 200])
        self.assertFalse(self.connection.transport.is_ended)

    def test_h24_continue_is_not_said_when_the_body_is_refused(self) -> None:
        """The final answer comes alone, and the connection ends: nobody knows whether the body still comes."""
        self.connection.send(post(5, b"Expect: 100-continue"))
        self.leaf.requests[0].respond(507)
        self.assertEqual(self.connection.statuses, [507])
        self.assertEqual(self.connection.answer.headers[b"connection"], b"close")
        self.assertTrue(self.connection.transport.is_ended)

    def test_h29_a_body_cut_by_fin_fails_and_is_answered(self) -> None:
        """The handler learns it first; what it answers then is not sent."""
        request, _, done = self.start(post(50))
        gone = request.notifyFinish()

        def answer_all_the_same(failure: Failure) -> Failure:
            request.respond(200)
            request.abort()
            return failure

        done.addErrback(answer_all_the_same)
        self.connection.send(b"12345")
        self.connection.half_close()
        self.failureResultOf(done, BlobTruncated)
        self.failureResultOf(gone, BlobTruncated)
        self.assertEqual(self.connection.answer.status, 400)
        self.assertFalse(self.connection.transport.is_aborted)
        self.assertTrue(self.connection.transport.is_ended)

    def test_h29_chunks_cut_by_fin_fail(self) -> None:
        """A missing last chunk is a missing end."""
        _, _, done = self.start(b"POST /a" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")
        self.connection.half_close()
        self.failureResultOf(done, BlobTruncated)

    def test_h29_a_body_cut_by_a_reset_fails(self) -> None:
        """And so does the request."""
        request, _, done = self.start(post(50))
        gone = request.notifyFinish()
        self.connection.lose()
        self.failureResultOf(done, BlobTruncated)
        self.failureResultOf(gone)
        request.respond(200)
        self.assertEqual(self.connection.received, b"")

    def test_a_body_that_failed_before_it_was_started_says_so_then(self) -> None:
        """Starting late does not wait for ever."""
        self.connection.send(post(50))
        request = self.leaf.requests[0]
        self.connection.lose()
        self.failureResultOf(request.body.startProducing(ScriptedConsumer()), BlobTruncated)

    def test_h66_a_whole_body_behind_which_the_client_ended_still_counts(self) -> None:
        """Also when the resource reads it only later."""
        self.connection.send(post(5) + b"12345")
        self.connection.half_close()
        request = self.leaf.requests[0]
        consumer = ScriptedConsumer()
        self.successResultOf(request.body.startProducing(consumer))
        self.assertEqual(consumer.payload, b"12345")
        request.respond(200, [], b"stored")
        self.assertEqual(self.connection.answer.body, b"stored")
        self.assertTrue(self.connection.transport.is_ended)

    def test_h40_a_chunked_body_that_passes_the_maximum_is_refused_while_it_comes(self) -> None:
        """413, and the handler learns it."""
        _, _, done = self.start(b"POST /a" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            self.connection.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        self.failureResultOf(done, BlobTooLarge)
        self.assertEqual(self.connection.answer.status, 413)

    def test_a_stopped_body_never_fires(self) -> None:
        """As with every producer of Twisted."""
        request, _, done = self.start(post(10))
        request.body.stopProducing()
        self.connection.send(b"0123456789")
        self.assertNoResult(done)
        request.respond(200)
        self.assertFalse(self.connection.transport.is_ended)
        self.assertNoResult(done)

    def test_cancelling_stops_the_body(self) -> None:
        """Whoever waits for it may give up."""
        request, consumer, done = self.start(post(10))
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.connection.send(b"0123456789")
        self.assertEqual(consumer.payload, b"")
        request.respond(400)
        self.assertEqual(self.connection.answer.status, 400)

    def test_a_body_that_turns_bad_after_the_answer_began_aborts(self) -> None:
        """A second answer inside the first would be worse than none."""
        request, _, done = self.start(b"POST /a" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        request.begin(200, [], 10)
        request.write(b"01234")
        self.connection.send(b"zz\r\n")
        self.failureResultOf(done, BadInput)
        self.assertTrue(self.connection.transport.is_aborted)
        self.assertNotIn(b"400", self.connection.received)


class EarlyAnswers(SynchronousTestCase):
    """An answer before the body was read."""

    def setUp(self) -> None:
        """Connect to a resource that answers at once."""
        self.clock = Clock()
        self.leaf = Leaf(ok)
        self.connection = Connection(front_of(self.leaf, clock=self.clock))

    def test_the_rest_is_thrown_away_before_closing(self) -> None:
        """So that the client reads its answer instead of a reset; two seconds at most."""
        self.connection.send(post(1000) + b"x" * 10)
        self.assertEqual(self.connection.answer.headers[b"connection"], b"close")
        transport = self.connection.transport
        self.assertTrue(transport.has_ended)
        self.assertFalse(transport.disconnecting)
        self.connection.channel.writeConnectionLost()
        self.connection.send(GET)
        self.assertEqual(len(self.leaf.requests), 1)
        self.clock.advance(1.9)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(0.2)
        self.assertTrue(transport.disconnecting)

    def test_no_more_than_a_mebibyte_is_thrown_away(self) -> None:
        """Then the connection is closed, whatever the clock says."""
        self.connection.send(post(10**9))
        for _ in range(16):
            self.connection.send(b"x" * 65_536)
        self.assertFalse(self.connection.transport.disconnecting)
        self.connection.send(b"x")
        self.assertTrue(self.connection.transport.disconnecting)

    def test_the_client_that_ends_too_ends_the_lingering(self) -> None:
        """Nothing more can come."""
        self.connection.send(post(1000))
        self.connection.half_close()
        self.assertTrue(self.connection.transport.disconnecting)

    def test_a_body_that_is_here_already_is_skipped(self) -> None:
        """The connection stays, and the next request is the next request."""
        self.connection.send(post(len(GET)) + GET + GET)
        self.assertEqual(self.connection.statuses, [200, 200])
        self.assertEqual([request.method for request in self.leaf.requests], [b"POST", b"GET"])
        self.assertFalse(self.connection.transport.is_ended)


class Answers(SynchronousTestCase):
    """How answers leave."""

    def setUp(self) -> None:
        """Connect to a resource that does nothing by itself."""
        self.clock = Clock()
        self.leaf = Leaf(lambda request: None)
        self.connection = Connection(front_of(self.leaf, clock=self.clock))

    def request(self, head: bytes = GET) -> Request:
        """Send a head, and give its request."""
        self.connection.send(head)
        return self.leaf.requests[-1]

    def test_an_answer_is_poured(self) -> None:
        """Length first, then the bytes of a producer."""
        request = self.request()
        request.begin(200, [(b"A", b"b")], 6)
        self.successResultOf(Deferred.fromCoroutine(pour(BytesBody(b"abc", b"def"), request)))
        request.finish()
        self.assertEqual(self.connection.answer.body, b"abcdef")
        self.assertEqual(self.connection.answer.headers[b"a"], b"b")
        self.successResultOf(request.notifyFinish())

    def test_an_answer_without_a_length_is_chunked(self) -> None:
        """Its end shows in the framing."""
        request = self.request()
        request.begin(200, [], None)
        request.write(b"abc")
        request.write(b"")
        request.write(b"def")
        request.finish()
        self.assertEqual(self.connection.answer.headers[b"transfer-encoding"], b"chunked")
        self.assertEqual(self.connection.answer.body, b"abcdef")

    def test_an_answer_without_a_length_ends_with_the_connection_in_http_10(self) -> None:
        """There are no chunks there."""
        request = self.request(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        request.begin(200, [], None)
        request.write(b"abc")
        request.finish()
        self.assertTrue(self.connection.received.endswith(b"Connection: close\r\n\r\nabc"))
        self.assertNotIn(b"chunked", self.connection.received)
        self.assertTrue(self.connection.transport.is_ended)

    def test_head_is_get_without_the_body(self) -> None:
        """Same headers, however the answer is given."""
        head = b"HEAD" + GET[3:]
        self.request(head).respond(200, [(b"A", b"b")], b"abc")
        request = self.request(head)
        request.begin(200, [(b"A", b"b")], 3)
        request.write(b"abc")
        request.finish()
        one, two = self.connection.received.split(b"\r\n\r\n")[:2]
        self.assertEqual(one, two)
        self.assertIn(b"Content-Length: 3", one)
        self.assertFalse(self.connection.transport.is_ended)

    def test_some_statuses_have_neither_body_nor_length(self) -> None:
        """204 and 304."""
        for status in (204, 304):
            self.connection.transport.clear()
            self.request().respond(status, [(b"ETag", b'"a"')], b"")
            self.assertNotIn(b"content-length", self.connection.answer.headers)
            self.assertEqual(self.connection.answer.body, b"")

    def test_a_wrong_length_aborts(self) -> None:
        """Never a complete answer with fewer bytes, nor with more."""
        for pieces in ((b"ab",), (b"ab", b"cd"), ()):
            connection = Connection(front_of(self.leaf))
            connection.send(GET)
            request = self.leaf.requests[-1]
            request.begin(200, [], 3)
            for piece in pieces:
                request.write(piece)
            request.finish()
            self.assertTrue(connection.transport.is_aborted)
            self.assertNotIn(b"abcd", connection.received)

    def test_until_a_byte_is_out_another_answer_may_be_given(self) -> None:
        """A source that fails before its first byte is an error answer and no cut connection."""
        request = self.request()
        request.begin(200, [(b"A", b"b")], 6)
        self.assertFalse(request.has_begun)
        request.respond(503, [], b"no")
        self.assertTrue(request.has_begun)
        self.assertEqual(self.connection.answer.status, 503)
        self.assertNotIn(b"a", self.connection.answer.headers)

    def test_after_the_first_byte_only_an_abort_is_left(self) -> None:
        """A second answer is refused, the abort appends nothing."""
        request = self.request()
        request.begin(200, [], 6)
        request.write(b"abc")
        self.assertRaises(RuntimeError, request.respond, 503)
        gone = request.notifyFinish()
        request.abort()
        self.assertTrue(self.connection.transport.is_aborted)
        self.assertTrue(self.connection.received.endswith(b"\r\n\r\nabc"))
        self.failureResultOf(gone)

    def test_a_header_with_a_line_end_is_no_answer(self) -> None:
        """It would be two headers."""
        request = self.request()
        for value in (b"b\r\nC: d", b"b\nC: d", b"b\rC: d"):
            self.assertRaises(ValueError, request.respond, 200, [(b"A", value)])
        request.respond(500)
        self.assertEqual(self.connection.answer.status, 500)

    def test_a_client_that_does_not_read_pauses_the_producer(self) -> None:
        """And reading resumes it."""
        request = self.request()
        request.begin(200, [], None)
        producer = BytesBody(*[b"x" * 10] * 10)
        self.connection.channel.pauseProducing()
        pouring = Deferred.fromCoroutine(pour(producer, request))
        self.assertEqual(self.connection.received, b"")
        self.connection.channel.resumeProducing()
        self.successResultOf(pouring)
        request.finish()
        self.assertEqual(self.connection.answer.body, b"x" * 100)

    def test_a_producer_is_paused_in_mid_answer(self) -> None:
        """When the transport has enough, and resumed when it wants more."""
        request = self.request()
        request.begin(200, [], None)
        told: list[str] = []

        class Producer(BytesBody):
            def pauseProducing(self) -> None:
                told.append("pause")

            def resumeProducing(self) -> None:
                told.append("resume")

        request.registerProducer(Producer(b""), True)
        self.connection.channel.pauseProducing()
        self.connection.channel.resumeProducing()
        self.assertEqual(told, ["pause", "resume"])

    def test_h54_a_client_that_does_not_read_gets_no_more_answers(self) -> None:
        """Pipelined requests wait until it has read what was written."""
        self.connection.channel.pauseProducing()
        self.connection.send(GET * 2)
        self.assertEqual(self.leaf.requests, [])
        self.connection.channel.resumeProducing()
        self.assertEqual(len(self.leaf.requests), 1)

    def test_h54_requests_behind_a_slow_one_wait_unparsed(self) -> None:
        """64 KiB at most, then the transport is paused; answers come in order."""
        first = self.request()
        self.connection.send(GET * 3)
        self.assertEqual(len(self.leaf.requests), 1)
        self.connection.send(b"GET /" + b"x" * 65_536)
        self.assertEqual(self.connection.transport.producerState, "paused")
        first.respond(200, [], b"first")
        self.assertEqual(self.connection.transport.producerState, "paused")
        for number in (b"1", b"2", b"3"):
            self.leaf.requests[-1].respond(200, [], number)
        answers = self.connection.answers
        self.assertEqual([answer.body for answer in answers[:4]], [b"first", b"1", b"2", b"3"])
        self.assertEqual(answers[4].status, 414)

    def test_a_client_that_leaves_has_one_thing_called(self) -> None:
        """Once; and at once where it has left before that was asked for."""
        request = self.request()
        called: list[str] = []
        request.when_gone(lambda: called.append("left"))
        self.assertEqual(called, [])
        self.connection.lose()
        self.assertEqual(called, ["left"])
        request.when_gone(lambda: called.append("had left"))
        self.assertEqual(called, ["left", "had left"])

    def test_a_client_that_has_its_answer_may_leave(self) -> None:
        """Nobody is told."""
        request = self.request()
        request.when_gone(lambda: self.fail("it has its answer"))
        request.respond(200)
        self.connection.lose()

    def test_a_client_that_leaves_stops_the_producer(self) -> None:
        """And what is still said has no effect."""
        request = self.request()
        gone = request.notifyFinish()
        request.begin(200, [], None)
        stopped: list[str] = []

        class Producer(BytesBody):
            def stopProducing(self) -> None:
                stopped.append("stopped")

        request.registerProducer(Producer(b""), True)
        self.connection.lose()
        self.assertEqual(stopped, ["stopped"])
        self.failureResultOf(gone)
        self.failureResultOf(request.notifyFinish())
        request.write(b"x")
        request.finish()
        request.registerProducer(Producer(b""), True)
        self.assertEqual(stopped, ["stopped", "stopped"])
        self.assertEqual(self.connection.received, b"")

    def test_pull_producers_are_pulled_until_the_client_has_enough(self) -> None:
        """And again when it has read."""
        request = self.request()
        request.begin(200, [], None)
        channel = self.connection.channel

        class Pulled:
            pulls = 0

            def resumeProducing(self) -> None:
                self.pulls += 1
                request.write(b"x")
                if self.pulls == 3:
                    channel.pauseProducing()
                if self.pulls == 5:
                    request.unregisterProducer()
                    request.finish()

            def stopProducing(self) -> None:
                raise AssertionError("nobody left")

        pulled = Pulled()
        request.registerProducer(pulled, False)
        self.assertEqual(pulled.pulls, 3)
        channel.resumeProducing()
        self.assertEqual(self.connection.answer.body, b"xxxxx")

    def test_h66_an_answer_still_goes_out_when_the_client_has_ended(self) -> None:
        """FIN behind a request is no farewell."""
        request = self.request()
        self.connection.half_close()
        self.assertFalse(self.connection.transport.is_ended)
        request.respond(200, [], b"whole")
        self.assertEqual(self.connection.answer.body, b"whole")
        self.assertTrue(self.connection.transport.is_ended)

    def test_h66_pipelined_requests_before_the_fin_are_answered(self) -> None:
        """All that were whole; what was not is dropped."""
        self.connection.send(GET + GET + b"GET /cut")
        self.connection.half_close()
        self.leaf.requests[0].respond(200)
        self.leaf.requests[1].respond(200)
        self.assertEqual(self.connection.statuses, [200, 200])
        self.assertTrue(self.connection.transport.is_ended)
