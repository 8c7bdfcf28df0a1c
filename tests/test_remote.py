"""The remote store against a server that is scripted: ours, an old one, and ones that lie."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

from zope.interface.verify import verifyObject

from sos.http.bodies import BytesBody
from sos.http.client import Client
from sos.remote import RemoteStore
from sos.words.blob import Entry, Kind, Metadata, Span, Version
from sos.words.errors import (
    BadConfig,
    BadInput,
    BlobConflict,
    BlobNotFound,
    BlobTooLarge,
    BlobTruncated,
    Forbidden,
    RangeNotSatisfiable,
    ServerUnavailable,
    StoreFull,
    Unauthorized,
    Unsupported,
)
from sos.words.interfaces import IBlobStore
from tests.http.client_case import ScriptedBody
from tests.remote_case import HELLO, OURS, SHA256, A, RemoteTestCase, answer, chunked
from tests.support import ScriptedConsumer


class Asking(RemoteTestCase):
    """What the server is asked."""

    def test_it_is_a_blob_store(self) -> None:
        """Its URL is its name; what is no URL of a server is refused."""
        verifyObject(IBlobStore, self.store)
        self.assertEqual(self.store.server, "http://member:3001")
        self.assertRaises(BadConfig, RemoteStore, Client(self.server, self.clock), "http://member/path")

    def test_each_request_has_the_protocol_and_the_credential(self) -> None:
        """Each verb speaks the words of the contract."""
        table: list[tuple[Awaitable[Any], bytes]] = [
            (self.store.fetch(A), b"GET /blob/a"),
            (self.store.stat(A), b"HEAD /blob/a"),
            (self.store.receive(HELLO, BytesBody(b"hello")), b"POST /blob/a"),
            (self.store.enumerate("p", "q", 9, Kind.CHUNK), b"GET /blobs?prefix=p&after=q&limit=9&kind=chunk"),
            (self.store.enumerate(), b"GET /blobs?limit=1000"),
            (self.store.alive(), b"GET /alive"),
        ]
        for asking, begins in table:
            self.error(asking, answer(404 if begins == b"HEAD /blob/a" else 503))
            self.assertTrue(self.last.sent.startswith(begins + b" HTTP/1.1\r\nHost: member:3001\r\n"), self.last.sent)
            self.assertIn(b"X-Sos-Protocol: 1\r\nAuthorization: Bearer secret\r\n", self.last.sent)
            self.last.forget()

    def test_without_a_credential_none_is_sent(self) -> None:
        """An open server is not told of one."""
        store = RemoteStore(Client(self.server, self.clock), "http://member:3001")
        self.result(store.alive(), answer(body=b"alive"))
        self.assertNotIn(b"Authorization", self.last.sent)

    def test_a_write_brings_the_entry_with_it(self) -> None:
        """Version, kind, digest and metadata are headers, and the length is the entry's."""
        entry = Entry(id=A, version=Version(7), kind=Kind.CHUNK, size=5, sha256=SHA256, metadata=Metadata(((b"x-a", b"b"),)))
        body = ScriptedBody()
        self.answered(self.store.receive(entry, body), b"")
        body.consumer.write(b"hello")
        head, _, payload = self.last.sent.partition(b"\r\n\r\n")
        for line in (b"X-Sos-Version: 7", b"X-Sos-Kind: chunk", b"x-a: b", b"Content-Length: 5"):
            self.assertIn(line, head.split(b"\r\n"))
        self.assertIn(b"X-Sos-SHA256: " + SHA256.hex().encode(), head)
        self.assertEqual(payload, b"hello")


class Fetching(RemoteTestCase):
    """Blobs, and spans of them."""

    def test_a_blob_comes_with_its_entry(self) -> None:
        """What the headers say, and the length as its size."""
        reply = answer(200, {**OURS, b"X-Sos-Kind": b"manifest", b"X-A": b"b", b"Content-Type": b"c/d"}, b"hello")
        opened = self.result(self.store.fetch(A), reply)
        self.assertEqual(
            opened.entry,
            Entry(id=A, version=Version(7), kind=Kind.MANIFEST, size=5, sha256=SHA256, metadata=Metadata(((b"x-a", b"b"),))),
        )
        self.assertEqual(self.bytes_of(opened), b"hello")

    def test_of_an_old_server_nothing_is_believed_but_the_kind(self) -> None:
        """B17: it sends our own headers back, and in chunks it has no size; none of them becomes metadata."""
        echoed = {b"X-Sos-Version": b"9", b"X-Sos-Sha256": SHA256.hex().encode(), b"X-Sos-Kind": b"manifest", b"X-A": b"b"}
        opened = self.result(self.store.fetch(A), chunked(echoed, b"hel", b"lo"))
        self.assertEqual(opened.entry, Entry(id=A, kind=Kind.MANIFEST, metadata=Metadata(((b"x-a", b"b"),))))
        self.assertEqual(self.bytes_of(opened), b"hello")

    def test_a_span_is_asked_for_and_held_against_the_answer(self) -> None:
        """With a length or in chunks."""
        headers = {**OURS, b"Content-Range": b"bytes 2-4/9"}
        for reply in (answer(206, headers, b"llo"), chunked(headers, b"ll", b"o", status=206)):
            opened = self.result(self.store.fetch(A, Span(2, 3)), reply)
            self.assertIn(b"\r\nRange: bytes=2-4\r\n", self.last.sent)
            self.assertEqual(opened.entry.size, 9)
            self.assertEqual(self.bytes_of(opened), b"llo")

    def test_a_server_that_knows_no_ranges_is_cut(self) -> None:
        """The bytes before the span are passed over; of those behind it none is waited for."""
        for length, span, dropped in ((9, Span(2, 3), True), (5, Span(2, 3), False), (5, Span(0, 5), False)):
            payload = b"hello, me"[:length]
            for reply in (answer(200, OURS, payload), chunked(OURS, *[bytes([byte]) for byte in payload])):
                opened = self.result(self.store.fetch(A, span), reply)
                self.assertEqual(self.bytes_of(opened), payload[span.start : span.stop])
            connection = self.last
            asking = self.answered(self.store.fetch(A, span), answer(200, OURS, payload)[:-1])
            consumer = ScriptedConsumer()
            pouring = self.successResultOf(asking).body.startProducing(consumer)
            self.assertEqual(self.last.is_dropped, dropped)
            if not dropped:
                self.assertNoResult(pouring)
                self.last.feed(payload[-1:])
            self.successResultOf(pouring)
            self.assertEqual(consumer.payload, payload[span.start : span.stop])
            self.assertIs(self.last, connection)

    def test_a_wrong_part_is_refused(self) -> None:
        """Another one, a longer one, one that does not say which, several, or one that nobody asked for."""
        for span, ranges, body in (
            (Span(2, 3), b"bytes 1-3/9", b"ell"),
            (Span(2, 3), b"bytes 2-5/9", b"llo,"),
            (Span(2, 3), b"bytes 2-4/9", b"llo,"),
            (Span(2, 3), b"bytes 2-4/*", b"llo"),
            (Span(2, 3), b"bytes 2-4/4", b"llo"),
            (Span(2, 3), b"", b"llo"),
            (None, b"bytes 0-4/5", b"hello"),
        ):
            error = self.error(self.store.fetch(A, span), answer(206, {**OURS, b"Content-Range": ranges}, body))
            self.assertIsInstance(error, ServerUnavailable, ranges)

    def test_a_span_beyond_the_end_is_refused_whoever_notices(self) -> None:
        """The server by 416, by a shorter part, or by sending the whole."""
        for reply in (
            answer(416, {b"Content-Range": b"bytes */5"}),
            answer(206, {**OURS, b"Content-Range": b"bytes 2-4/5"}, b"llo"),
            answer(200, OURS, b"hello"),
        ):
            error = self.error(self.store.fetch(A, Span(2, 10)), reply)
            self.assertIsInstance(error, RangeNotSatisfiable)
            self.assertEqual(error.size, 5)  # type: ignore[attr-defined]

    def test_a_span_of_no_bytes_is_not_asked_for(self) -> None:
        """HTTP has no words for it."""
        opened = self.result(self.store.fetch(A, Span(5, 0)), answer(200, OURS, length=5))
        self.assertEqual((opened.entry.size, self.bytes_of(opened)), (5, b""))
        self.assertIsInstance(self.error(self.store.fetch(A, Span(6, 0)), answer(200, OURS, length=5)), RangeNotSatisfiable)

    def test_a_part_in_chunks_has_its_bytes_and_no_more(self) -> None:
        """B13: what is beyond does not reach the consumer, and neither does less pass for all."""
        headers = {**OURS, b"Content-Range": b"bytes 2-4/9"}
        for pieces, expected, kind in (
            ((b"llo, and endless",), b"llo", ServerUnavailable),
            ((b"ll", b"o", b"x"), b"llo", ServerUnavailable),
            ((b"ll",), b"ll", BlobTruncated),
        ):
            opened = self.result(self.store.fetch(A, Span(2, 3)), chunked(headers, *pieces, status=206))
            consumer = ScriptedConsumer()
            self.failureResultOf(opened.body.startProducing(consumer), kind)
            self.assertEqual(consumer.payload, expected)

    def test_a_body_that_is_cut_fails_while_it_is_poured(self) -> None:
        """Its Deferred says so."""
        opened = self.result(self.store.fetch(A), answer(200, OURS, b"hel", length=5))
        pouring = opened.body.startProducing(ScriptedConsumer())
        self.last.close()
        self.failureResultOf(pouring, ServerUnavailable)

    def test_headers_that_are_wrong_make_no_entry(self) -> None:
        """B16: versions that no clock made, digests and kinds that are none; the connection is dropped."""
        for name, value in (
            (b"X-Sos-Version", b"-1"),
            (b"X-Sos-Version", b"9223372036854775808"),
            (b"X-Sos-Version", b"18446744073709551615"),
            (b"X-Sos-Version", b"seven"),
            (b"X-Sos-SHA256", b"00"),
            (b"X-Sos-Kind", b"other"),
            (b"X-A", b"b" * 9000),
        ):
            reply = answer(200, {**OURS, name: value}, b"hel", length=5)
            self.assertIsInstance(self.error(self.store.fetch(A), reply), ServerUnavailable, value)
            self.assertTrue(self.last.is_dropped)
            self.last.close()

    def test_stat_gives_the_entry_alone(self) -> None:
        """An old server does not say the length of a larger blob."""
        self.assertEqual(self.result(self.store.stat(A), answer(200, OURS, length=5)), HELLO)
        unsized = b"HTTP/1.1 200 OK\r\n\r\n"
        self.assertEqual(self.result(self.store.stat(A), unsized), Entry(id=A))


class Listing(RemoteTestCase):
    """Pages of names."""

    def test_a_page_is_read_and_the_connection_kept(self) -> None:
        """All of it, or what an old server's list has of it."""
        for reply in (answer(200, OURS, b'["b","c"]\n'), chunked({}, b'["a","b","c', b'"]\n')):
            names = self.result(self.store.enumerate(after="a", limit=2), reply)
            self.assertEqual(names, ["b", "c"])
            self.assertFalse(self.last.is_dropped)

    def test_of_an_endless_list_only_a_page_is_read(self) -> None:
        """B14: 10^9 names; the connection is dropped."""
        asking = self.answered(self.store.enumerate(limit=2), answer(200, {}, b'["a","b","c","d"', length=10**10))
        self.assertEqual(self.successResultOf(asking), ["a", "b"])
        self.assertTrue(self.last.is_dropped)

    def test_a_list_that_is_none_names_the_server(self) -> None:
        """B14: unsorted, twice, no IDs, cut short by its own end."""
        for body, words in (
            (b'["b","a"]', "not ascending"),
            (b'["a","a"]', "not ascending"),
            (b'["../a"]', "no ID"),
            (b'["a"', "cut"),
            (b"<html>", "cut"),
        ):
            for piece in (None, 1):
                error = self.error(self.store.enumerate(), answer(200, OURS, body), piece)
                self.assertIn("http://member:3001 is out of reach: ", str(error))
                self.assertIn(words, str(error))

    def test_an_old_server_cannot_be_asked_for_a_kind(self) -> None:
        """An empty page would say that there are no manifests."""
        self.assertIsInstance(self.error(self.store.enumerate(kind=Kind.MANIFEST), answer(200, {}, b"[]")), Unsupported)
        self.assertEqual(self.result(self.store.enumerate(kind=Kind.MANIFEST), answer(200, OURS, b"[]")), [])

    def test_a_list_that_breaks_off_is_a_failure(self) -> None:
        """Not the end of the names."""
        asking = self.answered(self.store.enumerate(), answer(200, OURS, b'["a",', length=100))
        self.last.close()
        self.failureResultOf(asking, ServerUnavailable)


class Errors(RemoteTestCase):
    """What the statuses mean."""

    def test_each_status_comes_back_as_its_error(self) -> None:
        """With the server's sentence, where there is one."""
        body = b'{"error": "For a reason."}'
        for status, kind in (
            (400, BadInput),
            (401, Unauthorized),
            (403, Forbidden),
            (404, BlobNotFound),
            (413, BlobTooLarge),
            (503, ServerUnavailable),
            (507, StoreFull),
            (301, ServerUnavailable),
            (409, ServerUnavailable),
            (416, ServerUnavailable),
            (418, ServerUnavailable),
            (500, ServerUnavailable),
        ):
            for sentence in (body, b"", b"<html>"):
                error = self.error(self.store.fetch(A), answer(status, {}, sentence))
                self.assertIs(type(error), kind, status)
                if sentence == body and status != 404:
                    self.assertIn("For a reason.", str(error))

    def test_a_conflict_brings_its_reason_and_the_version_held(self) -> None:
        """A writer moves its clock past it."""
        for reason in (BlobConflict.OLDER, BlobConflict.OTHER_BYTES):
            body = json.dumps({"error": "No.", "reason": reason}).encode()
            error = self.error(self.store.receive(HELLO, BytesBody(b"hello")), answer(409, {b"X-Sos-Version": b"12"}, body))
            assert isinstance(error, BlobConflict)
            self.assertEqual((error.blob_id, error.reason, error.version), ("a", reason, 12))

    def test_a_sentence_cannot_break_a_log(self) -> None:
        """Controls are left out, and so is what is too long."""
        body = json.dumps({"error": "a\r\nb\x1b[31m" + "c" * 1000}).encode()
        error = self.error(self.store.fetch(A), answer(400, {}, body))
        self.assertTrue(str(error).startswith("ab[31mccc"))
        self.assertLessEqual(len(str(error)), 300)

    def test_404_to_a_list_is_no_blob_that_is_missing(self) -> None:
        """Whoever answers so is no blob server."""
        self.assertIs(type(self.error(self.store.enumerate(), answer(404))), ServerUnavailable)
        self.assertIs(type(self.error(self.store.alive(), answer(404))), ServerUnavailable)

    def test_a_server_that_breaks_off_within_an_error_has_said_enough(self) -> None:
        """The status is the error; the sentence is not needed."""
        asking = self.answered(self.store.fetch(A), answer(404, {}, b"{", length=50))
        self.last.close()
        self.failureResultOf(asking, BlobNotFound)
