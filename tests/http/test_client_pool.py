"""When a connection serves another request, and when a request is sent again."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost

from sos.http.bodies import BytesBody, BytesSource
from sos.http.client import Client
from tests.http.client_case import CHUNKED, HELLO, ORIGIN, ClientTestCase


class Reuse(ClientTestCase):
    """When a connection serves again, and when it does not."""

    def test_a_connection_serves_one_request_after_the_other(self) -> None:
        """Also after an answer that came in two segments."""
        for _ in range(3):
            asking = self.ask()
            self.last.feed(HELLO[:-2])
            answer = self.successResultOf(asking)
            self.last.feed(HELLO[-2:])
            self.assertEqual(self.bytes_of(answer), b"hello")
        self.assertEqual(len(self.server.connections), 1)

    def test_two_requests_at_once_have_two_connections(self) -> None:
        """And afterwards both wait for the next."""
        first, second = self.ask(), self.ask()
        for connection in self.server.connections:
            connection.feed(HELLO)
        self.successResultOf(first)
        self.successResultOf(second)
        self.ask()
        self.ask()
        self.assertEqual(len(self.server.connections), 2)

    def test_the_next_request_may_begin_within_the_callback(self) -> None:
        """The connection is home before anybody hears of the answer."""

        async def twice() -> list[int]:
            return [(await self.client.request(b"GET", ORIGIN, b"/x")).status for _ in range(2)]

        asking = Deferred.fromCoroutine(twice())
        self.last.feed(HELLO)
        self.last.feed(HELLO)
        self.assertEqual(self.successResultOf(asking), [200, 200])
        self.assertEqual(len(self.server.connections), 1)

    def test_an_answer_with_something_behind_it_is_right_and_the_last(self) -> None:
        """B4: bytes beyond the end, a body where none may be, a second answer; in one segment and byte by byte."""
        table = {
            b"GET": [
                HELLO + b"x",
                HELLO + HELLO,
                b"HTTP/1.1 204 No\r\n\r\nhello",
                b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nhello",
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhello",
                CHUNKED + b"5\r\nhello\r\n0\r\n\r\nx",
                CHUNKED + b"5\r\nhello\r\n0\r\n\r\n\r\n",
                CHUNKED + b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + HELLO,
            ],
            b"HEAD": [
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
                CHUNKED + b"5",
            ],
        }
        for method, replies in table.items():
            for reply in replies:
                for piece in (None, 1):
                    asking = self.ask(method)
                    connection = self.last
                    connection.feed(reply, piece)
                    answer = self.successResultOf(asking)
                    has_body = method == b"GET" and answer.status == 200 and answer.length != 0
                    self.assertEqual(self.bytes_of(answer), b"hello" if has_body else b"", reply)
                    self.assertTrue(connection.is_dropped, reply)

    def test_an_answer_to_head_without_a_body_leaves_the_connection_whole(self) -> None:
        """Its length is the one that a GET would have."""
        for _ in range(2):
            answer = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method=b"HEAD")
            self.assertEqual((answer.length, self.bytes_of(answer)), (5, b""))
        self.assertEqual(len(self.server.connections), 1)

    def test_a_connection_that_the_server_wants_closed_is_not_used_again(self) -> None:
        """It says so in its answer, in whatever list of words."""
        for value in (b"close", b"Close", b"foo, close"):
            answer = self.answered(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: %b\r\n\r\n" % value))
            self.assertEqual(self.bytes_of(answer), b"hello")
            self.assertTrue(self.last.is_dropped)

    def test_bytes_that_nobody_asked_for_end_an_idle_connection(self) -> None:
        """What they are is of no interest."""
        self.answered()
        self.last.feed(b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
        self.assertTrue(self.last.is_dropped)
        self.ask()
        self.assertEqual(len(self.server.connections), 2)

    def test_a_connection_waits_in_the_pool_no_longer_than_it_should(self) -> None:
        """Then it is closed, and nothing is left on the clock."""
        self.answered()
        self.clock.advance(49.9)
        self.assertFalse(self.last.is_dropped)
        self.clock.advance(0.2)
        self.assertTrue(self.last.is_dropped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_pool_keeps_only_so_many(self) -> None:
        """The one that waited longest goes."""
        self.client = Client(self.server, self.clock, most_idle=2)
        asking = [self.ask() for _ in range(3)]
        for connection, deferred in zip(self.server.connections, asking, strict=True):
            connection.feed(HELLO)
            self.successResultOf(deferred)
        self.assertEqual([connection.is_dropped for connection in self.server.connections], [True, False, False])

    def test_a_closed_client_has_no_connections_and_makes_none(self) -> None:
        """Idle ones and busy ones go; the Deferred fires when they are gone."""
        self.answered()
        asking, also = self.ask(), self.ask()
        closing = self.client.close()
        self.refused(asking)
        self.refused(also)
        self.assertNoResult(closing)
        for connection in self.server.connections:
            self.assertTrue(connection.is_dropped)
            connection.close()
        self.successResultOf(closing)
        self.refused(self.ask())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connections_are_dropped_in_the_order_in_which_they_were_made(self) -> None:
        """A run with a seed, a simulation's too, can be had again."""
        told: list[int] = []
        for number in range(8):
            self.ask().addErrback(lambda _, number: told.append(number), number)
        self.client.close()
        self.assertEqual(told, list(range(8)))


class Staleness(ClientTestCase):
    """B12: a pooled connection that the server had closed."""

    def test_a_request_on_a_stale_connection_is_sent_again_with_a_fresh_body(self) -> None:
        """Over a new connection, and nobody hears of it."""
        for reason in (None, ConnectionLost()):
            self.answered()
            stale = self.last
            stale.forget()
            asking = self.ask(b"POST", source=BytesSource([b"hello"]))
            stale.close(reason)
            self.assertIsNot(self.last, stale)
            self.assertEqual(self.last.sent, stale.sent)
            self.last.feed(HELLO)
            self.assertEqual(self.successResultOf(asking).status, 200)
            self.last.close()

    def test_it_is_sent_again_only_once(self) -> None:
        """The second connection is new, and its death is a failure of the server."""
        self.answered()
        asking = self.ask()
        self.last.close()
        self.assertEqual(len(self.server.connections), 2)
        self.last.close()
        self.refused(asking)
        self.assertEqual(len(self.server.connections), 2)

    def test_a_request_on_a_new_connection_is_never_sent_again(self) -> None:
        """It may have been carried out."""
        asking = self.ask()
        self.last.close()
        self.assertIn("before it answered", str(self.refused(asking)))
        self.assertEqual(len(self.server.connections), 1)

    def test_one_byte_of_an_answer_rules_it_out(self) -> None:
        """Then the connection was alive, and the server knew of the request."""
        self.answered()
        asking = self.ask()
        self.last.feed(b"H")
        self.last.close()
        self.refused(asking)
        self.assertEqual(len(self.server.connections), 1)

    def test_a_body_that_is_used_once_goes_over_a_new_connection(self) -> None:
        """So it never meets a stale one, and it is never sent again."""
        self.answered()
        asking = self.ask(b"POST", body=BytesBody(b"hello"))
        self.assertEqual(len(self.server.connections), 2)
        self.last.close()
        self.refused(asking)
        self.assertEqual(len(self.server.connections), 2)

    def test_a_connection_that_died_while_idle_is_not_tried(self) -> None:
        """It left the pool when its end was noticed."""
        self.answered()
        self.last.close()
        self.ask()
        self.assertEqual(len(self.server.connections), 2)
