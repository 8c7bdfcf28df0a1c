"""The front against what clients send: torture part H, in one segment and byte by byte."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.http.bodies import collect
from sos.http.limits import Limits
from sos.http.request import Request
from sos.words.errors import SOSError
from tests.corpus.bodies import EXACT, REFUSED_BODIES
from tests.corpus.heads import REFUSED_HEADS
from tests.corpus.rows import HOST, MOST, Read, Refused, get
from tests.http.front_client import Connection, Leaf, front_of, ok


def collecting(request: Request) -> None:
    """Take the whole body, and answer it."""
    collected = Deferred.fromCoroutine(collect(request.body, MOST))
    collected.addCallback(lambda body: request.respond(200, [], body))
    collected.addErrback(lambda failure: failure.trap(SOSError) and None)


class RefusedRequests(SynchronousTestCase):
    """What is answered by the front alone."""

    def check(self, row: Refused, is_bytewise: bool) -> None:
        """One error answer, one closed connection, and nothing behind it was looked at."""
        leaf = Leaf(collecting)
        connection = Connection(front_of(leaf, Limits(most_body=MOST)))
        (connection.send_bytewise if is_bytewise else connection.send)(row.data)
        connection.send(get(b"/smuggled"))
        answer = connection.answer
        self.assertIn(answer.status, row.statuses, row.name)
        self.assertEqual(answer.headers[b"connection"], b"close", row.name)
        self.assertEqual(answer.headers[b"content-type"], b"application/json", row.name)
        self.assertEqual(list(json.loads(answer.body)), ["error"], row.name)
        self.assertTrue(connection.transport.is_ended, row.name)
        self.assertEqual(len(leaf.requests), int(row.in_body), row.name)
        for request in leaf.requests:
            self.failureResultOf(request.notifyFinish(), SOSError)

    def test_bad_heads_in_one_segment(self) -> None:
        """Every bad head is refused, and no resource hears of it."""
        for row in REFUSED_HEADS:
            self.check(row, is_bytewise=False)

    def test_bad_heads_byte_by_byte(self) -> None:
        """Segment borders change nothing."""
        for row in REFUSED_HEADS:
            self.check(row, is_bytewise=True)

    def test_bad_bodies_in_one_segment(self) -> None:
        """A body that turns bad ends its request: the resource learns it, the front answers."""
        for row in REFUSED_BODIES:
            self.check(row, is_bytewise=False)

    def test_bad_bodies_byte_by_byte(self) -> None:
        """Segment borders change nothing."""
        for row in REFUSED_BODIES:
            if len(row.data) < 100_000:
                self.check(row, is_bytewise=True)


class TakenRequests(SynchronousTestCase):
    """What reaches a resource, and how."""

    def check(self, row: Read, is_bytewise: bool) -> None:
        """Each request arrives once, in order, with its very target and body."""
        leaf = Leaf(collecting)
        connection = Connection(front_of(leaf, Limits(most_body=MOST)))
        (connection.send_bytewise if is_bytewise else connection.send)(row.data)
        self.assertEqual(
            [(request.method, request.uri) for request in leaf.requests], [one[:2] for one in row.requests], row.name
        )
        answers = [answer for answer in connection.answers if answer.status != 100]
        self.assertEqual(
            [(answer.status, answer.body) for answer in answers], [(200, one[2]) for one in row.requests], row.name
        )
        self.assertFalse(connection.transport.is_ended, row.name)
        names = {pair[0] for request in leaf.requests for pair in request.raw_headers}
        self.assertTrue(names.isdisjoint({b"authorization", b"x-mime-type"}), row.name)

    def test_in_one_segment(self) -> None:
        """Requests are read exactly."""
        for row in EXACT:
            self.check(row, is_bytewise=False)

    def test_byte_by_byte(self) -> None:
        """Segment borders change nothing."""
        for row in EXACT:
            self.check(row, is_bytewise=True)

    def test_h8_options_of_the_whole_server_needs_no_resource(self) -> None:
        """The front answers it, without a word on CORS."""
        leaf = Leaf(ok)
        connection = Connection(front_of(leaf))
        connection.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        self.assertEqual(connection.statuses, [204])
        self.assertNotIn(b"access-control", connection.received.lower())
        self.assertEqual(leaf.requests, [])

    def test_h9_empty_lines_keep_nothing_and_end_at_the_head_deadline(self) -> None:
        """70 KB of CRLF are no request."""
        clock = Clock()
        connection = Connection(front_of(Leaf(ok), clock=clock))
        connection.send(b"\r\n" * 35_000)
        self.assertEqual(connection.channel._buffer, b"")
        clock.advance(9.9)
        self.assertFalse(connection.transport.is_ended)
        clock.advance(0.2)
        self.assertTrue(connection.transport.is_ended)
        self.assertEqual(connection.received, b"")

    def test_h18_values_above_ascii_come_byte_for_byte(self) -> None:
        """Nothing is decoded on the way."""
        leaf = Leaf(ok)
        Connection(front_of(leaf)).send(get(b"/a", b"X-Name: \x80\xff "))
        self.assertEqual(leaf.requests[0].header(b"x-name"), b"\x80\xff")
        self.assertEqual(leaf.requests[0].raw_headers[-1], (b"x-name", b"\x80\xff"))

    def test_lists_in_several_lines_are_one_value(self) -> None:
        """Headers that may come twice are joined, as RFC 9110 has it."""
        leaf = Leaf(ok)
        lines = (b"If-None-Match: a", b"If-None-Match: b", b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-For: 5.6.7.8")
        Connection(front_of(leaf)).send(get(b"/a", *lines, b"Cookie: a=b", b"Cookie: c=d"))
        (request,) = leaf.requests
        self.assertEqual(request.header(b"if-none-match"), b"a, b")
        self.assertEqual(request.header(b"x-forwarded-for"), b"1.2.3.4, 5.6.7.8")
        self.assertEqual((request.getCookie(b"a"), request.getCookie(b"c")), (b"b", b"d"))

    def test_h22_close_closes_wherever_it_is_in_the_list(self) -> None:
        """And what comes behind it is not read."""
        for value in (b"close", b"close,foo", b"foo, Close"):
            leaf = Leaf(ok)
            connection = Connection(front_of(leaf))
            connection.send(get(b"/a", b"Connection: " + value) + get(b"/b"))
            self.assertEqual(connection.answer.headers[b"connection"], b"close")
            self.assertTrue(connection.transport.is_ended)
            self.assertEqual(len(leaf.requests), 1)

    def test_http_10_closes_unless_asked_to_keep_alive(self) -> None:
        """Each version has its own default."""
        connection = Connection(front_of(Leaf(ok)))
        connection.send(b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        self.assertEqual(connection.answer.headers[b"connection"], b"keep-alive")
        self.assertFalse(connection.transport.is_ended)
        connection.send(b"GET /a HTTP/1.0\r\n\r\n")
        self.assertEqual(connection.answers[1].headers[b"connection"], b"close")
        self.assertTrue(connection.transport.is_ended)

    def test_every_answer_says_who_and_when(self) -> None:
        """No version, the date of the wall clock, no sniffing."""
        connection = Connection(front_of(Leaf(ok)))
        connection.send(get(b"/a") + b"bad\r\n\r\n")
        for answer in connection.answers:
            self.assertEqual(answer.headers[b"server"], b"sos")
            self.assertEqual(answer.headers[b"date"], b"Tue, 14 Nov 2023 22:13:20 GMT")
            self.assertEqual(answer.headers[b"x-content-type-options"], b"nosniff")
