"""``sos rm``: what an api answers to it, and what is said of that."""

from __future__ import annotations

import hashlib
import io
from contextlib import redirect_stderr, redirect_stdout

from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from sos.cli.rm import RmOptions, delete_all
from sos.http.front import Front
from sos.usecases.copies import Copies
from sos.usecases.deletes import Deletes
from sos.usecases.uploads import Uploads
from sos.web.upload import upload_root
from sos.words.blob import BlobID
from sos.words.errors import BlobNotFound, ServerUnavailable
from sos.words.interfaces import IBlobStore
from tests.cli.api_in_memory import Api
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import NOW, Flaky, cluster_of, memory_store, put


def options_of(*arguments: str) -> RmOptions:
    """Read a command line."""
    options = RmOptions()
    options.parseOptions(arguments)
    return options


class RmTests(SynchronousTestCase):
    """A group of two stores behind an api."""

    def setUp(self) -> None:
        """Store two objects."""
        self.stores = [memory_store("a"), memory_store("b")]
        for store in self.stores:
            put(store, b"hello", "abc")
            put(store, b"hello", "abd")

    def api(self, *stores: IBlobStore, may_delete: bool = True) -> Factory:
        """Make the upload port of an api over stores."""
        cluster = cluster_of(one={f"m{number}": store for number, store in enumerate(stores)})
        uploads = Uploads(Copies(cluster, Clock()), hashlib.sha1, 1000)
        deletes = Deletes(cluster, lambda group: 1, Clock()) if may_delete else None
        return Front(upload_root(uploads, lambda: NOW, deletes), Clock(), lambda: NOW)

    def run_rm(self, server: Factory | None, *arguments: str) -> tuple[int, str]:
        """Run the command; give its status, and what it says to people."""
        out, err = io.StringIO(), io.StringIO()
        api = Api(server)
        with redirect_stdout(out), redirect_stderr(err):
            status = api.result(delete_all(api.client, options_of(*arguments)))
        self.assertEqual(out.getvalue(), "")
        return status, err.getvalue()

    def test_what_is_deleted_is_gone_without_a_word(self) -> None:
        """On both members."""
        self.assertEqual(self.run_rm(self.api(*self.stores), "abc", "abd"), (0, ""))
        for store in self.stores:
            self.assertIsInstance(failure_of(store.stat(BlobID("abc"))), BlobNotFound)

    def test_members_that_are_told_later_are_no_failure(self) -> None:
        """But it is said."""
        gone = Flaky(self.stores[1], always=ServerUnavailable("http://m1:3001", "connection refused"))
        status, said = self.run_rm(self.api(self.stores[0], gone), "abc")
        self.assertEqual(status, 0)
        self.assertIn("abc is deleted; some members were out of reach", said)

    def test_one_that_is_not_there_does_not_keep_the_next_back(self) -> None:
        """The status says that one was not deleted."""
        status, said = self.run_rm(self.api(*self.stores), "other", "abc")
        self.assertEqual((status, said), (1, "sos: other was not deleted: there is no such object.\n"))
        self.assertEqual(success_of(self.stores[0].enumerate()), ["abd"])

    def test_an_api_that_deletes_nothing_is_a_sentence(self) -> None:
        """With the option that changes it."""
        status, said = self.run_rm(self.api(*self.stores, may_delete=False), "abc")
        self.assertEqual(status, 1)
        self.assertIn("abc was not deleted: http://api:9991 deletes nothing", said)
        self.assertIn("--allow-delete", said)

    def test_nobody_there_is_a_sentence(self) -> None:
        """With the URL."""
        status, said = self.run_rm(None, "abc")
        self.assertEqual(status, 1)
        self.assertIn("http://api:9991 is out of reach: it refused the connection", said)

    def test_a_mistake_is_named_before_anything_is_deleted(self) -> None:
        """No ID, or one that is none."""
        for arguments in ([], ["abc", "A"], ["abc", "--url=nonsense"]):
            self.assertRaises(UsageError, options_of, *arguments)
