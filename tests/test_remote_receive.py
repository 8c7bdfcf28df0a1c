"""What a remote store takes for an acknowledgement, and what it does not."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred

from sos.http.bodies import BytesBody
from sos.words.blob import Entry, State, Version
from sos.words.errors import (
    BadInput,
    DigestMismatch,
    ServerUnavailable,
    StoreFull,
)
from sos.words.interfaces import Received
from tests.http.client_case import ScriptedBody
from tests.remote_case import ACKNOWLEDGED, HELLO, OURS, SHA256, A, RemoteTestCase, answer


class Receiving(RemoteTestCase):
    """What is an acknowledgement, and what is none."""

    def receive(self, entry: Entry = HELLO) -> Awaitable[Received]:
        """Send five bytes."""
        return self.store.receive(entry, BytesBody(b"hello"))

    def test_an_acknowledged_blob_is_held_by_a_store(self) -> None:
        """The answer's version and store are what is held."""
        reply = answer(200, {**OURS, b"X-Sos-Version": b"9"}, ACKNOWLEDGED)
        received = self.result(self.receive(Entry(id=A, version=Version(7))), reply)
        self.assertEqual(received, Received(Entry(id=A, version=Version(9), size=5, sha256=SHA256), "uuid-1"))

    def test_an_old_server_holds_version_0(self) -> None:
        """It has no store's name."""
        received = self.result(self.receive(), answer(200, {}, ACKNOWLEDGED))
        self.assertEqual(received, Received(Entry(id=A, size=5, sha256=SHA256), None))

    def test_an_answer_that_speaks_of_other_bytes_is_no_acknowledgement(self) -> None:
        """B6: another ID, size or digest; no JSON; JSON that is made to hurt."""
        for body in (
            b'{"id": "b", "size": 5}',
            b'{"id": "a", "size": 4}',
            b'{"id": "a", "size": 5.0}',
            b'{"id": "a", "size": true}',
            b'{"id": "a", "size": "5"}',
            b'{"id": "a"}',
            b'{"size": 5}',
            b"[]",
            b"",
            b"<html>OK</html>",
            b"[" * 60_000,
            b"[" * 100_000,
            b'{"id": "a", "size": ' + b"5" * 5000 + b"}",
            b'{"id": "a", "size": 5, "x": NaN}',
            b'{"id": "a", "size": 4, "size": 5}',
            b'{"id": "a", "size": 5, "x": "' + b"x" * 65_536 + b'"}',
        ):
            self.assertIsInstance(self.error(self.receive(), answer(200, OURS, body)), ServerUnavailable, body[:40])
        other = answer(200, {**OURS, b"X-Sos-SHA256": b"00" * 32}, ACKNOWLEDGED)
        self.assertIsInstance(self.error(self.receive(), other), ServerUnavailable)
        unnamed = answer(200, {**OURS, b"X-Sos-Store": b"a store"}, ACKNOWLEDGED)
        self.assertIsInstance(self.error(self.receive(), unnamed), ServerUnavailable)

    def test_a_long_answer_is_not_read_to_its_end(self) -> None:
        """B6: 100 MB of JSON."""
        self.assertIsInstance(self.error(self.receive(), answer(200, OURS, b"{", length=10**8)), ServerUnavailable)
        self.assertTrue(self.last.is_dropped)

    def test_an_early_200_is_no_acknowledgement(self) -> None:
        """B5: though it says all that an acknowledgement says."""
        body = ScriptedBody(5)
        asking = self.answered(self.store.receive(HELLO, body), b"")
        body.consumer.write(b"hell")
        self.last.feed(answer(200, OURS, ACKNOWLEDGED))
        self.failureResultOf(asking, ServerUnavailable)
        self.assertEqual(body.calls, ["stop"])

    def test_an_early_200_is_none_though_every_byte_was_out(self) -> None:
        """B5: without a length, only the end of the body says that there is no more."""
        body = ScriptedBody()
        asking = self.answered(self.store.receive(Entry(id=A), body), b"")
        body.consumer.write(b"hello")
        self.last.feed(answer(200, OURS, ACKNOWLEDGED))
        self.failureResultOf(asking, ServerUnavailable)

    def test_true_is_no_size(self) -> None:
        """B6: though Python takes it for 1."""
        for size in (b"true", b"1.0"):
            reply = answer(200, OURS, b'{"id": "a", "size": %b}' % size)
            asking = self.store.receive(Entry(id=A), BytesBody(b"x"))
            self.assertIsInstance(self.error(asking, reply), ServerUnavailable)

    def test_an_early_507_is_a_full_store(self) -> None:
        """The body is stopped, and nothing is waited for."""
        body = ScriptedBody(5)
        asking = self.answered(self.store.receive(HELLO, body), b"")
        self.last.feed(answer(507, {}, b'{"error": "No room."}'))
        self.failureResultOf(asking, StoreFull)
        self.assertEqual(body.calls, ["stop"])

    def test_no_other_2xx_is_an_acknowledgement(self) -> None:
        """B7: accepted, created, no content."""
        for status in (201, 202, 206):
            self.assertIsInstance(self.error(self.receive(), answer(status, OURS, ACKNOWLEDGED)), ServerUnavailable)

    def test_bytes_that_are_not_as_many_as_declared_are_not_sent(self) -> None:
        """The body is stopped; nobody is connected to."""
        body = ScriptedBody(4)
        for entry, kind in ((HELLO, DigestMismatch), (Entry(id=A, state=State.DELETED), BadInput)):
            self.failureResultOf(Deferred.fromCoroutine(self.store.receive(entry, body)), kind)
        self.assertEqual((body.calls, self.server.connections), (["stop", "stop"], []))

    def test_bytes_in_memory_are_sent_again_over_a_stale_connection(self) -> None:
        """B12: a write does not fail because a server closed an idle connection."""
        self.result(self.store.alive(), answer(body=b"alive"))
        asking = self.answered(self.receive(), b"")
        self.last.close()
        self.assertEqual(len(self.server.connections), 2)
        self.assertTrue(self.last.sent.endswith(b"hello"))
        self.last.feed(answer(200, OURS, ACKNOWLEDGED))
        self.successResultOf(asking)
