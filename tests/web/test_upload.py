"""The upload port, through the front, over memory stores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.http.bodies import collect
from sos.usecases.copies import Copies
from sos.usecases.deletes import Deletes
from sos.usecases.uploads import Uploads
from sos.web.upload import upload_root
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import BlobNotFound, ServerUnavailable, StoreFull
from sos.words.interfaces import IBlobStore
from tests.support import bytes_body, failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store
from tests.web.browser import NOW, Browser

HELLO = BlobID(hashlib.sha1(b"hello").hexdigest())


def browser_of(store: IBlobStore) -> Browser:
    """Make a client of an api over one store, which takes uploads of 1,000 bytes."""
    return Browser(upload_root(Uploads(Copies(cluster_of(one={"a": store}), Clock()), hashlib.sha1, 1000), lambda: NOW))


class UploadTests(SynchronousTestCase):
    """An api over one empty store."""

    def setUp(self) -> None:
        """Make it."""
        self.store = memory_store()
        self.browser = browser_of(self.store)

    def test_the_answer_names_the_object_and_counts_its_copies(self) -> None:
        """The fields of the ancestor, and one more."""
        answer = self.browser.ask("POST", "/upload", {}, b"hello")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.json, {"id": HELLO, "size": 5, "status": "OK", "copies": 1})

    def test_a_form_a_gzip_and_a_multipart_are_opaque_bytes(self) -> None:
        """Torture H51 and H52: kept as they came, whatever their headers say."""
        for number, headers in enumerate(
            (
                {"Content-Type": "application/x-www-form-urlencoded"},
                {"Content-Type": "multipart/form-data; boundary=x"},
                {"Content-Encoding": "gzip"},
            )
        ):
            payload = b"a=%d&b=%%00&c" % number
            answer = self.browser.ask("POST", "/upload", headers, payload)
            self.assertEqual(answer.json["id"], hashlib.sha1(payload).hexdigest())
            kept = success_of(self.store.fetch(BlobID(answer.json["id"])))
            self.assertEqual(success_of(collect(kept.body, 100)), payload)

    def test_metadata_is_kept_byte_for_byte_but_not_what_a_proxy_added(self) -> None:
        """Torture H18, H21 and H56."""
        sent = {
            "X-Orig-Filename": "caf\xe9.jpg",
            "X-MIME-Type": "image/jpeg",
            "X-Forwarded-For": "10.0.0.1",
            "X-Real-IP": "10.0.0.1",
            "X-Request-ID": "7",
            "X_Mime_Type": "text/html",
            "Authorization": "Basic x",
        }
        self.assertEqual(self.browser.ask("POST", "/upload", sent, b"hello").status, 200)
        kept = dict(success_of(self.store.stat(HELLO)).metadata.pairs)
        self.assertEqual(kept, {b"x-orig-filename": b"caf\xe9.jpg", b"x-mime-type": b"image/jpeg"})

    def test_an_internal_header_is_refused(self) -> None:
        """Whoever is outside steers nothing."""
        for name in ("X-Sos-Version", "X-SOS-Kind", "x-sos-anything"):
            self.assertEqual(self.browser.ask("POST", "/upload", {name: "1"}, b"hello").status, 400)
        self.assertEqual(success_of(self.store.enumerate()), [])

    def test_too_large_is_413_before_100_continue(self) -> None:
        """A client that asks first is told so before it sends anything; one that does not, too."""
        asks = b"POST /upload HTTP/1.1\r\nHost: sos\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
        self.assertEqual(self.browser.ask_raw(asks).status, 413)
        self.assertEqual(self.browser.ask("POST", "/upload", {}, b"x" * 1001).status, 413)
        chunked = (
            b"POST /upload HTTP/1.1\r\nHost: sos\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
            + b"x" * 1001
            + b"\r\n0\r\n\r\n"
        )
        self.assertEqual(self.browser.ask_raw(chunked).status, 413)
        self.assertEqual(self.browser.ask("POST", "/upload", {}, b"x" * 1000).status, 200)

    def test_an_empty_object_is_an_object(self) -> None:
        """Torture H45."""
        answer = self.browser.ask("POST", "/upload")
        self.assertEqual((answer.status, answer.json["size"]), (200, 0))
        self.assertEqual(answer.json["id"], hashlib.sha1(b"").hexdigest())

    def test_a_member_that_cannot_is_503_and_a_full_one_507(self) -> None:
        """With a sentence, with Retry-After, and without the name of any server."""
        for error, status in ((ServerUnavailable("http://a:3001", "refused"), 503), (StoreFull("full"), 507)):
            answer = browser_of(Flaky(self.store, always=error)).ask("POST", "/upload", {}, b"hello")
            self.assertEqual((answer.status, answer.headers["retry-after"]), (status, "5"))
            self.assertNotIn("3001", answer.json["error"])

    def test_other_bytes_are_409_without_an_internal_header(self) -> None:
        """The version that is held is for our own servers."""
        entry = Entry(id=HELLO, version=Version(5))
        success_of(self.store.receive(entry, bytes_body(b"other")))
        answer = self.browser.ask("POST", "/upload", {}, b"hello")
        self.assertEqual((answer.status, answer.json["reason"]), (409, "other-bytes"))
        self.assertFalse([name for name in answer.headers if name.startswith("x-sos")])

    def test_only_post_is_for_upload_and_only_upload_is_here(self) -> None:
        """Torture H50."""
        answer = self.browser.ask("GET", "/upload")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        self.assertEqual(self.browser.ask("PUT", "/upload").status, 405)
        self.assertEqual(self.browser.ask("DELETE", "/upload/abc").status, 405)
        for path in ("/", "/upload/", "/uploads", "/fetch/abc", "/blobs", "/%75pload"):
            self.assertEqual(self.browser.ask("POST", path).status, 404, path)

    def test_a_fault_of_ours_is_500_without_a_word_of_what_it_was(self) -> None:
        """S10: the log has the traceback, the client has a sentence."""
        answer = browser_of(Flaky(self.store, always=ValueError("secret path"))).ask("POST", "/upload", {}, b"hello")
        self.assertEqual(answer.status, 500)
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_an_object_expires_when_its_uploader_says_so(self) -> None:
        """After so many seconds, or at a moment; neither is kept as metadata."""
        for headers in ({"X-Delete-After": "60"}, {"X-Delete-At": str(int(NOW) + 60)}):
            self.assertEqual(self.browser.ask("POST", "/upload", headers, b"hello").status, 200)
            entry = success_of(self.store.stat(HELLO))
            self.assertEqual((entry.expires, entry.metadata.pairs), (int(NOW) + 60, ()))

    def test_an_expiry_that_makes_no_sense_is_refused(self) -> None:
        """Torture H57."""
        for value in ("-1", "1e3", "\u0665", "1" + "0" * 30, "", "0"):
            sent = {"X-Delete-After": value.encode().decode("latin-1")}
            self.assertEqual(self.browser.ask("POST", "/upload", sent, b"hello").status, 400, value)
        for sent in ({"X-Delete-At": str(int(NOW))}, {"X-Delete-At": "1"}, {"X-Delete-At": "9" * 13}):
            self.assertEqual(self.browser.ask("POST", "/upload", sent, b"hello").status, 400)
        both = {"X-Delete-After": "60", "X-Delete-At": str(int(NOW) + 60)}
        self.assertEqual(self.browser.ask("POST", "/upload", both, b"hello").status, 400)
        self.assertEqual(success_of(self.store.enumerate()), [])


class DeleteTests(SynchronousTestCase):
    """An api over two stores that takes deletes."""

    def setUp(self) -> None:
        """Store an object at both."""
        self.stores = {"a": memory_store("a"), "b": memory_store("b")}
        self.browser = self.browser_of(self.stores)
        self.browser.ask("POST", "/upload", {}, b"hello")

    def browser_of(self, members: Mapping[str, IBlobStore]) -> Browser:
        """Make a client of an api over some members."""
        cluster, clock_ = cluster_of(one=members), Clock()
        copies = Copies(cluster, clock_)
        uploads = Uploads(copies, hashlib.sha1, 1000)
        return Browser(upload_root(uploads, lambda: NOW, Deletes(cluster, copies.needed_in, clock_)))

    def test_a_delete_is_204_and_leaves_a_tombstone_at_every_member(self) -> None:
        """A second one finds nothing."""
        self.assertEqual(self.browser.ask("DELETE", f"/upload/{HELLO}").status, 204)
        for store in self.stores.values():
            self.assertIsInstance(failure_of(store.stat(HELLO)), BlobNotFound)
            self.assertEqual(store.status().deleted, 1)
        self.assertEqual(self.browser.ask("DELETE", f"/upload/{HELLO}").status, 404)

    def test_a_delete_is_202_while_a_member_is_out_of_reach(self) -> None:
        """Replication brings it the tombstone."""
        down = Flaky(self.stores["b"], always=ServerUnavailable("http://b:3001", "refused"))
        browser = self.browser_of({"a": self.stores["a"], "b": down})
        self.assertEqual(browser.ask("DELETE", f"/upload/{HELLO}").status, 202)
        self.assertIsInstance(failure_of(self.stores["a"].stat(HELLO)), BlobNotFound)

    def test_an_object_that_is_uploaded_again_lives(self) -> None:
        """The newest version wins."""
        self.browser.ask("DELETE", f"/upload/{HELLO}")
        self.assertEqual(self.browser.ask("POST", "/upload", {}, b"hello").json["copies"], 2)
        for store in self.stores.values():
            self.assertTrue(success_of(store.stat(HELLO)).is_live)

    def test_what_is_no_id_or_not_there_is_said_so(self) -> None:
        """400 and 404."""
        self.assertEqual(self.browser.ask("DELETE", "/upload/ABC").status, 400)
        self.assertEqual(self.browser.ask("DELETE", "/upload/abc").status, 404)
        self.assertEqual(self.browser.ask("GET", f"/upload/{HELLO}").headers["allow"], "DELETE")
