"""What the tests of the remote store share: the store, its scripted server, and answers of one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sos.http.bodies import collect
from sos.http.client import Client
from sos.remote import RemoteStore
from sos.words.blob import BlobID, Entry, Version
from sos.words.errors import (
    SOSError,
)
from sos.words.interfaces import OpenBlob
from tests.support import success_of
from tests.support_wire import ScriptedConnection, ScriptedServer

A = BlobID("a")
SHA256 = bytes(range(32))
OURS = {b"X-Sos-Store": b"uuid-1", b"X-Sos-Version": b"7", b"X-Sos-SHA256": SHA256.hex().encode()}
HELLO = Entry(id=A, version=Version(7), size=5, sha256=SHA256)
ACKNOWLEDGED = b'{"id": "a", "status": "OK", "size": 5}'


def answer(
    status: int = 200, headers: dict[bytes, bytes] | None = None, body: bytes = b"", length: int | None = None
) -> bytes:
    """Write an answer with its length."""
    lines = [b"%b: %b\r\n" % header for header in (headers or {}).items()]
    count = len(body) if length is None else length
    return b"HTTP/1.1 %d x\r\n%bContent-Length: %d\r\n\r\n%b" % (status, b"".join(lines), count, body)


def chunked(headers: dict[bytes, bytes], *pieces: bytes, status: int = 200) -> bytes:
    """Write an answer in chunks."""
    lines = [b"%b: %b\r\n" % header for header in headers.items()]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b"")]
    return b"HTTP/1.1 %d x\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (status, b"".join(lines), b"".join(chunks))


class RemoteTestCase(SynchronousTestCase):
    """A remote store, and the server that it speaks to."""

    def setUp(self) -> None:
        """Make them."""
        self.server = ScriptedServer()
        self.clock = Clock()
        self.store = RemoteStore(Client(self.server, self.clock), "http://member:3001/", b"secret")

    @property
    def last(self) -> ScriptedConnection:
        """The newest connection."""
        return self.server.last

    def answered(self, asking: Awaitable[Any], reply: bytes, piece: int | None = None) -> Deferred[Any]:
        """Answer what is asked."""

        async def awaited() -> Any:
            return await asking

        doing = Deferred.fromCoroutine(awaited())
        self.last.feed(reply, piece)
        return doing

    def result(self, asking: Awaitable[Any], reply: bytes) -> Any:
        """Give what comes of an answer."""
        return self.successResultOf(self.answered(asking, reply))

    def error(self, asking: Awaitable[Any], reply: bytes, piece: int | None = None) -> SOSError:
        """Give the error that comes of an answer."""
        error: SOSError = self.failureResultOf(self.answered(asking, reply, piece), SOSError).value
        return error

    def bytes_of(self, opened: OpenBlob) -> bytes:
        """Pour a blob."""
        return success_of(collect(opened.body, 10**6))
