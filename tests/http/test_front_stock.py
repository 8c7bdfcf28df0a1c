"""Resources written for twisted.web, served by the front as they are."""

from __future__ import annotations

import json
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File
from zope.interface.verify import verifyObject

from sos.http.limits import Limits
from sos.words.errors import BlobNotFound
from tests.http.front_client import Answer, Connection, Leaf, front_of, ok

try:
    from prometheus_client import CollectorRegistry, Gauge
    from prometheus_client.twisted import MetricsResource
except ImportError:
    has_prometheus = False
else:
    has_prometheus = True

HEAD = b" HTTP/1.1\r\nHost: localhost:9991\r\n"


class Page(Resource):
    """A leaf as stock ones are: bytes in, bytes out."""

    isLeaf = True

    def __init__(self, render: Callable[[Any], Any]) -> None:
        super().__init__()
        self._render = render

    def render_GET(self, request: Any) -> Any:
        return self._render(request)

    def render_POST(self, request: Any) -> Any:
        return self._render(request)


class StockResources(SynchronousTestCase):
    """The stock surface of a request."""

    def ask(self, root: Any, data: bytes, limits: Limits = Limits()) -> Connection:
        """Send a request to a resource."""
        connection = Connection(front_of(root, limits))
        connection.send(data)
        return connection

    def answer(self, root: Any, data: bytes, limits: Limits = Limits()) -> Answer:
        """Give the answer of a resource."""
        return self.ask(root, data, limits).answer

    def test_a_page(self) -> None:
        """What a resource returns is the body; HTML, as stock ones assume."""
        answer = self.answer(Page(lambda request: b"hello"), b"GET /" + HEAD + b"\r\n")
        self.assertEqual((answer.status, answer.body), (200, b"hello"))
        self.assertEqual(answer.headers[b"content-type"], b"text/html")
        self.assertEqual(answer.headers[b"content-length"], b"5")

    def test_head_of_a_page(self) -> None:
        """The same without the body."""
        connection = self.ask(Page(lambda request: b"hello"), b"HEAD /" + HEAD + b"\r\n")
        self.assertIn(b"Content-Length: 5\r\n", connection.received)
        self.assertTrue(connection.received.endswith(b"\r\n\r\n"))

    def test_an_unknown_method_is_405_with_the_known_ones(self) -> None:
        """H7, H50: and the connection stays."""
        connection = self.ask(Page(lambda request: b""), b"TRACE /" + HEAD + b"\r\n")
        self.assertEqual(connection.answer.status, 405)
        self.assertEqual(connection.answer.headers[b"allow"], b"GET, HEAD, POST")
        self.assertFalse(connection.transport.is_ended)

    def test_children_are_found_by_their_names(self) -> None:
        """The standard traversal, with decoded segments, prepath and postpath."""
        seen: list[Any] = []

        def render(request: Any) -> bytes:
            seen.append((request.prepath, request.postpath, request.path))
            return b""

        root = Resource()
        root.putChild(b"a b", Page(render))
        self.assertEqual(self.answer(root, b"GET /a%20b/c/d%2fe?f" + HEAD + b"\r\n").status, 200)
        self.assertEqual(seen, [([b"a b"], [b"c", b"d/e"], b"/a%20b/c/d%2fe")])
        self.assertEqual(self.answer(root, b"GET /other" + HEAD + b"\r\n").status, 404)

    def test_arguments_and_content(self) -> None:
        """The body is collected first; query and form both are arguments."""
        seen: list[Any] = []

        def render(request: Any) -> bytes:
            seen.append((request.args, request.content.read()))
            return b""

        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n"
        connection = Connection(front_of(Page(render)))
        connection.send(b"POST /?a=1&b=2&b=" + HEAD + form + b"a=3")
        self.assertEqual(seen, [])
        connection.send(b"&c=4")
        self.assertEqual(seen, [({b"a": [b"1", b"3"], b"b": [b"2", b""], b"c": [b"4"]}, b"a=3&c=4")])

    def test_too_many_arguments_are_refused(self) -> None:
        """H52: nobody parses 200,000 of them."""
        page = Page(lambda request: b"%d" % len(request.args))
        query = b"&".join(b"a=%d" % number for number in range(1001))
        self.assertEqual(self.answer(page, b"GET /?" + query + HEAD + b"\r\n").status, 400)

    def test_a_collected_body_has_a_limit(self) -> None:
        """413 at once where the length is told, while it comes where it is not; the resource does not run."""
        page = Page(lambda request: self.fail("it ran"))
        limits = Limits(collected_body=10)
        told = self.ask(page, b"POST /" + HEAD + b"Content-Length: 11\r\n\r\n", limits)
        untold = self.ask(page, b"POST /" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n", limits)
        self.assertEqual(untold.received, b"")
        untold.send(b"b\r\n01234567890\r\n")
        for connection in (told, untold):
            self.assertEqual(connection.answer.status, 413)
            self.assertEqual(connection.answer.headers[b"connection"], b"close")
            self.assertTrue(connection.transport.is_ended)

    def test_a_client_that_leaves_while_its_body_is_collected(self) -> None:
        """Nothing runs, nothing is logged."""
        connection = self.ask(Page(lambda request: self.fail("it ran")), b"POST /" + HEAD + b"Content-Length: 11\r\n\r\n1")
        connection.lose()
        self.assertEqual(connection.received, b"")

    def test_an_exception_is_a_500_that_tells_nothing(self) -> None:
        """S10: its text is in the log alone."""

        def fail(request: Any) -> bytes:
            raise ValueError("/secret/path")

        answer = self.answer(Page(fail), b"GET /" + HEAD + b"\r\n")
        self.assertEqual(answer.status, 500)
        self.assertEqual(list(json.loads(answer.body)), ["error"])
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_an_exception_behind_the_first_byte_aborts(self) -> None:
        """Nothing is appended."""

        def fail(request: Any) -> bytes:
            request.write(b"begun")
            raise ValueError("late")

        connection = self.ask(Page(fail), b"GET /" + HEAD + b"\r\n")
        self.assertTrue(connection.transport.is_aborted)
        self.assertTrue(connection.received.endswith(b"begun\r\n"))
        self.flushLoggedErrors(ValueError)

    def test_an_exception_of_the_traversal_is_a_500(self) -> None:
        """Resources that fail to give a child are no better."""

        class Failing(Resource):
            def getChild(self, path: bytes, request: Any) -> Any:
                raise ValueError("no child")

        self.assertEqual(self.answer(Failing(), b"GET /a" + HEAD + b"\r\n").status, 500)
        self.flushLoggedErrors(ValueError)

    def test_an_error_of_ours_has_its_own_status(self) -> None:
        """By the one table."""

        def fail(request: Any) -> bytes:
            raise BlobNotFound("abc")

        self.assertEqual(self.answer(Page(fail), b"GET /" + HEAD + b"\r\n").status, 404)

    def test_what_is_no_bytes_is_a_500(self) -> None:
        """A resource that returns text is wrong."""
        self.assertEqual(self.answer(Page(lambda request: "text"), b"GET /" + HEAD + b"\r\n").status, 500)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_writing_piece_by_piece(self) -> None:
        """Status and headers go with the first piece; without a length it is chunked."""

        def render(request: Any) -> int:
            request.setResponseCode(201, b"Made")
            request.setHeader(b"content-type", b"text/plain")
            request.setHeader("x-text", "text")
            request.addCookie(b"a", b"b", path=b"/")
            request.write(b"one")
            request.write(b"two")
            request.finish()
            return NOT_DONE_YET

        connection = self.ask(Page(render), b"GET /" + HEAD + b"\r\n")
        self.assertTrue(connection.received.startswith(b"HTTP/1.1 201 Made\r\n"))
        self.assertEqual(connection.answer.body, b"onetwo")
        self.assertEqual(connection.answer.headers[b"content-type"], b"text/plain")
        self.assertEqual(connection.answer.headers[b"x-text"], b"text")
        self.assertEqual(connection.answer.headers[b"set-cookie"], b"a=b; Path=/")

    def test_headers_that_frame_are_the_fronts_own(self) -> None:
        """A stock resource can say a length and ask to close, and no more."""

        def render(request: Any) -> int:
            for name, value in ((b"Content-Length", b"3"), (b"Connection", b"close"), (b"Transfer-Encoding", b"gzip")):
                request.setHeader(name, value)
            request.setHeader(b"Server", b"other/1.0")
            request.write(b"abc")
            request.finish()
            return NOT_DONE_YET

        connection = self.ask(Page(render), b"GET /" + HEAD + b"\r\n")
        self.assertEqual(connection.answer.headers[b"server"], b"sos")
        self.assertEqual(connection.answer.body, b"abc")
        self.assertNotIn(b"transfer-encoding", connection.answer.headers)
        self.assertTrue(connection.transport.is_ended)

    def test_a_static_file(self) -> None:
        """Whole, in part, conditionally, and as HEAD."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(directory, "file")
        path.write_bytes(b"0123456789" * 20_000)
        root = Resource()
        root.putChild(b"file", File(str(path), defaultType="text/plain"))
        whole = self.answer(root, b"GET /file" + HEAD + b"\r\n")
        self.assertEqual((whole.status, whole.body), (200, b"0123456789" * 20_000))
        part = self.answer(root, b"GET /file" + HEAD + b"Range: bytes=1-3\r\n\r\n")
        self.assertEqual((part.status, part.body), (206, b"123"))
        same = self.answer(root, b"GET /file" + HEAD + b"If-Modified-Since: %b\r\n\r\n" % whole.headers[b"last-modified"])
        self.assertEqual((same.status, same.body), (304, b""))
        head = self.ask(root, b"HEAD /file" + HEAD + b"\r\n")
        self.assertIn(b"Content-Length: 200000\r\n", head.received)
        self.assertTrue(head.received.endswith(b"\r\n\r\n"))

    def test_a_redirect(self) -> None:
        """Location and status."""
        answer = self.answer(Page(lambda request: request.redirect(b"/b") or b""), b"GET /" + HEAD + b"\r\n")
        self.assertEqual((answer.status, answer.headers[b"location"]), (302, b"/b"))

    def test_an_entity_tag(self) -> None:
        """A client that has it gets no body."""
        page = Page(lambda request: b"" if request.setETag(b'"a"') else b"body")
        answer = self.answer(page, b"GET /" + HEAD + b'If-None-Match: "b", "a"\r\n\r\n')
        self.assertEqual((answer.status, answer.headers[b"etag"], answer.body), (304, b'"a"', b""))
        self.assertEqual(self.answer(page, b"GET /" + HEAD + b"\r\n").body, b"body")

    def test_the_surface(self) -> None:
        """What else stock resources ask a request."""
        leaf = Leaf(ok)
        self.ask(leaf, b"GET /a/b?c=d" + HEAD + b"Authorization: Basic dXNlcjpwYXNz\r\nCookie: a=b; c=d\r\n\r\n")
        (request,) = leaf.requests
        verifyObject(IRequest, request)
        self.assertEqual((request.uri, request.path, request.query), (b"/a/b?c=d", b"/a/b", b"c=d"))
        self.assertEqual((request.getUser(), request.getPassword()), (b"user", b"pass"))
        self.assertEqual(request.getCookie(b"c"), b"d")
        self.assertEqual(request.getHeader("Host"), "localhost:9991")
        self.assertEqual(request.getHeader(b"HOST"), b"localhost:9991")
        self.assertEqual(request.getAllHeaders()[b"host"], b"localhost:9991")
        self.assertEqual(request.requestHeaders.getRawHeaders(b"cookie"), [b"a=b; c=d"])
        self.assertEqual(request.getRequestHostname(), b"localhost")
        self.assertEqual(request.getClientIP(), "127.0.0.1")
        self.assertEqual(request.getClientAddress(), IPv4Address("TCP", "127.0.0.1", 50_000))
        self.assertTrue(request.is_from_loopback)
        self.assertFalse(request.isSecure())
        self.assertEqual(request.prePathURL(), b"http://localhost:9991/")
        self.assertEqual(str(request.URLPath()), "http://localhost:9991/")
        self.assertEqual(request.clientproto, b"HTTP/1.1")
        self.assertEqual(request.host, request.getHost())

    def test_other_hosts_are_not_loopback(self) -> None:
        """Only 127.0.0.0/8, ::1 and unix sockets are."""
        leaf = Leaf(ok)
        Connection(front_of(leaf), "192.0.2.1").send(b"GET /" + HEAD + b"\r\n")
        self.assertFalse(leaf.requests[0].is_from_loopback)

    def test_every_request_that_ends_is_told(self) -> None:
        """Also those whose client left."""
        told: list[tuple[int, int, bool]] = []
        leaf = Leaf(lambda request: None)
        front = front_of(
            leaf, on_answer=lambda request: told.append((request.code, request.sentLength, request.is_answered))
        )
        connection = Connection(front)
        connection.send((b"GET /" + HEAD + b"\r\n") * 2)
        leaf.requests[0].respond(203, [], b"abc")
        self.assertEqual(told, [(203, 3, True)])
        connection.lose()
        self.assertEqual([is_answered for _, _, is_answered in told], [True, False])

    @unittest.skipUnless(has_prometheus, "prometheus-client is not installed")
    def test_the_metrics_resource(self) -> None:
        """WSGI beneath, threads and all: here they run at once."""

        class Threads:
            def callInThread(self, call: Any, *arguments: Any) -> None:
                call(*arguments)

            def callInThreadWithCallback(self, done: Any, call: Any, *arguments: Any) -> None:
                call(*arguments)

            callFromThread = callInThread

            def getThreadPool(self) -> Threads:
                return self

        registry = CollectorRegistry()
        Gauge("blobs", "live blobs", registry=registry).set(5)
        metrics = MetricsResource(registry)
        metrics._reactor = metrics._threadpool = Threads()
        answer = self.answer(metrics, b"GET /" + HEAD + b"\r\n")
        self.assertEqual(answer.status, 200)
        self.assertIn(b"blobs 5.0", answer.body)
