"""``sos put``: what is sent with a file, what is printed, and what is believed."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from sos.cli.api_client import Uploaded
from sos.cli.progress import NoProgress
from sos.cli.put import PutOptions, type_of, upload_all
from sos.words.blob import NO_METADATA, BlobID
from sos.words.errors import BlobTooLarge, BlobTruncated, DigestMismatch, ServerUnavailable, SOSError, Unavailable
from tests.cli.api_in_memory import Api, client_of, uploads_to
from tests.http.client_case import ScriptedBody
from tests.support import bytes_body, success_of
from tests.support_wire import ScriptedServer
from tests.usecases.cluster_of import memory_store

HELLO = hashlib.sha1(b"hello").hexdigest()


def options_of(*arguments: str) -> PutOptions:
    """Read a command line."""
    options = PutOptions()
    options.parseOptions(arguments)
    return options


class OptionsTests(SynchronousTestCase):
    """What a command line says of the files."""

    def kept(self, *arguments: str) -> dict[bytes, bytes]:
        """Give what is kept with the first file."""
        options = options_of(*arguments)
        return dict(options.metadata_of(options.files[0]).pairs)

    def test_a_name_tells_itself_and_the_type(self) -> None:
        """Of the path the last part alone."""
        self.assertEqual(self.kept("some/photo.jpg"), {b"x-orig-filename": b"photo.jpg", b"x-mime-type": b"image/jpeg"})
        self.assertEqual(self.kept("x/Gr\xfc\xdfe\n"), {b"x-orig-filename": "Gr\xfc\xdfe_".encode()})
        self.assertEqual(self.kept(os.fsdecode(b"\xff.txt"))[b"x-orig-filename"], b"\xff.txt")

    def test_what_is_told_counts_more(self) -> None:
        """The options, then the headers."""
        kept = self.kept("a.jpg", "-name", "b.png", "--type=text/x", "-H", "X-Foo: bar", "--header", "x-orig-filename:c")
        self.assertEqual(kept, {b"x-orig-filename": b"c", b"x-mime-type": b"text/x", b"x-foo": b"bar"})

    def test_the_standard_input_has_no_name_unless_told(self) -> None:
        """And so no type."""
        self.assertEqual(self.kept("-"), {})
        self.assertEqual(self.kept("-", "--name=a.html")[b"x-mime-type"], b"text/html")

    def test_the_type_is_that_of_the_bytes(self) -> None:
        """What is packed is kept packed."""
        for name, kind in (
            ("a.tar.gz", "application/gzip"),
            ("a.svgz", "application/gzip"),
            ("data:text/html,x", ""),
            ("", ""),
        ):
            self.assertEqual(type_of(name), kind, name)

    def test_a_mistake_is_named_before_anything_is_sent(self) -> None:
        """With the option where there is one."""
        for arguments, sentence in (
            ([], "One FILE is wanted"),
            (["-", "-"], "can be read once"),
            (["a", "b", "--name=c"], "--name: several files"),
            (["a", "-H", "Foo: bar"], "--header: A header to be kept is X-NAME"),
            (["a", "-H", "X-Sos-Kind: chunk"], "--header: A header to be kept is X-NAME"),
            (["a", "-H", "X-Foo"], "--header: A header to be kept is X-NAME"),
            (["a", "-H", "X-F\u0080: bar"], "--header: "),
            (["a", "--type", "a\nb"], "A metadata header has a name or a value"),
            (["a", "--url", "localhost:9991"], "--url: The URL of an api is http://HOST:PORT"),
            (["a", "--url", "http://user:secret@host"], "--url: "),
            (["a", "--nonsense"], "nonsense"),
        ):
            with self.assertRaises(UsageError) as caught:
                options_of(*arguments)
            self.assertIn(sentence, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_a_url_may_be_the_one_of_the_banner(self) -> None:
        """With the path, or without; a proxy may have a path of its own."""
        for typed, meant in (
            ("http://h:9991", "http://h:9991"),
            ("http://h:9991/upload", "http://h:9991"),
            ("http://h:9992/fetch/:id", "http://h:9992"),
            ("https://h/files/upload/", "https://h/files"),
        ):
            self.assertEqual(options_of("a", "--url", typed)["url"].to_text().rstrip("/"), meant)


class UploadTests(SynchronousTestCase):
    """Files, and an api over one store."""

    def setUp(self) -> None:
        """Make an api and some files."""
        self.store = memory_store()
        temporary = tempfile.TemporaryDirectory()  # mktemp would leave it in the checkout, under pytest
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        (self.directory / "one.txt").write_bytes(b"hello")
        (self.directory / "two").write_bytes(bytes(300_000))
        self.paths = [str(self.directory / name) for name in ("one.txt", "two")]
        self.out, self.err = io.StringIO(), io.StringIO()

    def run_put(self, api: Api, *arguments: str) -> int:
        """Run the command, and keep what it prints."""
        with redirect_stdout(self.out), redirect_stderr(self.err):
            return api.result(upload_all(api.client, options_of(*arguments), MemoryReactorClock(), NoProgress()))

    def test_one_file_prints_its_id(self) -> None:
        """Alone, for scripts; and it is there."""
        self.assertEqual(self.run_put(Api(uploads_to(self.store)), self.paths[0]), 0)
        self.assertEqual((self.out.getvalue(), self.err.getvalue()), (f"{HELLO}\n", ""))
        entry = success_of(self.store.stat(BlobID(HELLO)))
        self.assertEqual(entry.metadata.value(b"x-orig-filename"), b"one.txt")

    def test_several_print_their_names_too(self) -> None:
        """As sha1sum does; the copies are for those who ask."""
        self.assertEqual(self.run_put(Api(uploads_to(self.store)), "-v", *self.paths), 0)
        zeros = hashlib.sha1(bytes(300_000)).hexdigest()
        self.assertEqual(self.out.getvalue(), f"{HELLO}  {self.paths[0]}\n{zeros}  {self.paths[1]}\n")
        self.assertIn(f"{self.paths[1]}: 300000 bytes, copies: 1\n", self.err.getvalue())

    def test_an_api_may_name_objects_by_sha256(self) -> None:
        """Both digests are known by the end."""
        self.assertEqual(self.run_put(Api(uploads_to(self.store, "sha256")), self.paths[0]), 0)
        self.assertEqual(self.out.getvalue(), hashlib.sha256(b"hello").hexdigest() + "\n")

    def test_one_that_is_refused_does_not_keep_the_next_back(self) -> None:
        """Also where the refusal comes before all of it was sent."""
        api = Api(uploads_to(self.store, most=1000))
        self.assertEqual(self.run_put(api, self.paths[1], self.paths[0], str(self.directory)), 1)
        self.assertEqual(self.out.getvalue(), f"{HELLO}  {self.paths[0]}\n")
        said = self.err.getvalue().splitlines()
        self.assertIn(f"{self.paths[1]} was not uploaded: The body has 300000 bytes; at most 1000", said[0])
        self.assertIn("it is a directory", said[1])

    def test_nobody_there_is_a_sentence(self) -> None:
        """With the URL."""
        self.assertEqual(self.run_put(Api(None), self.paths[0]), 1)
        self.assertIn("http://api:9991 is out of reach: it refused the connection", self.err.getvalue())


class AcknowledgementTests(SynchronousTestCase):
    """What an api has to answer, to be believed."""

    def setUp(self) -> None:
        """Play the api."""
        self.server = ScriptedServer()
        self.clock = Clock()
        self.client = client_of(self.server, self.clock)

    def uploading(self) -> Deferred[Uploaded]:
        """Begin to upload five bytes."""
        return Deferred.fromCoroutine(self.client.upload(bytes_body(b"hello"), NO_METADATA, lambda count: None))

    def answered(self, status: int, body: bytes) -> Deferred[Uploaded]:
        """Give an answer to an upload."""
        uploading = self.uploading()
        self.server.last.feed(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        return uploading

    def error(self, uploading: Deferred[Uploaded]) -> SOSError:
        """Give what went wrong."""
        error: SOSError = self.failureResultOf(uploading, SOSError).value
        return error

    def test_the_ancestor_counts_no_copies(self) -> None:
        """Its answer is taken all the same."""
        uploaded = self.successResultOf(self.answered(200, b'{"id":"%b","size":5,"status":"OK"}' % HELLO.encode()))
        self.assertEqual(uploaded, Uploaded(HELLO, 5, None))
        self.assertIn(b"Content-Length: 5\r\n", self.server.last.sent)

    def test_other_bytes_are_no_acknowledgement(self) -> None:
        """Another ID, or another size."""
        for body in (b'{"id":"%040d","size":5}' % 0, b'{"id":"%b","size":6}' % HELLO.encode()):
            self.assertIsInstance(self.error(self.answered(200, body)), DigestMismatch)

    def test_what_cannot_be_read_is_no_acknowledgement(self) -> None:
        """A proxy's page, a list, far too much, and a redirect, which is not followed."""
        for status, body in ((200, b"<html>"), (200, b"[]"), (200, b" " * 70_000), (302, b"")):
            self.assertIsInstance(self.error(self.answered(status, body)), Unavailable)
        self.assertEqual(len(self.server.connections), 4)

    def test_the_sentence_of_an_error_is_passed_on(self) -> None:
        """It is for an operator."""
        error = self.error(self.answered(413, b'{"error":"An upload has at most 1000 bytes here."}'))
        self.assertIsInstance(error, BlobTooLarge)
        self.assertEqual(str(error), "An upload has at most 1000 bytes here.")
        error = self.error(self.answered(503, b'{"error":"Too few members."}'))
        self.assertEqual(str(error), "http://api:9991 answered 503: Too few members.")

    def test_silence_is_not_waited_for_for_ever(self) -> None:
        """A minute."""
        uploading = self.uploading()
        self.clock.advance(59)
        self.assertNoResult(uploading)
        self.clock.advance(1)
        self.assertIn("silent for too long", str(self.error(uploading)))
        self.assertTrue(self.server.last.is_dropped)

    def test_a_connection_that_ends_is_a_sentence(self) -> None:
        """Before an answer, or in the middle of one."""
        for sent in (b"", b"HTTP/1.1 200 x\r\nContent-Le", b"HTTP/1.1 200 x\r\nContent-Length: 50\r\n\r\n{"):
            uploading = self.uploading()
            self.server.last.feed(sent)
            self.server.last.close()
            error = self.error(uploading)
            self.assertIsInstance(error, ServerUnavailable)
            self.assertIn("it closed the connection", str(error))

    def test_what_is_no_http_is_a_sentence(self) -> None:
        """An SSH server."""
        uploading = self.uploading()
        self.server.last.feed(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.assertIn("http://api:9991 is out of reach: ", str(self.error(uploading)))

    def test_an_early_acknowledgement_is_none(self) -> None:
        """It cannot speak of bytes that were not sent; the body is let go."""
        body = ScriptedBody(5)
        uploading = Deferred.fromCoroutine(self.client.upload(body, NO_METADATA, lambda count: None))
        payload = b'{"id":"%b","size":5}' % HELLO.encode()
        self.server.last.feed(b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%b" % (len(payload), payload))
        self.assertIn("before it had the whole", str(self.error(uploading)))
        self.assertIn("stop", body.calls)

    def test_a_file_that_fails_is_not_the_fault_of_the_network(self) -> None:
        """What its body says is passed on."""
        body = ScriptedBody(5)
        uploading = Deferred.fromCoroutine(self.client.upload(body, NO_METADATA, lambda count: None))
        body.done.errback(BlobTruncated("The file became shorter."))
        self.assertIsInstance(self.error(uploading), BlobTruncated)
