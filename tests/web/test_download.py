"""The download port, through the front, over memory stores."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.decisions.tally import usual_min_copies
from sos.http.bodies import BytesBody
from sos.usecases.downloads import VERIFIED_WHOLE, Downloads
from sos.web.download import CACHE_CONTROL, download_root, safe_name
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from sos.words.errors import BlobTruncated, ServerUnavailable
from sos.words.interfaces import IBlobStore, OpenBlob
from tests.support import bytes_body, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store
from tests.web.browser import NOW, Browser


def browser_of(store: IBlobStore) -> Browser:
    """Make a client of an api over one store."""
    downloads = Downloads(cluster_of(one={"a": store}), usual_min_copies, Clock())
    return Browser(download_root(downloads, lambda: NOW))


class DownloadTests(SynchronousTestCase):
    """One object, ``abc``, and whatever a test adds."""

    def setUp(self) -> None:
        """Store the object."""
        self.store = memory_store()
        self.browser = browser_of(self.store)
        self.keep("abc", b"0123456789", {"X-Orig-Filename": "steve.jpg", "X-Mime-Type": "image/jpeg"})

    def keep(self, name: str, payload: bytes, metadata: dict[str, str], kind: Kind = Kind.BLOB) -> None:
        """Store an object."""
        pairs = [(key.encode(), value.encode()) for key, value in metadata.items()]
        entry = Entry(id=BlobID(name), version=Version(int(NOW) * 1000 << 16), metadata=Metadata.of(pairs), kind=kind)
        success_of(self.store.receive(entry, bytes_body(payload)))

    def test_an_object_comes_with_all_that_caches_and_browsers_need(self) -> None:
        """The ID is its tag, and it may be kept for ever."""
        answer = self.browser.ask("GET", "/fetch/abc")
        self.assertEqual((answer.status, answer.body), (200, b"0123456789"))
        self.assertEqual(answer.headers["etag"], '"abc"')
        self.assertEqual(answer.headers["cache-control"], CACHE_CONTROL.decode())
        self.assertEqual(answer.headers["last-modified"], "Tue, 14 Nov 2023 22:13:20 GMT")
        self.assertEqual(answer.headers["accept-ranges"], "bytes")
        self.assertEqual(answer.headers["content-type"], "image/jpeg")
        self.assertEqual(answer.headers["x-orig-filename"], "steve.jpg")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(answer.headers["server"], "sos")

    def test_an_extension_is_ignored(self) -> None:
        """Whatever it is, and however many."""
        for path in ("abc.jpg", "abc.tar.gz", "abc.", "abc..%2f"):
            self.assertEqual(self.browser.ask("GET", f"/fetch/{path}").status, 200, path)

    def test_a_bad_id_is_400_and_an_unknown_one_404(self) -> None:
        """And a path that is no path of this port is 404."""
        for path, status in (
            ("/fetch/ABC", 400),
            ("/fetch/.jpg", 400),
            ("/fetch/abd", 404),
            ("/fetch/", 404),
            ("/upload", 404),
            ("/blob/abc", 404),
            ("/status", 404),
        ):
            answer = self.browser.ask("GET", path)
            self.assertEqual(answer.status, status, path)
            self.assertIn("error", answer.json)

    def test_ranges_and_conditions(self) -> None:
        """As for a blob, with the ID as the tag."""
        part = self.browser.ask("GET", "/fetch/abc", {"Range": "bytes=-3"})
        self.assertEqual((part.status, part.body), (206, b"789"))
        self.assertEqual(self.browser.ask("GET", "/fetch/abc", {"If-None-Match": '"abc"'}).status, 304)

    def test_head_answers_what_get_would(self) -> None:
        """The same headers, and no body."""
        got, head = self.browser.ask("GET", "/fetch/abc?download"), self.browser.ask("HEAD", "/fetch/abc?download")
        self.assertEqual((head.status, dict(head.headers), head.body), (200, dict(got.headers), b""))

    def test_download_suggests_a_name_that_harms_nobody(self) -> None:
        """Torture H55: the name that was asked for, or the one it was uploaded under, or none."""
        for query, disposition in (
            ("download", "attachment; filename=\"steve.jpg\"; filename*=UTF-8''steve.jpg"),
            ("download=cat.png", "attachment; filename=\"cat.png\"; filename*=UTF-8''cat.png"),
            ("download=../../etc/passwd", "attachment; filename=\"passwd\"; filename*=UTF-8''passwd"),
            ("download=a%0d%0aX-Evil:%201", "attachment; filename=\"a_X-Evil_ 1\"; filename*=UTF-8''a_X-Evil_%201"),
            ("download=%22%5C", "attachment"),
            ("download=..", "attachment"),
            ("download=%C3%A9.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"),
        ):
            answer = self.browser.ask("GET", f"/fetch/abc?{query}")
            self.assertEqual(answer.headers["content-disposition"], disposition)
            self.assertNotIn("x-evil", answer.headers)
        self.assertNotIn("content-disposition", self.browser.ask("GET", "/fetch/abc").headers)

    def test_a_long_name_keeps_its_extension(self) -> None:
        """And an override that shows ``exe.txt`` for ``txt.exe`` is taken out."""
        self.assertTrue(safe_name("x" * 10_000 + ".jpg").endswith("x.jpg"))
        self.assertLessEqual(len(safe_name("x" * 10_000 + ".jpg")), 200)
        self.assertEqual(safe_name("a\u202etxt.exe"), "a_txt.exe")

    def test_what_could_run_in_a_browser_is_not_shown_in_place(self) -> None:
        """S11: whoever may upload must not get to write pages in the name of the site."""
        for number, kind in enumerate(
            ("text/html", "image/svg+xml", "application/xml", "text/javascript", "Text/HTML; charset=x")
        ):
            self.keep(f"active{number}", b"<script>", {"X-Mime-Type": kind})
            for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-1"})):
                answer = self.browser.ask(method, f"/fetch/active{number}", headers)
                self.assertEqual(answer.headers["content-disposition"], "attachment")
                self.assertEqual(answer.headers["content-security-policy"], "sandbox; default-src 'none'")

    def test_a_chunk_is_404(self) -> None:
        """Parts of objects are not for the public."""
        self.keep("part", b"hello", {}, Kind.CHUNK)
        self.assertEqual(self.browser.ask("GET", "/fetch/part").status, 404)

    def test_an_internal_header_is_refused_and_none_is_sent(self) -> None:
        """S7, on the way in and on the way out."""
        self.assertEqual(self.browser.ask("GET", "/fetch/abc", {"X-Sos-Protocol": "1"}).status, 400)
        headers = self.browser.ask("GET", "/fetch/abc").headers
        self.assertEqual([name for name in headers if name.startswith("x-sos")], [])

    def test_members_out_of_reach_are_503_with_retry_after(self) -> None:
        """It may be there: 404 would be a lie."""
        down = Flaky(memory_store(), always=ServerUnavailable("http://a:3001", "connection refused"))
        answer = browser_of(down).ask("GET", "/fetch/abc")
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
        self.assertNotIn("3001", answer.body.decode())

    def test_a_member_that_breaks_off_in_a_long_object_breaks_the_connection(self) -> None:
        """A client must never take a part for the whole."""

        class Breaking(BytesBody):
            def next_piece(self) -> bytes:
                piece = super().next_piece()
                if not piece:
                    raise BlobTruncated("the member is gone")
                return piece

        store, size = self.store, VERIFIED_WHOLE + 1

        class Member(Flaky):
            async def fetch(self, blob_id: BlobID, span: object = None) -> OpenBlob:
                entry = evolve(await store.stat(blob_id), size=size)
                return OpenBlob(entry, Breaking(b"01234", b"56789"))

        answer = browser_of(Member(store)).ask("GET", "/fetch/abc")
        self.assertTrue(answer.was_dropped)
        self.assertEqual(answer.headers["content-length"], str(size))
