"""Objects in chunks on the download port: no client can tell them from others, but for how they end when they are bad."""

from __future__ import annotations

import socket

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from attrs import evolve
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, LoopingCall

from sos.decisions.manifest import manifest_json
from sos.decisions.tally import usual_min_copies
from sos.http.bodies import BytesBody
from sos.http.front import Front
from sos.usecases.downloads import Downloads
from sos.usecases.lender import PATIENCE
from sos.web.download import download_root
from sos.words.blob import BlobID, Entry, Kind, Metadata, Span, Version
from sos.words.errors import ServerUnavailable
from sos.words.interfaces import IBlobStore, OpenBlob
from tests.http.loopback import HEAD, all_of, talk
from tests.support import bytes_body, success_of
from tests.usecases.cluster_of import Flaky, chunks_of, cluster_of, manifest_for, memory_store, put
from tests.web.browser import NOW, Answer, Browser

PAYLOAD = b"0123456789abcdefghijklmnopqrstuvwxyz"
CHUNK = 7
OBJECT = BlobID("abc")
METADATA = Metadata.of([(b"X-Mime-Type", b"text/plain"), (b"X-Orig-Filename", b"a.txt")])
ENTRY = Entry(id=OBJECT, version=Version(int(NOW) * 1000 << 16), metadata=METADATA)


def store_of(chunk_size: int | None, payload: bytes = PAYLOAD) -> IBlobStore:
    """Store the object, whole or in chunks."""
    store = memory_store()
    if chunk_size is None:
        success_of(store.receive(ENTRY, bytes_body(payload)))
        return store
    manifest = manifest_for(payload, OBJECT, chunk_size)
    for chunk, piece in zip(manifest.chunks, chunks_of(payload, chunk_size), strict=True):
        put(store, piece, chunk.id, kind=Kind.CHUNK)
    success_of(store.receive(evolve(ENTRY, kind=Kind.MANIFEST), bytes_body(manifest_json(manifest))))
    return store


def browser_of(**members: IBlobStore) -> Browser:
    """Make a client of an api over some members of one group."""
    downloads = Downloads(cluster_of(one=members), usual_min_copies, Clock())
    return Browser(download_root(downloads, lambda: NOW))


def comparable(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Give what two answers have in common, apart from the boundary that is made up for each."""
    kind, _, boundary = answer.headers.get("content-type", "").partition("boundary=")
    body = answer.body.replace(boundary.encode(), b"BOUNDARY") if boundary else answer.body
    return answer.status, {**answer.headers, "content-type": kind}, body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Range": "bytes=0-0"},
        {"Range": "bytes=-5"},
        {"Range": "bytes=5-"},
        {"Range": f"bytes={CHUNK - 1}-{CHUNK}"},
        {"Range": f"bytes={CHUNK}-{2 * CHUNK - 1}"},
        {"Range": "bytes=1-20,30-31"},
        {"Range": "bytes=0-0,6-8,-1"},
        {"Range": "bytes=999-"},
        {"Range": "bytes=5-2"},
        {"Range": "bytes=1_0-"},
        {"Range": "bytes=" + ",".join("0-" for _ in range(1000))},
        {"If-None-Match": '"abc"'},
        {"If-None-Match": '"abd"'},
        {"If-Match": '"abd"'},
        {"If-Modified-Since": "Tue, 14 Nov 2023 22:13:20 GMT"},
        {"If-Unmodified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"},
        {"Range": "bytes=3-8", "If-Range": '"abc"'},
        {"Range": "bytes=3-8", "If-Range": '"abd"'},
        {"Range": "bytes=3-8", "If-None-Match": '"abc"'},
    ],
)
def test_every_question_is_answered_as_for_a_small_object(method: str, headers: dict[str, str]) -> None:
    """Torture H47-H49: status, headers and bytes, across the edges of chunks."""
    plain, chunked = browser_of(a=store_of(None)), browser_of(a=store_of(CHUNK))
    for path in ("/fetch/abc", "/fetch/abc.txt?download"):
        expected = comparable(plain.ask(method, path, headers))
        assert comparable(chunked.ask(method, path, headers)) == expected
        assert comparable(chunked.ask(method, path, headers)) == expected, "with the manifest known"


@pytest.mark.parametrize("other_cut", [None, 5])
@pytest.mark.parametrize("headers", [{"Range": "bytes=3-20"}, {"If-None-Match": '"x"'}])
def test_members_that_have_cut_an_object_differently_have_the_same_object(
    other_cut: int | None, headers: dict[str, str]
) -> None:
    """The bytes may come from another member than the headers did: all have the same, until a round settles the cut too."""
    leaving = Flaky(store_of(CHUNK), [None, None, *[ServerUnavailable("http://a:3001", "it left")] * 9])
    answer = browser_of(a=leaving, b=store_of(other_cut)).ask("GET", "/fetch/abc", headers)
    assert (answer.status, answer.body) in ((206, PAYLOAD[3:21]), (200, PAYLOAD))


def test_a_chunk_is_404() -> None:
    """Parts of objects are not for the public."""
    chunk = manifest_for(PAYLOAD, OBJECT, CHUNK).chunks[0]
    for method in ("GET", "HEAD"):
        assert browser_of(a=store_of(CHUNK)).ask(method, f"/fetch/{chunk.id}").status == 404


class Bent(Flaky):
    """A member with wrong bytes in one chunk."""

    def __init__(self, store: IBlobStore, chunk: int) -> None:
        super().__init__(store)
        self._name = manifest_for(PAYLOAD, OBJECT, CHUNK).chunks[chunk].id

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await super().fetch(blob_id, span)
        return evolve(opened, body=BytesBody(b"#" * CHUNK)) if blob_id == self._name else opened


def test_a_chunk_that_nobody_has_right_is_an_error_or_a_cut_and_never_a_whole_answer() -> None:
    """The first one is a 503; behind any other the connection is dropped."""
    first = browser_of(a=Bent(store_of(CHUNK), 0)).ask("GET", "/fetch/abc")
    assert (first.status, first.headers["retry-after"]) == (503, "5")
    for chunk in range(1, 5):
        for headers in ({}, {"Range": "bytes=0-34"}, {"Range": "bytes=0-1,4-34"}):
            assert browser_of(a=Bent(store_of(CHUNK), chunk)).ask("GET", "/fetch/abc", headers).was_dropped


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_client_that_does_not_read_loses_its_chunk_to_one_that_does_and_gets_it_again() -> None:
    """Torture H63, F6: over real sockets, with memory for a single chunk."""
    chunk_size, clock = 256 * 1024, Clock()
    payload = bytes(range(256)) * (64 * chunk_size // 256)
    store = store_of(chunk_size, payload)
    downloads = Downloads(cluster_of(one={"a": store}), usual_min_copies, clock, most_memory=chunk_size)
    front = Front(download_root(downloads, lambda: NOW), IReactorTime(reactor), lambda: NOW)
    request = b"GET /fetch/abc" + HEAD + b"Connection: close\r\n\r\n"

    def speak(port: int) -> list[bytes]:
        """Let one client ask and not read, and another read all; then the first reads, too."""
        with (
            socket.create_connection(("127.0.0.1", port), 30) as lazy,
            socket.create_connection(("127.0.0.1", port), 30) as keen,
        ):
            lazy.sendall(request)
            lazy.recv(1, socket.MSG_PEEK)
            keen.sendall(request)
            return [all_of(keen), all_of(lazy)]

    ticking = LoopingCall(clock.advance, PATIENCE)
    ticking.start(0.02)
    said = await talk(front, speak)
    ticking.stop()
    assert [answer.partition(b"\r\n\r\n")[2] == payload for answer in said] == [True, True]
    assert not clock.getDelayedCalls()
