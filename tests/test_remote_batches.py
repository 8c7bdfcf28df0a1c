"""What a blob server answers to a request for many blobs is held against what it was sent and asked for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory

from sos.decisions import batch_wire
from sos.http.client import Client
from sos.remote_replica import RemoteReplica
from sos.words.blob import BlobID, Entry, Parcel, Version
from sos.words.errors import BadInput, BlobConflict, DigestMismatch, ServerUnavailable, Unsupported
from sos.words.interfaces import Received
from tests.remote_case import RemoteTestCase, answer
from tests.support import success_of
from tests.support_wire import ScriptedServer

OURS = {b"X-Sos-Store": b"uuid-1"}
NO_SUCH_PATH = b'{"error": "There is nothing under this path."}'


def parcel_of(payload: bytes, name: str) -> Parcel:
    """Make a parcel."""
    digest = hashlib.sha256(payload).digest()
    return Parcel(Entry(id=BlobID(name), version=Version(5), size=len(payload), sha256=digest), payload)


HELLO, WORLD = parcel_of(b"hello", "abc"), parcel_of(b"world!", "abd")
BOTH = [HELLO, WORLD]
NAMES = [HELLO.entry.id, WORLD.entry.id]
TAKEN = batch_wire.outcomes_json(BOTH, [Received(parcel.entry) for parcel in BOTH])


def batch(*parcels: Parcel) -> bytes:
    """Write a batch."""
    return batch_wire.batch_bytes(parcels)


class FullServer(ScriptedServer):
    """A server that reads no body: the buffers between are full at once."""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect."""
        connecting = super().connect(protocolFactory)
        transport = self.last.transport
        register = transport.registerProducer

        def register_and_pause(producer: Any, streaming: bool) -> None:
            register(producer, streaming)
            producer.pauseProducing()

        transport.registerProducer = register_and_pause  # type: ignore[method-assign]
        return connecting


class BatchTestCase(RemoteTestCase):
    """A remote replica."""

    def setUp(self) -> None:
        """Make it."""
        super().setUp()
        self.replica = RemoteReplica(Client(self.server, self.clock), "http://member:3001/")


class FetchingTests(BatchTestCase):
    """Batches that are asked for."""

    def test_one_request_brings_all(self) -> None:
        """Their names go out, and the blobs come back."""
        fetched = self.result(self.replica.fetch_some(NAMES), answer(200, OURS, batch(*BOTH)))
        self.assertEqual(fetched, BOTH)
        head, _, body = self.last.sent.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"POST /sync/fetch HTTP/1.1\r\n"))
        self.assertEqual(json.loads(body), NAMES)

    def test_fewer_may_come(self) -> None:
        """None at all, where none can be had."""
        self.assertEqual(self.result(self.replica.fetch_some(NAMES), answer(200, OURS, batch(WORLD))), [WORLD])
        self.assertEqual(self.result(self.replica.fetch_some(NAMES), answer(200, OURS, batch())), [])

    def test_what_was_not_asked_for_is_no_answer(self) -> None:
        """Torture B15: be it one among others that were."""
        error = self.error(self.replica.fetch_some(NAMES[:1]), answer(200, OURS, batch(*BOTH)))
        self.assertIsInstance(error, ServerUnavailable)
        self.assertIn("other blobs", str(error))

    def test_what_is_no_batch_is_no_answer(self) -> None:
        """Torture B6: cut short, with more behind it, one twice, or something else."""
        for body in (batch(*BOTH)[:-1], batch(*BOTH) + b"x", batch(HELLO, HELLO), b"", b"[]", b"<html>"):
            error = self.error(self.replica.fetch_some(NAMES), answer(200, OURS, body))
            self.assertIsInstance(error, ServerUnavailable)
            self.assertIn("cannot be read", str(error))

    def test_an_endless_answer_is_not_read(self) -> None:
        """Torture B15: it is known from its length, and the connection is dropped."""
        error = self.error(self.replica.fetch_some(NAMES), answer(200, OURS, b"[" + b" " * 1000, length=10**10))
        self.assertIn("more than a blob server would", str(error))
        self.assertTrue(self.last.is_dropped)


class ReceivingTests(BatchTestCase):
    """Batches that are sent."""

    def test_one_request_takes_all(self) -> None:
        """And one answer says what came of each."""
        outcomes = self.result(self.replica.receive_some(BOTH), answer(200, OURS, TAKEN))
        self.assertEqual(outcomes, [Received(parcel.entry, "uuid-1") for parcel in BOTH])
        head, _, body = self.last.sent.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"POST /sync/receive HTTP/1.1\r\n"))
        self.assertEqual(body, batch(*BOTH))

    def test_each_has_its_own_outcome(self) -> None:
        """An error is that of the blob that it came of."""
        conflict = BlobConflict("abc", BlobConflict.OLDER, 7)
        body = batch_wire.outcomes_json(BOTH, [conflict, Received(WORLD.entry)])
        refused, taken = self.result(self.replica.receive_some(BOTH), answer(200, OURS, body))
        self.assertEqual((refused.reason, refused.version), ("older", 7))
        self.assertEqual(taken, Received(WORLD.entry, "uuid-1"))

    def test_what_cannot_be_framed_is_refused_before_it_is_sent(self) -> None:
        """The others go; where none is left, nothing is asked."""
        short = Parcel(HELLO.entry, b"hell")
        body = batch_wire.outcomes_json([WORLD], [Received(WORLD.entry)])
        refused, taken = self.result(self.replica.receive_some([short, WORLD]), answer(200, OURS, body))
        self.assertIsInstance(refused, DigestMismatch)
        self.assertEqual(taken.entry, WORLD.entry)
        connections = len(self.server.connections)
        (refused,) = success_of(self.replica.receive_some([short]))
        self.assertIsInstance(refused, DigestMismatch)
        self.assertEqual(len(self.server.connections), connections)

    def test_an_answer_that_speaks_of_others_is_no_acknowledgement(self) -> None:
        """Torture B6 and B16: of fewer, of more, in another order, or of other bytes."""
        other = Parcel(parcel_of(b"other", "abc").entry, b"other")
        lies = [
            batch_wire.outcomes_json([HELLO], [Received(HELLO.entry)]),
            batch_wire.outcomes_json([*BOTH, HELLO], [Received(parcel.entry) for parcel in [*BOTH, HELLO]]),
            batch_wire.outcomes_json(BOTH[::-1], [Received(parcel.entry) for parcel in BOTH[::-1]]),
            batch_wire.outcomes_json([other, WORLD], [Received(other.entry), Received(WORLD.entry)]),
            b"{}",
            b"",
        ]
        for lie in lies:
            error = self.error(self.replica.receive_some(BOTH), answer(200, OURS, lie))
            self.assertIsInstance(error, ServerUnavailable)

    def test_an_answer_before_the_end_is_no_acknowledgement(self) -> None:
        """Torture B5: whatever it says, the server had not seen all of the bytes."""
        self.server = FullServer()
        replica = RemoteReplica(Client(self.server, self.clock), "http://member:3001/")
        large = [parcel_of(bytes(60_000), f"n{number}") for number in range(15)]
        taken = batch_wire.outcomes_json(large, [Received(parcel.entry) for parcel in large])
        error = self.error(replica.receive_some(large), answer(200, OURS, taken))
        self.assertIn("before it had the whole", str(error))

    def test_a_refusal_of_all_is_raised(self) -> None:
        """Nobody knows what was taken where the server failed, and nothing was where it refused."""
        for status, kind in ((400, BadInput), (500, ServerUnavailable), (503, ServerUnavailable)):
            self.assertIsInstance(self.error(self.replica.receive_some(BOTH), answer(status, OURS)), kind)


class OlderServerTests(BatchTestCase):
    """Servers that know of no batches."""

    def test_they_are_unsupported(self) -> None:
        """A version of sos before batches, and a server of the old contract: neither has such a path."""
        for status in (404, 405, 501):
            for asking in (self.replica.fetch_some(NAMES), self.replica.receive_some(BOTH)):
                error = self.error(asking, answer(status, {}, NO_SUCH_PATH))
                self.assertIsInstance(error, Unsupported)
                self.assertIn("many blobs at a time", str(error))
