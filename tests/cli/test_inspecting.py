"""``sos ls``, ``sos stat`` and ``sos status``, against blob servers in memory: their answers pass through real HTTP."""

from __future__ import annotations

import io

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from sos.cli.command_options import InspectionOptions
from sos.cli.ls import LsOptions, row_of
from sos.cli.progress import BarOfProgress, NoProgress, progress_of_bytes, progress_of_objects
from sos.cli.stat import StatOptions
from sos.cli.status import StatusOptions, condition_of, print_table
from sos.cli.verify import VerifyOptions
from sos.decisions.condition import Condition, Verdict
from sos.decisions.reconcile import Listed
from sos.decisions.topology import Server, Topology
from sos.http.client import Client
from sos.http.front import Front
from sos.remote import RemoteStore
from sos.remote_replica import RemoteReplica
from sos.usecases.inspection import agreement_of, whereabouts_of
from sos.web.blobs import blob_server_root
from sos.web.guards import ClusterGuard
from sos.words.blob import BlobID, Entry, Kind, Metadata, Version
from tests.support import success_of
from tests.support_wire import ScriptedServer, memory_connector
from tests.usecases.cluster_of import NOW, memory_store, put, put_chunked

A, B = Server("http://a:3001"), Server("http://b:3001")


class OptionsTests(SynchronousTestCase):
    """What a command line says of the members."""

    def test_servers_are_named_as_for_replicate(self) -> None:
        """And the ID may stand before them."""
        options = StatOptions()
        options.parseOptions(["abc", "-blob-server", f"{A},{B}", "--json"])
        self.assertEqual((options.object_id, options.topology.servers, options["json"]), ("abc", (A, B), 1))

    def test_a_mistake_is_named_before_anybody_is_asked(self) -> None:
        """No servers, no ID, too much, no key."""
        for kind, arguments in (
            (StatOptions, []),
            (StatOptions, ["A", f"--blob-server={A}"]),
            (LsOptions, ["abc", f"--blob-server={A}"]),
            (LsOptions, ["--prefix=A", f"--blob-server={A}"]),
            (StatusOptions, ["--config=/nonexistent"]),
            (VerifyOptions, ["abc", f"--blob-server={A}"]),
            (StatusOptions, [f"--blob-server={A}", "--cluster-key-file=/nonexistent"]),
        ):
            options: InspectionOptions = kind()
            self.assertRaises(UsageError, options.parseOptions, arguments)


class StatusTests(SynchronousTestCase):
    """Two blob servers."""

    def setUp(self) -> None:
        """Start them."""
        self.fronts: dict[str, IProtocolFactory] = {A.url: self.front("a"), B.url: self.front("b")}
        self.client = Client(memory_connector(self.fronts), Clock())

    def front(self, uuid: str, key: bytes | None = None) -> Front:
        """Make a blob server with one blob."""
        store = memory_store(uuid)
        put(store, b"hello", "abc")
        return Front(blob_server_root(store, ClusterGuard(key), lambda: NOW, "1.2.3"), Clock(), lambda: NOW)

    def condition(self, key: bytes | None = None) -> Condition:
        """Ask how they are."""
        stores = {server: RemoteStore(self.client, server.url, key) for server in (A, B)}
        return success_of(condition_of(Topology.of_servers((A, B)), stores))

    def test_what_a_blob_server_says_is_what_is_shown(self) -> None:
        """The fields of ``/status`` are those that are read."""
        members = self.condition().groups[0].members
        assert members[0].report is not None
        self.assertEqual((members[0].report.blobs, members[0].report.size), (1, 5))
        self.assertEqual((members[0].report.version, members[0].report.store), ("1.2.3", "a"))

    def test_one_that_is_gone_is_named_with_the_reason(self) -> None:
        """In the table, and in the sentence."""
        del self.fronts[B.url]
        condition = self.condition()
        self.assertIs(condition.verdict, Verdict.AT_RISK)
        shown = io.StringIO()
        print_table(condition, shown)
        lines = shown.getvalue().splitlines()
        self.assertTrue(any(B.url in line and "down: it refused the connection" in line for line in lines))
        self.assertTrue(lines[-1].startswith("At risk: "))
        self.assertNotIn("\x1b", shown.getvalue())

    def test_the_key_goes_along(self) -> None:
        """Without it, or with another, the member is not up for us; the sentence says what to do."""
        key = b"0123456789abcdef"
        self.fronts.update({server.url: self.front(server.url, key) for server in (A, B)})
        self.assertTrue(all(member.is_up for member in self.condition(key).groups[0].members))
        for wrong in (None, b"fedcba9876543210"):
            member = self.condition(wrong).groups[0].members[0]
            self.assertIn("cluster key", member.why_down or "")

    def test_a_member_of_the_old_contract_gives_a_sign_of_life(self) -> None:
        """It has no ``/status``."""
        server = ScriptedServer()
        store = RemoteStore(Client(server, Clock()), A.url)
        asking = condition_of_one(store)
        server.last.feed(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n")
        server.last.feed(b"HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\nalive")
        member = self.successResultOf(asking).groups[0].members[0]
        self.assertTrue(member.is_up)
        self.assertIsNone(member.report)

    def test_a_status_that_is_none_is_not_believed(self) -> None:
        """Not JSON, too much of it, or not the fields."""
        for body in (b"<html>", b" " * 70_000, b'{"version":"1"}', b"[" * 60_000):
            server = ScriptedServer()
            asking = condition_of_one(RemoteStore(Client(server, Clock()), A.url))
            server.last.feed(b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            member = self.successResultOf(asking).groups[0].members[0]
            self.assertFalse(member.is_up, body[:20])

    def test_verify_compares_what_members_say(self) -> None:
        """Equal, different, and out of reach."""
        stores = {server: RemoteReplica(self.client, server.url) for server in (A, B)}
        topology = Topology.of_servers((A, B))
        self.assertTrue(success_of(agreement_of(topology, stores)).is_equal)
        success_of(stores[B].remove(BlobID("abc"), Version(9)))
        self.assertFalse(success_of(agreement_of(topology, stores)).is_equal)
        del self.fronts[B.url]
        stores[B] = RemoteReplica(Client(memory_connector(self.fronts), Clock()), B.url)
        found = success_of(agreement_of(topology, stores))
        self.assertIn(f"{B} cannot be compared: it refused the connection", next(found.lines))

    def test_verify_names_members_without_digests(self) -> None:
        """Servers of the old contract."""
        server = ScriptedServer()
        stores = {A: RemoteReplica(Client(server, Clock()), A.url)}
        asking = Deferred.fromCoroutine(agreement_of(Topology.of_servers((A,)), stores))
        server.last.feed(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n")
        self.assertIn("keeps no digests", next(self.successResultOf(asking).lines))

    def test_status_shows_rounds_and_what_is_not_served(self) -> None:
        """Also how long ago the last round was."""
        store = RemoteReplica(self.client, A.url)
        before = success_of(store.status())
        assert before is not None
        self.assertEqual((before["round"], before["group"], before["replication_age"]), (0, None, None))
        success_of(store.note_round(3, "default"))
        success_of(store.remove(BlobID("abc"), Version(9)))
        after = success_of(store.status())
        assert after is not None
        self.assertEqual((after["round"], after["group"], after["replication_age"]), (3, "default", 0.0))
        self.assertEqual((after["blobs"], after["deleted"], after["damaged"], after["strays"]), (0, 1, 0, 0))
        self.assertEqual(after["partial"], False)
        success_of(store.note_round(4, "default", True))
        partial = success_of(store.status())
        assert partial is not None
        self.assertEqual((partial["round"], partial["partial"]), (4, True))

    def test_stat_shows_the_size_of_an_object_in_chunks(self) -> None:
        """For people and for scripts; a member whose manifest is none knows nothing that could be used."""
        stores = [memory_store("a"), memory_store("b")]
        put_chunked(stores[0], b"0123456789", "abc", 4)
        put(stores[1], b"{}", "abc", kind=Kind.MANIFEST)
        for server, store in zip((A, B), stores, strict=True):
            self.fronts[server.url] = Front(
                blob_server_root(store, ClusterGuard(None), lambda: NOW, "1.2.3"), Clock(), lambda: NOW
            )
        remote = {server: RemoteReplica(self.client, server.url) for server in (A, B)}
        found = success_of(whereabouts_of(BlobID("abc"), Topology.of_servers((A, B)), remote))
        lines = list(found.lines)
        for line in ("  size      10", "  kind      manifest", "  chunks    3"):
            self.assertIn(line, lines)
        self.assertTrue(lines[0].startswith("abc: 1 of 2 copies in group default; 1 member out of reach"))
        first, second = found.shape["members"]
        self.assertEqual((first["size"], first["kind"], first["chunks"]), (10, "manifest", 3))
        self.assertEqual(second["state"], "unknown")
        self.assertIn("damaged", second["reason"])

    def test_stat_tells_absent_from_unknown(self) -> None:
        """A member that is down has not said no."""
        del self.fronts[B.url]
        stores = {server: RemoteStore(self.client, server.url) for server in (A, B)}
        found = success_of(whereabouts_of(BlobID("abc"), Topology.of_servers((A, B)), stores))
        self.assertEqual([known.word for known in found.home[1]], ["present", "unknown"])
        found = success_of(whereabouts_of(BlobID("other"), Topology.of_servers((A, B)), stores))
        self.assertEqual([known.word for known in found.home[1]], ["absent", "unknown"])


class RowTests(SynchronousTestCase):
    """The lines of ``sos ls --long``."""

    def test_columns_are_apart_by_white_space(self) -> None:
        """Only the name, at the end, may have some in it; none can end the line."""
        metadata = Metadata.of([(b"X-Mime-Type", b"text/plain; charset=utf-8"), (b"X-Orig-Filename", "a b\u2028c".encode())])
        entry = Entry(id=BlobID("abc"), size=12, metadata=metadata)
        row = row_of(Listed(BlobID("abc"), (A, B)), entry)
        self.assertEqual(row.split(maxsplit=4), ["12", "2", "abc", "text/plain;charset=utf-8", "a b\\u2028c"])

    def test_what_is_not_known_is_a_dash(self) -> None:
        """So that the columns stay where they are."""
        self.assertEqual(row_of(Listed(BlobID("abc"), (A,)), None).split(), ["-", "1", "abc", "-", "-"])


class ProgressTests(SynchronousTestCase):
    """Who is shown how far it is."""

    def test_a_terminal_that_wants_it(self) -> None:
        """A file is shown nothing, and neither is who asked for quiet."""

        class Terminal(io.StringIO):
            """Says that it is one."""

            def isatty(self) -> bool:
                """Say so."""
                return True

        for make in (progress_of_bytes, progress_of_objects):
            self.assertIsInstance(make(io.StringIO(), True), NoProgress)
            self.assertIsInstance(make(Terminal(), False), NoProgress)
            terminal = Terminal()
            progress = make(terminal, True)
            self.assertIsInstance(progress, BarOfProgress)
            progress.begin("[red]file", 10)
            progress.advance(5)
            progress.end()
            progress.end()
            self.assertTrue(terminal.getvalue())


def condition_of_one(store: RemoteStore) -> Deferred[Condition]:
    """Ask one member."""
    return Deferred.fromCoroutine(condition_of(Topology.of_servers((A,)), {A: store}))
