"""``sos get``: whole and verified, or not at all; taken up again where it breaks off."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from sos.cli.api_client import Download
from sos.cli.get import GetOptions, Retrieval
from sos.cli.targets import FileTarget, StreamTarget
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BadInput, BlobNotFound, BlobTruncated, DigestMismatch, ServerUnavailable, Unavailable
from tests.cli.api_in_memory import Api, client_of, downloads_from
from tests.support import bytes_body, success_of
from tests.support_wire import ScriptedServer
from tests.usecases.cluster_of import memory_store, put_chunked

PAYLOAD = bytes(range(256)) * 4
SHA1 = BlobID(hashlib.sha1(PAYLOAD).hexdigest())
SHA256 = BlobID(hashlib.sha256(PAYLOAD).hexdigest())


def options_of(*arguments: str) -> GetOptions:
    """Read a command line."""
    options = GetOptions()
    options.parseOptions(arguments)
    return options


@pytest.mark.parametrize(
    ("arguments", "filename", "is_terminal", "path"),
    [
        (["-o", "x"], b"name", True, "x"),
        (["-output=x"], b"name", False, "x"),
        (["-o", "-"], b"name", True, None),
        ([], b"name", False, None),
        ([], "f\xfcnf.jpg".encode(), True, "f\xfcnf.jpg"),
        ([], b"../../etc/passwd", True, "passwd"),
        ([], b"..", True, SHA1),
        ([], b"-rf", True, "rf"),
        ([], b"a\x1b[2Jb", True, "a_[2Jb"),
        ([], None, True, SHA1),
    ],
)
def test_where_it_goes(arguments: list[str], filename: bytes | None, is_terminal: bool, path: str | None) -> None:
    """As asked; else not onto a terminal, and under no name that a client could have chosen to do harm."""
    found = options_of(SHA1, *arguments).path_for(Download(0, 5, filename, None), is_terminal)
    assert found == (None if path is None else Path(path))


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], ["A"], ["a/b"], ["a", "--url", "ftp://x"], ["a", "-o", ""], ["\udcff"]]
)
def test_a_mistake_is_named_before_anything_is_asked(arguments: list[str]) -> None:
    """It is an error of usage."""
    with pytest.raises(UsageError):
        options_of(*arguments)


class RetrievalCase(SynchronousTestCase):
    """Downloads into a directory."""

    def setUp(self) -> None:
        """Make an empty one."""
        temporary = tempfile.TemporaryDirectory()  # mktemp would leave it in the checkout, under pytest
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.path = self.directory / "file"
        self.err = io.StringIO()

    @property
    def files(self) -> Mapping[str, bytes]:
        """All files that are there."""
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}


class WholeTests(RetrievalCase):
    """From an api over one store."""

    def setUp(self) -> None:
        """Store an object under three names: both of its digests, and one that is none."""
        super().setUp()
        store = memory_store()
        for name in (SHA1, SHA256, BlobID("name"), BlobID("0" * 40)):
            entry = Entry(id=name, version=Version(1), metadata=Metadata.of([(b"X-Orig-Filename", b"photo.jpg")]))
            success_of(store.receive(entry, bytes_body(PAYLOAD)))
        self.api = Api(downloads_from(store))

    def test_an_object_in_chunks_is_verified_as_any_other(self) -> None:
        """From its beginning, and from the middle of a chunk."""
        store = memory_store()
        put_chunked(store, PAYLOAD, SHA1, 100)
        self.api = Api(downloads_from(store))
        self.fetch(SHA1)
        self.assertEqual(self.files, {"file": PAYLOAD})
        rest = self.api.result(self.api.client.open(SHA1, 150))
        self.assertEqual((rest.start, rest.size), (150, len(PAYLOAD)))

    def fetch(self, name: str, may_replace: bool = False) -> None:
        """Download into the file."""
        target = lambda download: FileTarget(self.path, may_replace)  # noqa: E731
        with redirect_stderr(self.err):
            self.api.result(Retrieval(self.api.client, BlobID(name), target, Clock()).run())

    def test_the_bytes_are_there_and_nothing_else(self) -> None:
        """Under either digest; the file is as readable as any new one."""
        for name in (SHA1, SHA256):
            self.fetch(name)
            self.assertEqual(self.files, {"file": PAYLOAD})
            beside = self.directory / "beside"
            beside.touch()
            self.assertEqual(self.path.stat().st_mode, beside.stat().st_mode)
            self.path.unlink()
            beside.unlink()
        self.assertEqual(self.err.getvalue(), "")

    def test_a_file_is_not_replaced_unless_told(self) -> None:
        """And then at once."""
        self.path.write_bytes(b"mine")
        self.assertRaises(BadInput, self.fetch, SHA1)
        self.assertEqual(self.files, {"file": b"mine"})
        self.fetch(SHA1, may_replace=True)
        self.assertEqual(self.files, {"file": PAYLOAD})

    def test_what_is_no_file_is_never_replaced(self) -> None:
        """A directory, or a device, whatever one is told."""
        self.path.mkdir()
        self.assertRaises(BadInput, self.fetch, SHA1, True)
        self.assertTrue(self.path.is_dir())
        self.assertEqual(len(list(self.directory.iterdir())), 1)

    def test_a_file_that_comes_in_between_stays(self) -> None:
        """Two downloads to one name: the first that ends has it."""
        target = FileTarget(self.path, False)
        target.write(b"late")
        self.path.write_bytes(b"first")
        self.assertRaises(BadInput, target.keep)
        target.discard()
        self.assertEqual(self.files, {"file": b"first"})

    def test_what_is_not_there_leaves_nothing(self) -> None:
        """No empty file either."""
        self.assertRaises(BlobNotFound, self.fetch, "1" * 40)
        self.assertEqual(self.files, {})

    def test_a_name_that_is_no_digest_is_said_to_be_unverified(self) -> None:
        """The bytes are there all the same."""
        self.fetch("name")
        self.assertEqual(self.files, {"file": PAYLOAD})
        self.assertIn("name is no digest", self.err.getvalue())

    def test_nobody_there_fails_at_once(self) -> None:
        """There is nothing to be taken up again."""
        self.api = Api(None)
        self.assertRaises(ServerUnavailable, self.fetch, SHA1)

    def test_a_stream_gets_the_same_bytes(self) -> None:
        """Piece by piece."""
        stream = io.BytesIO()
        self.api.result(Retrieval(self.api.client, SHA1, lambda download: StreamTarget(stream), Clock()).run())
        self.assertEqual(stream.getvalue(), PAYLOAD)


class BrokenTests(RetrievalCase):
    """From an api that the test plays."""

    def setUp(self) -> None:
        """Begin a download."""
        super().setUp()
        self.server = ScriptedServer()
        self.clock = Clock()
        client = client_of(self.server, self.clock)
        self.retrieval = Retrieval(client, SHA1, lambda download: FileTarget(self.path, False), self.clock)
        self.running = Deferred.fromCoroutine(self.retrieval.run())

    def send(self, status: int, body: bytes, *headers: bytes, length: int | None = None) -> None:
        """Answer the newest request; with a `length` that is more than there is, the connection breaks off."""
        lines = b"".join(b"%b\r\n" % header for header in headers)
        count = len(body) if length is None else length
        with redirect_stderr(self.err):
            self.server.last.feed(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n%b\r\n%b" % (status, count, lines, body))
            if count > len(body):
                self.server.last.close()

    def send_part(self, start: int, stop: int, length: int | None = None) -> None:
        """Answer with a part of the object."""
        self.send(206, PAYLOAD[start:stop], b"Content-Range: bytes %d-1023/1024" % start, length=length)

    def test_what_broke_off_is_taken_up_again(self) -> None:
        """From the byte that is wanted next, after a pause that grows."""
        self.send(200, PAYLOAD[:100], length=1024)
        self.assertEqual(len(self.server.connections), 1)
        self.clock.advance(1)
        self.assertIn(b"\r\nRange: bytes=100-\r\n", self.server.last.sent)
        self.send_part(100, 300, length=924)
        self.clock.advance(1)
        self.assertEqual(len(self.server.connections), 2)
        self.clock.advance(1)
        self.assertIn(b"\r\nRange: bytes=300-\r\n", self.server.last.sent)
        self.assertNotIn("file", self.files)
        self.send_part(300, 1024)
        self.successResultOf(self.running)
        self.assertEqual(self.files, {"file": PAYLOAD})

    def test_it_is_given_up_after_three_times(self) -> None:
        """And leaves nothing; a 503 is one of them."""
        self.send(200, PAYLOAD[:100], length=1024)
        for pause in (1, 2):
            self.clock.advance(pause)
            self.send(503, b"{}")
        self.clock.advance(4)
        self.send_part(100, 200, length=924)
        self.failureResultOf(self.running, Unavailable)
        self.assertEqual(self.files, {})
        self.assertEqual(len(self.server.connections), 4)

    def test_an_api_that_gives_no_parts_gives_all_of_it(self) -> None:
        """What is there already is not written twice."""
        self.send(200, PAYLOAD[:100], length=1024)
        self.clock.advance(1)
        self.send(200, PAYLOAD)
        self.successResultOf(self.running)
        self.assertEqual(self.files, {"file": PAYLOAD})

    def test_when_only_the_end_was_lost_there_is_nothing_left_to_take(self) -> None:
        """In chunks, the last bytes may come and the end not."""
        chunked = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(PAYLOAD), PAYLOAD)
        with redirect_stderr(self.err):
            self.server.last.feed(chunked)
            self.server.last.close()
        self.clock.advance(1)
        self.send(416, b"{}", b"Content-Range: bytes */1024")
        self.successResultOf(self.running)
        self.assertEqual(self.files, {"file": PAYLOAD})

    def test_wrong_bytes_leave_nothing(self) -> None:
        """Of the right length."""
        self.send(200, bytes(1024))
        self.failureResultOf(self.running, DigestMismatch)
        self.assertEqual(self.files, {})

    def test_another_part_than_was_asked_for_is_refused(self) -> None:
        """Whatever the api thinks."""
        self.send(200, PAYLOAD[:100], length=1024)
        for pause in (1, 2, 4):
            self.clock.advance(pause)
            self.send_part(50, 1024)
        self.assertIn("another part", str(self.failureResultOf(self.running, Unavailable).value))
        self.assertEqual(self.files, {})

    def test_the_right_digest_of_too_few_bytes_cannot_be(self) -> None:
        """A length that was promised counts, where no digest can tell."""
        running = Deferred.fromCoroutine(
            Retrieval(
                client_of(self.server, self.clock), BlobID("name"), lambda download: FileTarget(self.path, False), self.clock
            ).run()
        )
        self.send(200, PAYLOAD[:100], length=1024)
        self.clock.advance(1)
        self.send(416, b"{}", b"Content-Range: bytes */100")
        self.failureResultOf(running, BlobTruncated)
        self.assertEqual(self.files, {})
        self.running.cancel()
        self.failureResultOf(self.running, CancelledError)

    def test_silence_in_the_middle_is_a_break(self) -> None:
        """After a minute without a byte, and not before."""
        self.server.last.feed(b"HTTP/1.1 200 x\r\nContent-Length: 1024\r\n\r\n" + PAYLOAD[:100])
        self.clock.advance(40)
        self.server.last.feed(PAYLOAD[100:200])
        self.clock.advance(40)
        self.assertFalse(self.server.last.is_dropped)
        with redirect_stderr(self.err):
            self.clock.advance(20)
        self.assertTrue(self.server.last.is_dropped)
        self.clock.advance(1)
        self.assertIn(b"Range: bytes=200-", self.server.last.sent)
        self.running.cancel()
        self.failureResultOf(self.running, CancelledError)

    def test_ctrl_c_leaves_nothing(self) -> None:
        """In the middle of the bytes, and in a pause."""
        self.server.last.feed(b"HTTP/1.1 200 x\r\nContent-Length: 1024\r\n\r\n" + PAYLOAD[:100])
        self.assertEqual(len(self.files), 1)
        self.running.cancel()
        self.failureResultOf(self.running, CancelledError)
        self.assertEqual(self.files, {})
        self.assertTrue(self.server.last.is_dropped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_disk_that_is_full_ends_it(self) -> None:
        """That is no break: it would be full again."""

        class Full(StreamTarget):
            """Takes nothing."""

            def write(self, piece: bytes) -> None:
                """Fail as a disk does."""
                raise OSError(28, "No space left on device")

        client = client_of(self.server, self.clock)
        running = Deferred.fromCoroutine(Retrieval(client, SHA1, lambda download: Full(io.BytesIO()), self.clock).run())
        self.send(200, PAYLOAD)
        self.failureResultOf(running, OSError)
        self.running.cancel()
        self.failureResultOf(self.running, CancelledError)
