"""The blob server's resources, through the front, over a memory store."""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from sos.store.memory import MemoryStore
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.words.blob import BlobID, Kind
from sos.words.versions import HybridClock
from tests.support import success_of
from tests.web.browser import NOW, Browser

OURS = {"X-Sos-Protocol": "1"}
SHA256 = hashlib.sha256(b"hello").hexdigest()


class BlobServerTests(SynchronousTestCase):
    """A blob server without a cluster key."""

    def setUp(self) -> None:
        """Make an empty one."""
        self.store = MemoryStore("uuid-1", HybridClock(lambda: NOW))
        self.browser = self.browser_at("127.0.0.1")

    def browser_at(self, address: str, key: bytes | None = None) -> Browser:
        """Make a client of the store with another address."""
        return Browser(blob_server_root(self.store, ClusterGuard(key), lambda: NOW, "1.0"), address)

    def test_alive(self) -> None:
        """The sign of life is the ancestor's."""
        answer = self.browser.ask("GET", "/alive")
        self.assertEqual((answer.status, answer.body), (200, b"alive"))

    def test_a_blob_comes_back_with_its_metadata(self) -> None:
        """POST and PUT store alike; the answer to a write is the ancestor's."""
        for method, name in (("POST", "abc"), ("PUT", "abd")):
            stored = self.browser.ask(method, f"/blob/{name}", {"X-Mime-Type": "text/plain", "X-Colour": "red"}, b"hello")
            self.assertEqual(stored.status, 200)
            self.assertEqual(stored.json, {"id": name, "status": "OK", "size": 5})
            fetched = self.browser.ask("GET", f"/blob/{name}")
            self.assertEqual((fetched.status, fetched.body), (200, b"hello"))
            self.assertEqual(fetched.headers["content-type"], "text/plain")
            self.assertEqual(fetched.headers["x-colour"], "red")
            self.assertEqual(fetched.headers["content-length"], "5")

    def test_a_client_of_the_old_contract_sees_no_internal_header(self) -> None:
        """Ours are sent only to those who speak them."""
        stored = self.browser.ask("POST", "/blob/abc", {}, b"hello")
        fetched = self.browser.ask("GET", "/blob/abc")
        for answer in (stored, fetched):
            self.assertEqual([name for name in answer.headers if name.startswith("x-sos")], [])

    def test_our_own_client_hears_version_digest_kind_and_store(self) -> None:
        """What it sent comes back, and who holds it."""
        sent = {**OURS, "X-Sos-Version": "77", "X-Sos-Sha256": SHA256, "X-Sos-Kind": "manifest"}
        stored = self.browser.ask("POST", "/blob/abc", sent, b"hello")
        fetched = self.browser.ask("HEAD", "/blob/abc", OURS)
        for answer in (stored, fetched):
            self.assertEqual(answer.headers["x-sos-version"], "77")
            self.assertEqual(answer.headers["x-sos-sha256"], SHA256)
            self.assertEqual(answer.headers["x-sos-kind"], "manifest")
            self.assertEqual(answer.headers["x-sos-store"], "uuid-1")
        self.assertIs(success_of(self.store.stat(BlobID("abc"))).kind, Kind.MANIFEST)

    def test_the_same_bytes_again_are_taken_and_other_bytes_are_a_conflict(self) -> None:
        """Nothing changes under an ID but its metadata."""
        self.browser.ask("POST", "/blob/abc", {"X-Colour": "red"}, b"hello")
        self.assertEqual(self.browser.ask("POST", "/blob/abc", {"X-Colour": "blue"}, b"hello").status, 200)
        refused = self.browser.ask("POST", "/blob/abc", {}, b"other")
        self.assertEqual((refused.status, refused.json["reason"]), (409, "other-bytes"))
        kept = self.browser.ask("GET", "/blob/abc")
        self.assertEqual((kept.body, kept.headers["x-colour"]), (b"hello", "blue"))

    def test_an_older_version_is_refused_with_the_version_held(self) -> None:
        """A writer moves its clock past it and sends again."""
        self.browser.ask("POST", "/blob/abc", {**OURS, "X-Sos-Version": "9", "X-Colour": "red"}, b"hello")
        refused = self.browser.ask("POST", "/blob/abc", {**OURS, "X-Sos-Version": "8"}, b"hello")
        self.assertEqual((refused.status, refused.json["reason"], refused.headers["x-sos-version"]), (409, "older", "9"))

    def test_a_blob_that_is_gone_tells_our_own_client_since_which_version(self) -> None:
        """Others get a plain 404, as from the ancestor."""
        self.browser.ask("DELETE", "/blob/abc", {**OURS, "X-Sos-Version": "9"})
        for method in ("GET", "HEAD"):
            answer = self.browser.ask(method, "/blob/abc", OURS)
            self.assertEqual((answer.status, answer.headers["x-sos-version"]), (404, "9"))
            self.assertNotIn("x-sos-version", self.browser.ask(method, "/blob/abc").headers)
            self.assertNotIn("x-sos-version", self.browser.ask(method, "/blob/unknown", OURS).headers)

    def test_bytes_that_are_not_what_was_declared_are_not_kept(self) -> None:
        """Torture H46."""
        for declared in (hashlib.sha256(b"other").hexdigest(), "abc", SHA256.upper()):
            refused = self.browser.ask("POST", "/blob/abc", {**OURS, "X-Sos-Sha256": declared}, b"hello")
            self.assertEqual(refused.status, 400)
        self.assertEqual(self.browser.ask("GET", "/blob/abc").status, 404)

    def test_a_version_no_clock_can_have_made_is_refused(self) -> None:
        """Torture B16."""
        for version in ("-1", "9223372036854775808", "99999999999999999999", "1e3", "", "\u0665"):
            sent = {**OURS, "X-Sos-Version": version.encode().decode("latin-1")}
            self.assertEqual(self.browser.ask("POST", "/blob/abc", sent, b"hello").status, 400, version)

    def test_an_id_outside_the_grammar_is_refused(self) -> None:
        """Torture H41 to H43: judged on the raw bytes, nothing decoded, nothing normalised."""
        for raw in (
            "..",
            ".",
            "%2e%2e",
            "..%2f..%2fetc%2fpasswd",
            "%61bc",
            "ABC",
            "a_b",
            "a" * 129,
            "abc%00",
            "abc%0a",
            "a;x",
            "abc.jpg",
        ):
            for method in ("GET", "HEAD", "POST"):
                self.assertEqual(self.browser.ask(method, f"/blob/{raw}").status, 400, raw)
        for path in ("/blob", "/blob/", "/blob/a/b", "//blob/abc", "/blobs/", "/alive/x", "/%62lob/abc", "/", "/sos.db"):
            self.assertEqual(self.browser.ask("GET", path).status, 404, path)

    def test_a_query_does_not_change_which_blob_it_is(self) -> None:
        """``/blob/ID?x`` is that very blob."""
        self.browser.ask("POST", "/blob/abc", {}, b"hello")
        self.assertEqual(self.browser.ask("GET", "/blob/abc?x").body, b"hello")

    def test_a_method_that_is_not_for_a_path_hears_which_are(self) -> None:
        """Torture H50."""
        for method, path, allowed in (
            ("PATCH", "/blob/abc", "GET, HEAD, POST, PUT, DELETE"),
            ("POST", "/blobs", "GET, HEAD"),
            ("PUT", "/alive", "GET, HEAD"),
            ("OPTIONS", "/status", "GET, HEAD"),
        ):
            answer = self.browser.ask(method, path)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, allowed))
            self.assertIn("error", answer.json)

    def test_ranges(self) -> None:
        """Torture H47: one, several, none of it, and behind the end."""
        self.browser.ask("POST", "/blob/abc", {"X-Mime-Type": "text/plain"}, b"0123456789")
        part = self.browser.ask("GET", "/blob/abc", {"Range": "bytes=2-4"})
        self.assertEqual((part.status, part.body, part.headers["content-range"]), (206, b"234", "bytes 2-4/10"))
        self.assertEqual(part.headers["content-type"], "text/plain")
        beyond = self.browser.ask("GET", "/blob/abc", {"Range": "bytes=10-"})
        self.assertEqual((beyond.status, beyond.headers["content-range"]), (416, "bytes */10"))
        self.assertEqual(self.browser.ask("GET", "/blob/abc", {"Range": "bytes=4-2"}).status, 200)
        several = self.browser.ask("GET", "/blob/abc", {"Range": "bytes=0-1,-2"})
        self.assertEqual(several.status, 206)
        kind, _, boundary = several.headers["content-type"].partition("; boundary=")
        self.assertEqual(kind, "multipart/byteranges")
        self.assertEqual(
            several.body.decode("ascii"),
            f"\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
            f"\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89"
            f"\r\n--{boundary}--\r\n",
        )

    def test_head_answers_what_get_would(self) -> None:
        """The same status and headers, and no body, for a whole, a part, a condition and an error."""
        self.browser.ask("POST", "/blob/abc", {"X-Colour": "red"}, b"0123456789")
        tag = self.browser.ask("GET", "/blob/abc").headers["etag"]
        for headers in (
            {},
            {"Range": "bytes=2-4"},
            {"If-None-Match": tag},
            {"If-Match": '"x"'},
            {"Range": "bytes=99-"},
            OURS,
        ):
            got, head = self.browser.ask("GET", "/blob/abc", headers), self.browser.ask("HEAD", "/blob/abc", headers)
            self.assertEqual((head.status, dict(head.headers), head.body), (got.status, dict(got.headers), b""))
        self.assertEqual(self.browser.ask("HEAD", "/blob/none").status, 404)

    def test_conditions(self) -> None:
        """A client that has the bytes does not get them again."""
        self.browser.ask("POST", "/blob/abc", {}, b"hello")
        fetched = self.browser.ask("GET", "/blob/abc")
        tag, date = fetched.headers["etag"], fetched.headers["last-modified"]
        for headers, status in (
            ({"If-None-Match": tag}, 304),
            ({"If-Modified-Since": date}, 304),
            ({"If-Match": '"x"'}, 412),
            ({"If-Range": '"x"', "Range": "bytes=0-0"}, 200),
            ({"If-Range": tag, "Range": "bytes=0-0"}, 206),
        ):
            self.assertEqual(self.browser.ask("GET", "/blob/abc", headers).status, status, headers)

    def test_the_list_is_ascending_json_however_many_there_are(self) -> None:
        """More than one page of the store, as one array; parameters page and pick."""
        self.assertEqual(self.browser.ask("GET", "/blobs").json, [])
        names = sorted(f"{number:x}" for number in range(2500))
        for name in names:
            self.browser.ask("POST", f"/blob/{name}")
        self.assertEqual(self.browser.ask("GET", "/blobs").json, names)
        self.assertEqual(
            self.browser.ask("GET", "/blobs?limit=3&after=10").json, [name for name in names if name > "10"][:3]
        )
        self.assertEqual(self.browser.ask("GET", "/blobs?prefix=ab").json, [name for name in names if name.startswith("ab")])
        self.assertEqual(self.browser.ask("GET", "/blobs?limit=1001").json, names[:1001])
        self.assertEqual(self.browser.ask("GET", "/blobs?kind=chunk").json, [])

    def test_a_list_that_is_asked_for_badly_is_refused(self) -> None:
        """Torture H58."""
        for query in (
            "limit=-1",
            "limit=0",
            "limit=%D9%A5",
            "limit=",
            "after=../x",
            "prefix=A",
            "kind=cat",
            "limit=1&limit=2",
            "&".join(f"x{number}=" for number in range(17)),
        ):
            self.assertEqual(self.browser.ask("GET", f"/blobs?{query}").status, 400, query)
        self.assertEqual(self.browser.ask("GET", "/blobs?limit=1000000000").status, 200)

    def test_metadata_beyond_the_limits_is_refused(self) -> None:
        """Torture H56."""
        many = {f"X-N{number}": "1" for number in range(65)}
        self.assertEqual(self.browser.ask("POST", "/blob/abc", many, b"hello").status, 400)
        self.assertEqual(self.browser.ask("POST", "/blob/abc", {"X-Long": "x" * 8200}, b"hello").status, 400)
        self.assertEqual(self.browser.ask("GET", "/blob/abc").status, 404)

    def test_steering_from_another_host_needs_the_cluster_key(self) -> None:
        """Without a key the old contract is open to other hosts, and nothing more."""
        other = self.browser_at("10.0.0.7")
        self.assertEqual(other.ask("POST", "/blob/abc", {}, b"hello").status, 200)
        self.assertEqual(other.ask("GET", "/blob/abc").status, 200)
        self.assertEqual(other.ask("POST", "/blob/abd", {"X-Sos-Version": "5"}, b"hello").status, 403)
        self.assertEqual(other.ask("GET", "/blob/abd").status, 404)

    def test_with_a_cluster_key_everything_but_alive_needs_it(self) -> None:
        """Absent and wrong keys are answered alike, whether the blob is there or not."""
        keyed = self.browser_at("10.0.0.7", b"correct-horse-battery")
        right = {"Authorization": "Bearer correct-horse-battery"}
        self.assertEqual(keyed.ask("POST", "/blob/abc", {**right, "X-Sos-Version": "5"}, b"hello").status, 200)
        self.assertEqual(keyed.ask("GET", "/blob/abc", right).status, 200)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "correct-horse-battery"}):
            for method, path in (
                ("GET", "/blob/abc"),
                ("GET", "/blob/none"),
                ("POST", "/blob/abd"),
                ("GET", "/blobs"),
                ("GET", "/status"),
            ):
                answer = keyed.ask(method, path, headers)
                self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
        self.assertEqual(keyed.ask("GET", "/alive").status, 200)

    def test_an_internal_header_that_nobody_knows_is_refused(self) -> None:
        """A later version's steering must not be taken for nothing."""
        self.assertEqual(self.browser.ask("POST", "/blob/abc", {"X-Sos-Magic": "1"}, b"hello").status, 400)

    def test_status(self) -> None:
        """Counts and room, as JSON."""
        self.browser.ask("POST", "/blob/abc", {}, b"hello")
        status = self.browser.ask("GET", "/status").json
        self.assertEqual((status["blobs"], status["bytes"], status["store"]), (1, 5, "uuid-1"))
        self.assertIs(status["read_only"], False)
