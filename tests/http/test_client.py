"""What the client sends, what it takes for an answer, and what it makes of a server that cannot be reached."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,  # noqa: A004
    DNSLookupError,
)
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.python.failure import Failure

from sos.http.answer import Answer
from sos.http.bodies import BytesBody, BytesSource
from sos.http.client import Client
from sos.words.errors import BadInput, BlobTruncated, DigestMismatch, ServerUnavailable, StoreFull
from tests.http.client_case import CHUNKED, HELLO, ORIGIN, ClientTestCase, ScriptedBody
from tests.http.test_answer_reader import REFUSED
from tests.support import ScriptedConsumer
from tests.support_wire import ScriptedServer


class Requests(ClientTestCase):
    """What goes out."""

    def test_a_request_is_one_write_with_host_and_headers(self) -> None:
        """The head names the server, and has the headers in their order."""
        self.ask(headers=[(b"X-Sos-Protocol", b"1")])
        self.assertEqual(self.last.sent, b"GET /blob/a HTTP/1.1\r\nHost: member:3001\r\nX-Sos-Protocol: 1\r\n\r\n")

    def test_a_body_of_known_length_goes_behind_its_length(self) -> None:
        """A source says how long its bodies are."""
        self.ask(b"POST", source=BytesSource([b"hel", b"lo"]))
        self.assertTrue(self.last.sent.endswith(b"\r\nContent-Length: 5\r\n\r\nhello"))

    def test_a_body_of_unknown_length_goes_out_in_chunks(self) -> None:
        """Each piece is a chunk, and the last one is empty."""
        body = ScriptedBody()
        self.ask(b"POST", body=body)
        body.consumer.write(b"0123456789")
        body.consumer.write(b"")
        body.done.callback(None)
        self.assertTrue(
            self.last.sent.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"), self.last.sent
        )

    def test_an_empty_body_has_the_length_0(self) -> None:
        """With a body of no bytes, and with no body at all where the method has one."""
        for more in ({"source": BytesSource([])}, {"body": BytesBody()}, {}):
            self.ask(b"POST", **more)
            self.assertTrue(self.last.sent.endswith(b"\r\nContent-Length: 0\r\n\r\n"), more)

    def test_a_length_that_the_caller_knows_stands_in_for_one_that_the_body_does_not(self) -> None:
        """A relay without a length is framed by the entry's."""
        self.ask(b"POST", body=ScriptedBody(), length=3)
        self.assertIn(b"Content-Length: 3\r\n", self.last.sent)

    def test_line_ends_do_not_get_into_a_head(self) -> None:
        """Neither in the path nor in a header; the body is let go of."""
        for path, header in (
            (b"/a b", b"x"),
            (b"/a\r\nX: y", b"x"),
            (b"/a", b"x\r\nHost: evil"),
            (b"/a", b"\0"),
            (b"a", b""),
        ):
            body = ScriptedBody()
            asking = self.client.request(b"POST", ORIGIN, path, [(b"X-A", header)], body=body)
            self.failureResultOf(Deferred.fromCoroutine(asking), BadInput)
            self.assertEqual(body.calls, ["stop"])
        self.assertEqual(self.server.connections, [])


class Answers(ClientTestCase):
    """What comes back."""

    def test_a_small_answer_is_whole_when_its_head_is_there(self) -> None:
        """Status, headers in lower case, and bytes, without another turn."""
        answer = self.answered(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\nX-A:  b \r\n\r\nno")
        self.assertEqual((answer.status, answer.length, answer.header(b"x-a")), (404, 2, b"b"))
        self.assertIsNone(answer.header(b"x-b"))
        self.assertEqual(self.bytes_of(answer), b"no")
        self.assertFalse(answer.was_early)

    def test_a_body_arrives_byte_by_byte(self) -> None:
        """With a length and in chunks, with an extension and a trailer that mean nothing."""
        for reply in (HELLO, CHUNKED + b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Late: 1\r\n\r\n"):
            asking = self.ask()
            head, _, rest = reply.partition(b"\r\n\r\n")
            self.last.feed(head + b"\r\n\r\n", 1)
            answer = self.successResultOf(asking)
            consumer = ScriptedConsumer()
            done = answer.body.startProducing(consumer)
            self.last.feed(rest, 1)
            self.successResultOf(done)
            self.assertEqual(consumer.payload, b"hello")
            self.assertIsNone(answer.header(b"x-late"))
        self.assertEqual(len(self.server.connections), 1)

    def test_interim_answers_are_passed_over(self) -> None:
        """Ten of them, with headers that are not the answer's."""
        answer = self.answered(b"HTTP/1.1 103 Early\r\nX-A: b\r\n\r\n" * 10 + HELLO)
        self.assertEqual(self.bytes_of(answer), b"hello")
        self.assertIsNone(answer.header(b"x-a"))

    def test_an_answer_of_http_1_0_with_a_length_is_taken_and_its_connection_is_not(self) -> None:
        """It said that it closes."""
        answer = self.answered(HELLO.replace(b"1.1", b"1.0"))
        self.assertEqual(self.bytes_of(answer), b"hello")
        self.assertTrue(self.last.is_dropped)

    def test_nobody_follows_a_redirect(self) -> None:
        """B8: it is an answer like others, and no other server is asked."""
        answer = self.answered(b"HTTP/1.1 301 Moved\r\nLocation: http://canary/\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(answer.status, 301)
        self.assertEqual(len(self.server.connections), 1)

    def test_nobody_unpacks_a_body(self) -> None:
        """What says that it is gzip comes back as it came."""
        answer = self.answered(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08")
        self.assertEqual(self.bytes_of(answer), b"\x1f\x8b\x08")


class BadAnswers(ClientTestCase):
    """B1-B3, B11, B13: what comes is no answer, or not the whole of one."""

    def all_of(self, asking: Deferred[Answer]) -> Deferred[Any]:
        """Give what fires when the body was poured, where there is one, and else when the request failed."""
        if asking.called and isinstance(asking.result, Answer):
            pouring: Deferred[Any] = self.successResultOf(asking).body.startProducing(ScriptedConsumer())
            return pouring
        return asking

    def test_what_no_blob_server_sends_fails_the_request(self) -> None:
        """Or its body, where the head was good; in one segment and byte by byte. The connection is dropped."""
        for row, reply in REFUSED.items():
            for piece in (None, 1):
                asking = self.ask()
                self.last.feed(reply, piece)
                self.refused(self.all_of(asking))
                self.assertTrue(self.last.is_dropped, row)
                self.last.close()

    def test_an_answer_that_ends_early_fails(self) -> None:
        """B1: in the head, in the body, between two chunks."""
        for reply in (HELLO[:20], HELLO[:-1], CHUNKED + b"5\r\nhel", CHUNKED + b"5\r\nhello\r\n"):
            for piece in (None, 1):
                for reason in (None, ConnectionLost()):
                    asking = self.ask()
                    self.last.feed(reply, piece)
                    done = (
                        asking if not asking.called else self.successResultOf(asking).body.startProducing(ScriptedConsumer())
                    )
                    self.last.close(reason)
                    self.assertIn("in the middle of its answer", str(self.refused(done)))

    def test_a_body_that_failed_before_it_was_begun_fails_when_it_is(self) -> None:
        """Nobody missed it."""
        asking = self.ask()
        self.last.feed(HELLO[:-1])
        answer = self.successResultOf(asking)
        self.last.close()
        self.refused(answer.body.startProducing(ScriptedConsumer()))


class LateServer(ScriptedServer):
    """Accepts a connection at the moment at which the attempt is called off."""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Begin, and be late."""

        def accept(attempt: Deferred[IProtocol]) -> None:
            super(LateServer, self).connect(protocolFactory).chainDeferred(attempt)

        return Deferred(accept)


class Connecting(ClientTestCase):
    """Getting a connection at all."""

    def test_each_way_of_failing_has_its_words(self) -> None:
        """A refusal, a name that is none, anything else; and the body is let go of."""
        for error, words in (
            (ConnectionRefusedError(), "refused"),
            (DNSLookupError(), "cannot be resolved"),
            (ConnectError(string=Failure(ConnectionDone())), "no connection (it broke while it was made)"),
            (ConnectError(osError=errno.EADDRNOTAVAIL), "assign requested address"),
            (ValueError("odd"), "ValueError: odd"),
        ):
            self.server.refusal = error
            body = ScriptedBody()
            self.assertIn(words, str(self.refused(self.ask(b"POST", body=body))))
            self.assertEqual(body.calls, ["stop"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_connection_that_takes_two_seconds_is_given_up(self) -> None:
        """The attempt is cancelled."""
        self.server.pending = Deferred()
        asking = self.ask()
        self.clock.advance(1.9)
        self.assertNoResult(asking)
        self.clock.advance(0.1)
        self.assertIn("within 2 s", str(self.refused(asking)))

    def test_a_request_that_is_cancelled_while_connecting_stops_connecting(self) -> None:
        """It ends as a cancellation, not as a failure of the server."""
        cancelled: list[Any] = []
        self.server.pending = Deferred(cancelled.append)
        body = ScriptedBody()
        asking = self.ask(b"POST", body=body)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual((len(cancelled), body.calls), (1, ["stop"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_name_that_was_being_looked_up_does_not_count_as_unknown(self) -> None:
        """Twisted says so of a look-up that is called off; the server has done nothing wrong, or was too slow."""
        for seconds, kind in ((0.0, CancelledError), (2.1, ServerUnavailable)):
            self.server.pending = Deferred(lambda attempt: attempt.errback(DNSLookupError()))
            asking = self.ask()
            self.clock.advance(seconds)
            asking.cancel()
            self.assertNotIn("resolved", str(self.failureResultOf(asking, kind).value))

    def test_a_connection_that_comes_nevertheless_is_dropped(self) -> None:
        """Nobody waits for it."""
        self.server = LateServer()
        self.client = Client(self.server, self.clock)
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertTrue(self.last.is_dropped)

    def test_closing_ends_attempts_to_connect(self) -> None:
        """They fail with the reason."""
        self.server.pending = Deferred()
        asking = self.ask()
        self.successResultOf(self.client.close())
        self.assertIn("closed", str(self.refused(asking)))


class Bodies(ClientTestCase):
    """What is sent is what was said."""

    def test_a_body_that_fails_is_not_the_servers_fault(self) -> None:
        """Its own error comes out, and the server never sees a whole body."""
        body = ScriptedBody()
        asking = self.ask(b"POST", body=body)
        body.consumer.write(b"x")
        body.done.errback(StoreFull("of the source"))
        self.failureResultOf(asking, StoreFull)
        self.assertTrue(self.last.is_dropped)
        self.assertFalse(self.last.sent.endswith(b"0\r\n\r\n"))

    def test_a_body_shorter_than_it_said_is_cut_short(self) -> None:
        """The server never takes it for whole."""
        body = ScriptedBody(3)
        asking = self.ask(b"POST", body=body)
        body.consumer.write(b"xy")
        body.done.callback(None)
        self.failureResultOf(asking, BlobTruncated)
        self.assertTrue(self.last.is_dropped)

    def test_a_body_longer_than_it_said_does_not_spill(self) -> None:
        """What is beyond would be the next request."""
        body = ScriptedBody(3)
        asking = self.ask(b"POST", body=body)
        body.consumer.write(b"GET / HTTP/1.1\r\n\r\n")
        self.failureResultOf(asking, DigestMismatch)
        self.assertTrue(self.last.is_dropped)
        self.assertTrue(self.last.sent.endswith(b"\r\n\r\n"))
        self.assertEqual(body.calls, ["stop"])

    def test_an_early_answer_stops_the_body_and_says_that_it_was_early(self) -> None:
        """B5: 200 or 507 before all was sent; its body can be read, and the connection is closed afterwards."""
        for reply in (HELLO, HELLO.replace(b"200 OK", b"507 Full")):
            for piece in (None, 1):
                body = ScriptedBody(10)
                asking = self.ask(b"POST", body=body)
                body.consumer.write(b"123")
                head, _, rest = reply.partition(b"\r\n\r\n")
                self.last.feed(head + b"\r\n\r\n", piece)
                answer = self.successResultOf(asking)
                self.last.feed(rest, piece)
                self.assertTrue(answer.was_early)
                self.assertEqual(answer.sent, 3)
                self.assertEqual(body.calls, ["stop"])
                self.assertEqual(self.bytes_of(answer), b"hello")
                self.assertTrue(self.last.is_dropped)

    def test_an_answer_before_the_last_chunk_is_early(self) -> None:
        """Without a length only the end of the body says that it is whole."""
        body = ScriptedBody()
        asking = self.ask(b"POST", body=body)
        body.consumer.write(b"123")
        self.last.feed(HELLO)
        self.assertTrue(self.successResultOf(asking).was_early)

    def test_an_answer_behind_the_last_byte_is_not_early(self) -> None:
        """Though the body has not yet noticed that it is at its end."""
        body = ScriptedBody(3)
        asking = self.ask(b"POST", body=body)
        body.consumer.write(b"123")
        self.last.feed(HELLO)
        self.assertFalse(self.successResultOf(asking).was_early)
