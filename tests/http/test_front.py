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
from tests.http.front_client import Connection, Leaf, front_of, ok

HOST = b"Host: localhost\r\n"


def get(target: bytes, *lines: bytes) -> bytes:
    """Write a GET with more header lines."""
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Write a POST with more header lines."""
    return b"POST /a HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    """Write a chunked POST whose framed body is given."""
    return post(b"Transfer-Encoding: chunked", body=body)


MOST = 100_000

REFUSED: list[tuple[str, bytes, set[int]]] = [
    ("H1 no version", b"GET /a\r\n", {400, 505}),
    ("H1 no version, whole head", b"GET /a\r\n\r\n", {400, 505}),
    ("H1 HTTP/0.9", b"GET /a HTTP/0.9\r\n" + HOST + b"\r\n", {400, 505}),
    ("H1 HTTP/2.0", b"GET /a HTTP/2.0\r\n" + HOST + b"\r\n", {400, 505}),
    ("H1 RTSP", b"GET /a RTSP/1.0\r\n\r\n", {400, 505}),
    ("H2 HTTP/1.2", b"GET /a HTTP/1.2\r\n\r\n", {400}),
    ("H2 HTTP/1.11", b"GET /a HTTP/1.11\r\n\r\n", {400}),
    ("H2 http/1.1", b"GET /a http/1.1\r\n\r\n", {400}),
    ("H2 preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    ("H2 TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    ("H2 PROXY", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", {400}),
    ("H3 TAB", b"GET /a\tb HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("H3 space in target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("H3 trailing space", b"GET /a HTTP/1.1 \r\n" + HOST + b"\r\n", {400}),
    ("H3 two spaces", b"GET  /a HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("H4 NUL", get(b"/a\0"), {400}),
    ("H4 control", get(b"/a\x01"), {400}),
    ("H4 DEL", get(b"/a\x7f"), {400}),
    ("H4 0xFF", get(b"/a\xff"), {400}),
    ("H5 8 KiB + 1", get(b"/" + b"a" * 8192), {414}),
    ("H5 17 KiB", get(b"/" + b"a" * 17 * 1024), {414}),
    ("H6 long method", b"G" * 3000 + b" /a HTTP/1.1\r\n\r\n", {400, 501}),
    ("H6 get", b"get /a HTTP/1.1\r\n\r\n", {400, 501}),
    ("H6 G@T", b"G@T /a HTTP/1.1\r\n\r\n", {400, 501}),
    ("H7 CONNECT", b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", {405}),
    ("H10 bare LF", b"GET /a HTTP/1.1\nHost: x\n\n", {400}),
    ("H10 bare LF, request line", b"GET /a HTTP/1.1\n", {400}),
    ("H10 bare LF, no version", b"GET /a\n", {400, 505}),
    ("H10 bare LF, header", b"GET /a HTTP/1.1\r\nHost: x\n", {400}),
    ("H10 bare LF, empty line", b"GET /a HTTP/1.1\r\nHost: x\r\n\n", {400}),
    ("H10 bare LF before", b"\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    ("H11 no newline, request line", b"A" * 70_000, {400}),
    ("H11 no newline, target", b"GET /" + b"a" * 70_000, {414}),
    ("H11 no newline, header", b"GET /a HTTP/1.1\r\nX-A: " + b"a" * 70_000, {431}),
    ("H12 no Host", b"GET /a HTTP/1.1\r\n\r\n", {400}),
    ("H12 two Hosts", get(b"/a", b"Host: localhost"), {400}),
    ("H12 bad Host", b"GET /a HTTP/1.1\r\nHost: x y/@\r\n\r\n", {400}),
    ("H13 absolute form", get(b"http://evil/a"), {400}),
    ("H14 no slash", get(b"a"), {400}),
    ("H14 query only", get(b"?x"), {400}),
    ("H14 fragment", get(b"/a#frag"), {400}),
    ("H14 asterisk", get(b"*"), {400}),
    ("H15 no colon", get(b"/a", b"nocolon"), {400}),
    ("H15 empty name", get(b"/a", b": x"), {400}),
    ("H15 space before colon", get(b"/a", b"X : y"), {400}),
    ("H15 non-ASCII name", get(b"/a", b"\xe9: y"), {400}),
    ("H15 fold first", b"GET /a HTTP/1.1\r\n fold: x\r\n\r\n", {400}),
    ("H16 fold", get(b"/a", b"X-A: a", b" b"), {400}),
    ("H16 folded coding", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), {400}),
    ("H17 bare CR", get(b"/a", b"X-A: a\rb"), {400}),
    ("H17 NUL", get(b"/a", b"X-A: a\0b"), {400}),
    ("H17 control", get(b"/a", b"X-A: a\x0bb"), {400}),
    ("H17 DEL", get(b"/a", b"X-A: a\x7fb"), {400}),
    ("H19 101 headers", get(b"/a", *[b"A%d: x" % n for n in range(100)]), {431}),
    ("H19 16 KiB + 1", get(b"/a", b"A: " + b"x" * (16 * 1024 + 1 - len(get(b"/a", b"A: ")))), {431}),
    ("H20 Authorization", get(b"/a", b"Authorization: a", b"Authorization: b"), {400}),
    ("H20 Range", get(b"/a", b"Range: bytes=0-1", b"range: bytes=0-1"), {400}),
    ("H20 Content-Type", post(b"Content-Length: 0", b"Content-Type: a/b", b"Content-Type: a/b"), {400}),
    ("H20 X-", get(b"/a", b"X-Thing: a", b"X-THING: b"), {400}),
    ("H23 Upgrade with a body", post(b"Upgrade: h2c", b"Connection: Upgrade", b"Content-Length: 5", body=b"GET /"), {400}),
    ("H23 Upgrade, chunked", post(b"Upgrade: h2c", b"Connection: Upgrade", b"Transfer-Encoding: chunked"), {400}),
    ("H24 other expectation", post(b"Expect: foo", b"Content-Length: 5"), {417}),
    ("H24 too big", post(b"Expect: 100-continue", b"Content-Length: 100001"), {413}),
    *[
        (f"H25 length {value!r}", post(b"Content-Length: " + value, body=b"12345"), {400})
        for value in (b"-1", b"+5", b"0x5", b"0_5", b"5.0", b"1e1", b"", b"5,5", b"\xd9\xa5", b"\xb2")
    ],
    ("H25 two equal", post(b"Content-Length: 5", b"Content-Length: 5", body=b"12345"), {400}),
    ("H25 two", post(b"Content-Length: 5", b"Content-Length: 6", body=b"12345"), {400}),
    ("H26 over the maximum", post(b"Content-Length: 100001"), {413}),
    ("H26 2^63", post(b"Content-Length: %d" % 2**63), {413}),
    ("H26 2^64", post(b"Content-Length: %d" % 2**64), {400}),
    ("H26 10^30", post(b"Content-Length: %d" % 10**30), {400}),
    ("H27 5,000 digits", post(b"Content-Length: " + b"9" * 5000), {400}),
    ("H27 5,000 zeros", post(b"Content-Length: " + b"0" * 5000 + b"5", body=b"12345"), {400}),
    ("H28 no length", post(body=b"GET /b HTTP/1.1\r\n\r\n"), {411}),
    ("H28 PUT without a length", b"PUT /a HTTP/1.1\r\n" + HOST + b"\r\n", {411}),
    ("H31 GET with a body", get(b"/a", b"Content-Length: 5") + b"12345", {400}),
    ("H31 HEAD with a body", b"HEAD /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("H31 DELETE with a body", b"DELETE /a HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\nx", {400}),
    ("H32 CL+TE", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), {400}),
    ("H32 TE+CL", post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), {400}),
    ("H32 TE twice", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), {400}),
    *[
        (f"H32-34 coding {value!r}", post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"), {400, 501})
        for value in (
            b"chunked, identity",
            b"\x0bchunked",
            b"",
            b"gzip, chunked",
            b",chunked",
            b"identity",
            b"xchunked",
            b"chunked;q=1",
            b"chunked, chunked",
        )
    ],
    ("H32 TE :", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), {400}),
    ("H33 two lines", post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"), {400}),
    ("H35 chunked in 1.0", b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
]

BAD_BODIES: list[tuple[str, bytes, set[int]]] = [
    *[
        (f"H36 size {size!r}", chunked(size + b"\r\n12345\r\n0\r\n\r\n"), {400})
        for size in (b"0x5", b"-5", b"+5", b"0_5", b" 5", b"5 ", b"", b"g")
    ],
    ("H36 bare LF", chunked(b"5\n12345\r\n0\r\n\r\n"), {400}),
    ("H36 bare LF behind data", chunked(b"5\r\n12345\n0\r\n\r\n"), {400}),
    ("H36 no CRLF behind data", chunked(b"5\r\n123456\r\n0\r\n\r\n"), {400}),
    ("H36 size too large by one", chunked(b"6\r\n12345\r\n0\r\n\r\n"), {400}),
    ("H37 17 digits", chunked(b"0" * 16 + b"5\r\n12345"), {400}),
    ("H37 1,000 digits", chunked(b"F" * 1000), {400}),
    ("H37 1,000 zeros", chunked(b"0" * 1000 + b"5\r\n12345\r\n0\r\n\r\n"), {400}),
    ("H37 FFFFFFFFFFFFFFFF", chunked(b"FFFFFFFFFFFFFFFF\r\n"), {413}),
    ("H38 extension with CR", chunked(b"5;a=\rb\r\n12345\r\n0\r\n\r\n"), {400}),
    ("H38 extension with LF", chunked(b"5;a=\nb\r\n12345\r\n0\r\n\r\n"), {400}),
    ("H38 20 KiB of extension", chunked(b"5;" + b"a" * 20 * 1024 + b"\r\n12345\r\n0\r\n\r\n"), {400}),
    ("H38 extensions everywhere", chunked(b"1;abcdef\r\nx\r\n" * 50_000), {400}),
    ("H39 malformed trailer", chunked(b"0\r\nno colon\r\n\r\n"), {400}),
    ("H39 folded trailer", chunked(b"0\r\nA: b\r\n c\r\n\r\n"), {400}),
    ("H39 trailers over 8 KiB", chunked(b"0\r\n" + b"A: bcdefghij\r\n" * 600 + b"\r\n"), {400}),
    ("H40 over the maximum", chunked(b"1000\r\n" + b"a" * 4096 + b"\r\n186a0\r\n"), {413}),
]


def collecting(request: Request) -> None:
    """Take the whole body, and answer it."""
    collected = Deferred.fromCoroutine(collect(request.body, MOST))
    collected.addCallback(lambda body: request.respond(200, [], body))
    collected.addErrback(lambda failure: failure.trap(SOSError) and None)


class RefusedRequests(SynchronousTestCase):
    """What is answered by the front alone."""

    def check(self, name: str, data: bytes, statuses: set[int], is_bytewise: bool, is_dispatched: bool) -> None:
        """One error answer, one closed connection, and nothing behind it was looked at."""
        leaf = Leaf(collecting)
        connection = Connection(front_of(leaf, Limits(most_body=MOST)))
        (connection.send_bytewise if is_bytewise else connection.send)(data)
        connection.send(get(b"/smuggled"))
        answer = connection.answer
        self.assertIn(answer.status, statuses, name)
        self.assertEqual(answer.headers[b"connection"], b"close", name)
        self.assertEqual(answer.headers[b"content-type"], b"application/json", name)
        self.assertEqual(list(json.loads(answer.body)), ["error"], name)
        self.assertTrue(connection.transport.is_ended, name)
        self.assertEqual(len(leaf.requests), int(is_dispatched), name)
        for request in leaf.requests:
            self.failureResultOf(request.notifyFinish(), SOSError)

    def test_bad_heads_in_one_segment(self) -> None:
        """Every bad head is refused, and no resource hears of it."""
        for name, data, statuses in REFUSED:
            self.check(name, data, statuses, is_bytewise=False, is_dispatched=False)

    def test_bad_heads_byte_by_byte(self) -> None:
        """Segment borders change nothing."""
        for name, data, statuses in REFUSED:
            self.check(name, data, statuses, is_bytewise=True, is_dispatched=False)

    def test_bad_bodies_in_one_segment(self) -> None:
        """A body that turns bad ends its request: the resource learns it, the front answers."""
        for name, data, statuses in BAD_BODIES:
            self.check(name, data, statuses, is_bytewise=False, is_dispatched=True)

    def test_bad_bodies_byte_by_byte(self) -> None:
        """Segment borders change nothing."""
        for name, data, statuses in BAD_BODIES:
            if len(data) < 100_000:
                self.check(name, data, statuses, is_bytewise=True, is_dispatched=True)


TAKEN: list[tuple[str, bytes, list[tuple[bytes, bytes, bytes]]]] = [
    ("H8 OPTIONS", b"OPTIONS /a HTTP/1.1\r\n" + HOST + b"\r\n", [(b"OPTIONS", b"/a", b"")]),
    ("H7 PATCH", b"PATCH /a HTTP/1.1\r\n" + HOST + b"\r\n", [(b"PATCH", b"/a", b"")]),
    ("H7 PROPFIND", b"PROPFIND /a HTTP/1.1\r\n" + HOST + b"\r\n", [(b"PROPFIND", b"/a", b"")]),
    ("H9 CRLF before", b"\r\n\r\n" + get(b"/a"), [(b"GET", b"/a", b"")]),
    ("H14 nothing is normalised", get(b"//a//b/../%2e"), [(b"GET", b"//a//b/../%2e", b"")]),
    ("H5 8 KiB", get(b"/" + b"a" * 8191), [(b"GET", b"/" + b"a" * 8191, b"")]),
    ("H19 100 headers", get(b"/a", *[b"A%d: x" % n for n in range(99)]), [(b"GET", b"/a", b"")]),
    ("H19 16 KiB", get(b"/a", b"A: " + b"x" * (16 * 1024 - len(get(b"/a", b"A: ")))), [(b"GET", b"/a", b"")]),
    ("H21 underscores", post(b"Content_Length: 3", b"Content-Length: 5", body=b"12345"), [(b"POST", b"/a", b"12345")]),
    ("H22 Connection: Authorization", get(b"/a", b"Connection: Authorization") * 2, [(b"GET", b"/a", b"")] * 2),
    (
        "H23 Upgrade on GET",
        get(b"/a", b"Upgrade: h2c", b"Connection: Upgrade") + get(b"/b"),
        [(b"GET", b"/a", b""), (b"GET", b"/b", b"")],
    ),
    ("H24 agreed", post(b"Expect: 100-continue", b"Content-Length: 5", body=b"12345"), [(b"POST", b"/a", b"12345")]),
    (
        "H30 request behind a body",
        post(b"Content-Length: 5", body=b"12345") + get(b"/b"),
        [(b"POST", b"/a", b"12345"), (b"GET", b"/b", b"")],
    ),
    (
        "H30 request behind chunks",
        chunked(b"5\r\n12345\r\n1;x=y\r\n6\r\n0\r\n\r\n") + get(b"/b"),
        [(b"POST", b"/a", b"123456"), (b"GET", b"/b", b"")],
    ),
    ("H31 length 0", get(b"/a", b"Content-Length: 0"), [(b"GET", b"/a", b"")]),
    (
        "H39 trailers",
        chunked(b"1\r\nx\r\n0\r\nAuthorization: b\r\n\r\n") + get(b"/b"),
        [(b"POST", b"/a", b"x"), (b"GET", b"/b", b"")],
    ),
    ("H54 pipelining", b"".join(get(b"/%d" % n) for n in range(1000)), [(b"GET", b"/%d" % n, b"") for n in range(1000)]),
]


class TakenRequests(SynchronousTestCase):
    """What reaches a resource, and how."""

    def check(self, name: str, data: bytes, expected: list[tuple[bytes, bytes, bytes]], is_bytewise: bool) -> None:
        """Each request arrives once, in order, with its very target and body."""
        leaf = Leaf(collecting)
        connection = Connection(front_of(leaf, Limits(most_body=MOST)))
        (connection.send_bytewise if is_bytewise else connection.send)(data)
        self.assertEqual([(request.method, request.uri) for request in leaf.requests], [one[:2] for one in expected], name)
        answers = [answer for answer in connection.answers if answer.status != 100]
        self.assertEqual([(answer.status, answer.body) for answer in answers], [(200, one[2]) for one in expected], name)
        self.assertFalse(connection.transport.is_ended, name)
        self.assertNotIn(b"authorization", {pair[0] for request in leaf.requests for pair in request.raw_headers})

    def test_in_one_segment(self) -> None:
        """Requests are read exactly."""
        for name, data, expected in TAKEN:
            self.check(name, data, expected, is_bytewise=False)

    def test_byte_by_byte(self) -> None:
        """Segment borders change nothing."""
        for name, data, expected in TAKEN:
            self.check(name, data, expected, is_bytewise=True)

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
