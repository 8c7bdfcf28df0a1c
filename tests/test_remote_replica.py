"""What a blob server says of its entries is held against what it was asked."""

from __future__ import annotations

from sos.decisions.buckets import bucket_of
from sos.decisions.sync_wire import entries_json
from sos.http.client import Client
from sos.remote_replica import RemoteReplica
from sos.words.blob import BlobID, Entry
from sos.words.errors import ServerUnavailable
from tests.remote_case import RemoteTestCase, answer

ABC = Entry(id=BlobID("abc"))
ITS = bucket_of(ABC.id)
OURS = {b"X-Sos-Store": b"uuid-1"}


class ListingTests(RemoteTestCase):
    """Buckets."""

    def test_entries_of_another_bucket_are_no_answer(self) -> None:
        """Torture B15: else a server could list anything 4,096 times."""
        store = RemoteReplica(Client(self.server, self.clock), "http://member:3001/")
        reply = answer(200, OURS, entries_json([ABC]))
        self.assertEqual(self.result(store.entries(ITS), reply), [ABC])
        error = self.error(store.entries(ITS + 1), reply)
        self.assertIsInstance(error, ServerUnavailable)
        self.assertIn("a bucket that is not theirs", str(error))

    def test_a_page_begins_behind_its_place_and_is_no_longer_than_its_limit(self) -> None:
        """Torture B15: else a listing would never end."""
        store = RemoteReplica(Client(self.server, self.clock), "http://member:3001/")
        reply = answer(200, OURS, entries_json([ABC]))
        for after, limit in (("abc", 10), ("b", 10), ("", 0)):
            self.assertIn("other entries", str(self.error(store.entries(ITS, after, limit), reply)))

    def test_more_than_a_page_can_have_is_not_read(self) -> None:
        """Torture B15: a bucket of 10^7 in one answer; the connection is dropped."""
        store = RemoteReplica(Client(self.server, self.clock), "http://member:3001/")
        error = self.error(store.entries(ITS), answer(200, OURS, b"[" + b" " * 1000, length=10**10))
        self.assertIn("more than a blob server would", str(error))
        self.assertTrue(self.last.is_dropped)
