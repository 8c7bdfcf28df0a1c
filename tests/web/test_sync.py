"""``/sync`` over a store in memory: paths, methods, shapes, and who may ask. `tests.corpus.sync` has what is bad."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from sos.decisions import batch_wire
from sos.decisions.buckets import bucket_of
from sos.store.memory import MemoryStore
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.words.blob import BlobID, Entry, Version
from sos.words.versions import HybridClock
from tests.support import bytes_body, success_of
from tests.web.browser import NOW, Answer, Browser

OURS = {"X-Sos-Protocol": "1"}
HELLO = Entry(id=BlobID("abc"), version=Version(7))
SHA256 = hashlib.sha256(b"hello").hexdigest()
READS = [
    "/sync",
    "/sync/digests",
    "/sync/digests/63",
    "/sync/bucket/4095",
    "/sync/strays",
    "/sync/tombstones",
    "/sync/blob/abc",
]
WRITES = ["/sync/renew/abc", "/sync/forget/abc", "/sync/suspect/abc", "/sync/drop", "/sync/round", "/sync/scrub"]


class _InTurns(MemoryStore):
    """Keeps what it is given to make in turns."""

    def __init__(self, uuid: str, clock: HybridClock) -> None:
        """Be empty."""
        super().__init__(uuid, clock)
        self.made: list[Sequence[bytes]] = []

    async def in_turns(self, pieces: Iterable[bytes]) -> Sequence[bytes]:
        """Make them."""
        self.made.append(await super().in_turns(pieces))
        return self.made[-1]


class SyncTests(SynchronousTestCase):
    """A store with one blob."""

    def setUp(self) -> None:
        """Make it."""
        self.now = NOW
        self.store = MemoryStore("uuid-1", HybridClock(lambda: self.now), tombstone_age=5.0)
        success_of(self.store.receive(HELLO, bytes_body(b"hello")))
        self.browser = self.browser_at("127.0.0.1")

    def browser_at(self, address: str, key: bytes | None = None) -> Browser:
        """Make a client of the store with another address."""
        return Browser(blob_server_root(self.store, ClusterGuard(key), lambda: self.now, "1.0"), address)

    def json_of(self, path: str, method: str = "GET", headers: Mapping[str, str] = {}, body: bytes = b"") -> Any:
        """Ask, and give what comes back, which must be well."""
        answer = self.browser.ask(method, path, headers, body)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        return answer.json

    def test_a_store_that_met_only_a_part_of_its_group_says_so_with_each_answer(self) -> None:
        """And in its summary; until the next round that is noted without that."""
        for number, partial, said in ((3, b"true", "1"), (4, b"false", None)):
            self.json_of("/sync/round", "POST", body=b'{"round":%d,"group":"one","partial":%s}' % (number, partial))
            self.assertIs(self.json_of("/sync")["partial"], said is not None)
            self.assertEqual(self.browser.ask("GET", "/alive", OURS).headers.get("x-sos-partial"), said)

    def test_the_store_says_what_it_holds(self) -> None:
        """In one digest, with counts, clock, round and group."""
        success_of(self.store.note_round(3, "one"))
        summary = success_of(self.store.summary())
        expected = {"store": "uuid-1", "root": summary.root.hex(), "live": 1, "deleted": 0, "damaged": 0, "strays": 0}
        dropped = {"dropped_round": 0, "dropped_version": 0}
        opened = {"time": 1_700_000_000, "uptime": 0, "incarnation": self.store.incarnation}
        stands = {"clock": summary.clock, "round": 3, "group": "one", "partial": False}
        self.assertEqual(self.json_of("/sync"), {**expected, **stands, **dropped, **opened})

    def test_digests_lead_to_a_bucket_and_its_entries(self) -> None:
        """Parts, buckets of a part, entries of a bucket."""
        place = bucket_of(HELLO.id)
        parts = self.json_of("/sync/digests")
        part, bucket = divmod(place, 64)
        self.assertEqual(len(parts), 64)
        self.assertEqual([number for number, digest in enumerate(parts) if digest != parts[part - 1]], [part])
        buckets = self.json_of(f"/sync/digests/{part}")
        self.assertEqual([number for number, digest in enumerate(buckets) if int(digest, 16)], [bucket])
        entry = {"id": "abc", "version": 7, "state": "live", "kind": "blob", "size": 5, "sha256": SHA256}
        self.assertEqual(self.json_of(f"/sync/bucket/{place}"), [entry])

    def test_long_answers_are_made_in_turns(self) -> None:
        """Lists and batches are written piece by piece, and so are a batch's bytes."""
        store = _InTurns("uuid-1", HybridClock(lambda: self.now))
        names = [f"n{number}" for number in range(40)]
        for name in names:
            success_of(store.receive(Entry(id=BlobID(name), version=Version(7)), bytes_body(bytes(4096))))
        browser = Browser(blob_server_root(store, ClusterGuard(None), lambda: self.now, "1.0"), "127.0.0.1")
        buckets = {bucket_of(BlobID(name)) for name in names}
        listed = [browser.ask("GET", f"/sync/bucket/{bucket}", {}, b"").json for bucket in sorted(buckets)]
        self.assertEqual(sum(map(len, listed)), len(names))
        self.assertEqual(len(store.made), len(buckets))
        store.made.clear()
        batch = browser.ask("POST", "/sync/fetch", {}, batch_wire.names_json([BlobID(name) for name in names]))
        self.assertEqual([parcel.entry.id for parcel in batch_wire.batch_of(batch.body)], names)
        head, payload = store.made
        self.assertGreater(len(head), 3)
        self.assertGreater(len(payload), 5)
        self.assertEqual(b"".join(payload), batch.body)

    def test_entries_come_in_pages(self) -> None:
        """Behind a name, so many; more than a thousand are never given."""
        for number in range(3):
            success_of(self.store.remove(BlobID(f"gone{number}"), Version(9), True))
        for path, expected in (
            ("/sync/strays", ["gone0", "gone1", "gone2"]),
            ("/sync/strays?limit=2", ["gone0", "gone1"]),
            ("/sync/strays?after=gone0&limit=999999999", ["gone1", "gone2"]),
            ("/sync/strays?limit=0", []),
            ("/sync/strays?after=zzz", []),
            ("/sync/tombstones", []),
        ):
            self.assertEqual([entry["id"] for entry in self.json_of(path)], expected, path)
        self.assertTrue(self.json_of("/sync/strays")[0]["stray"])

    def test_a_renewal_brings_metadata_without_bytes(self) -> None:
        """404 where the bytes are not here, 409 for what is older."""
        headers = {"X-Sos-Version": "9", "X-Sos-SHA256": SHA256, "X-Sos-Size": "5", "X-Colour": "red"}
        self.assertEqual(self.json_of("/sync/renew/abc", "POST", headers), {"id": "abc", "status": "OK", "size": 5})
        self.assertEqual(success_of(self.store.stat(HELLO.id)).metadata.value(b"x-colour"), b"red")
        for name, change, status in (
            ("abd", {}, 404),
            ("abc", {"X-Sos-Version": "10", "X-Sos-SHA256": "00" * 32, "X-Sos-Size": "6"}, 409),
            ("abc", {"X-Sos-Version": "8"}, 409),
            ("abc", {"X-Sos-SHA256": "0"}, 400),
            ("abc", {"X-Sos-Unknown": "0"}, 400),
        ):
            answer = self.browser.ask("POST", f"/sync/renew/{name}", {**headers, **change})
            self.assertEqual(answer.status, status, (name, change, answer.body))
        answer = self.browser.ask("POST", "/sync/renew/abc", {**OURS, **headers, "X-Sos-Version": "8"})
        self.assertEqual((answer.json["reason"], answer.headers["x-sos-version"]), ("older", "9"))

    def test_a_stray_is_forgotten_at_its_version_only(self) -> None:
        """Once it was carried home."""
        success_of(self.store.receive(evolve(HELLO, id=BlobID("abd"), is_stray=True), bytes_body(b"hello")))
        for version, left in (("6", 1), ("7", 0)):
            self.assertEqual(self.json_of("/sync/forget/abd", "POST", {"X-Sos-Version": version}), {})
            self.assertEqual(success_of(self.store.summary()).strays, left)

    def test_a_pass_of_the_scrub_has_a_number(self) -> None:
        """And ``/status`` says that it has ended."""
        self.assertEqual(self.json_of("/sync/scrub", "POST"), {"pass": 1})
        scrub = self.json_of("/status")["scrub"]
        self.assertEqual((scrub["passes"], scrub["age"], scrub["share"]), (1, 0, None))
        self.assertEqual(scrub["found"], {"damaged": 0, "rows": 0, "orphans": 0, "books": 0, "foreign": 0})

    def test_tombstones_are_dropped_when_they_are_old(self) -> None:
        """At their version, and not before."""
        success_of(self.store.remove(HELLO.id, Version(9)))
        for body, seconds, count in ((b'[["abc",9]]', 0, 0), (b'[["abc",8]]', 6, 0), (b'[["abc",9],["abx",1]]', 0, 1)):
            self.now += seconds
            self.assertEqual(self.json_of("/sync/drop", "POST", {}, body), {"count": count})
        self.assertEqual(success_of(self.store.summary()).deleted, 0)

    def test_a_round_is_noted_for_one_group(self) -> None:
        """Another is a conflict."""
        self.assertEqual(self.json_of("/sync/round", "POST", {}, b'{"round":4,"group":"one"}'), {})
        self.assertEqual((self.store.round, self.store.group), (4, "one"))
        self.assertEqual(self.browser.ask("POST", "/sync/round", {}, b'{"round":5,"group":"two"}').status, 409)
        self.assertEqual(self.json_of("/sync/suspect/abc", "POST"), {})
        self.assertEqual(self.browser.ask("GET", "/sync", OURS).headers["x-sos-round"], "4")

    def test_each_path_has_its_methods(self) -> None:
        """Others are 405, with the right ones; what lies beside is 404."""
        for paths, wrong, right in ((READS, "POST", "GET"), (WRITES, "GET", "POST")):
            for path in paths:
                answer = self.browser.ask(wrong, path)
                self.assertEqual((answer.status, answer.headers.get("allow")), (405, right), path)
                self.assertEqual(self.browser.ask("DELETE", path).status, 405)
        for path in (
            "/sync/",
            "/sync/x",
            "/sync/bucket",
            "/sync/bucket/",
            "/sync/digests/",
            "/sync/renew",
            "/sync/bucket/0/0",
        ):
            self.assertEqual(self.browser.ask("GET", path).status, 404, path)

    def test_a_place_that_there_is_not_is_404(self) -> None:
        """Torture H58."""
        for place in ("4096", "-1", "%D9%A5", str(10**30), "+1", "01", "1_0"):
            self.assertEqual(self.browser.ask("GET", f"/sync/bucket/{place}").status, 404, place)
        self.assertEqual(self.browser.ask("GET", "/sync/digests/64").status, 404)

    def everything(self, browser: Browser, headers: Mapping[str, str] = {}) -> set[int]:
        """Ask all of it, and give the statuses."""
        answers: list[Answer] = [browser.ask("GET", path, headers) for path in READS]
        answers += [browser.ask("POST", path, headers, b"x") for path in WRITES]
        return {answer.status for answer in answers}

    def test_other_hosts_may_not_ask(self) -> None:
        """Without a key nobody beyond this host; and nothing has changed."""
        self.assertEqual(self.everything(self.browser_at("10.0.0.1")), {403})

    def test_with_a_key_nobody_may_ask_without_it(self) -> None:
        """This host neither; with it, other hosts may."""
        for address in ("127.0.0.1", "10.0.0.1"):
            browser = self.browser_at(address, b"0123456789abcdef")
            self.assertEqual(self.everything(browser), {401})
            self.assertEqual(self.everything(browser, {"Authorization": "Bearer fedcba9876543210"}), {401})
            self.assertEqual(browser.ask("GET", "/sync", {"Authorization": "Bearer 0123456789abcdef"}).status, 200)

    def test_a_body_has_a_limit(self) -> None:
        """Torture B15."""
        for path in ("/sync/drop", "/sync/round"):
            self.assertEqual(self.browser.ask("POST", path, {}, b" " * 300_000).status, 413)

    def test_our_own_client_hears_store_clock_and_round(self) -> None:
        """With every answer, refusals too; others hear nothing of it."""
        for path in ("/sync", "/sync/bucket/0", "/sync/bucket/0?limit=x"):
            told = [name for name in self.browser.ask("GET", path, OURS).headers if name.startswith("x-sos-")]
            self.assertEqual(sorted(told), ["x-sos-clock", "x-sos-incarnation", "x-sos-round", "x-sos-store"])
            self.assertFalse([name for name in self.browser.ask("GET", path).headers if name.startswith("x-sos-")])
