"""What an api passes on: well-formed requests of its own and nothing else (torture S7, S8, S9, S16, H21, H24, H56)."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.bodies import CUTS, EXACT
from tests.corpus.metadata import INTERNAL, KEPT, NOT_KEPT
from tests.corpus.rows import MOST, Cut, Port, Read, Refused, get, id_of, post, upload
from tests.corpus.table import ASKED, REFUSED
from tests.fuzz.oracle import Behind, Message, read
from tests.processes.harness import Household, Process, household
from tests.sockets.cast import Cast
from tests.sockets.raw import End, Manner, converse

OURS = {b"host", b"content-length", b"x-sos-protocol", b"x-sos-version", b"x-sos-sha256", b"x-sos-kind", b"x-sos-size"}
"""Headers that an api puts into a write."""

_RENEWAL = re.compile(rb"/sync/renew/[0-9a-f]{40}")


class Recorder:
    """Listens as a blob server would, writes down what each connection brings, and takes nothing."""

    def __init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytearray] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.heard.append(bytearray())
            threading.Thread(target=self._record, args=(connection, self.heard[-1]), daemon=True).start()

    def _record(self, connection: socket.socket, heard: bytearray) -> None:
        answered = 0
        with connection:
            while piece := connection.recv(65_536):
                heard += piece
                for _ in range(len(read(bytes(heard)).messages) - answered):
                    answered += 1
                    connection.sendall(b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n")

    @property
    def messages(self) -> list[Message]:
        """All requests so far."""
        return [message for heard in self.heard for message in read(bytes(heard)).messages]

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """A blob server that only writes down."""
    listening = Recorder()
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Recorder]:
    """A proxy that nobody is to use."""
    listening = Recorder()
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def api(recorder: Recorder, canary: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """An api over the recorder, in an environment that names a proxy."""
    with household(tmp_path_factory.mktemp("api")) as house, pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            patch.setenv(name, f"http://127.0.0.1:{canary.port}")
        yield house.api_server(recorder.port, max_object=MOST)


def test_s16_a_blob_server_hears_one_well_formed_request_or_none(api: Process, recorder: Recorder, canary: Recorder) -> None:
    """Whatever is sent to the upload port: refused, read, cut. And no proxy is asked."""
    rows: list[Refused | Read | Cut] = [*REFUSED, *EXACT, *CUTS]
    for row in rows:
        converse(api.port("uploads"), row.data, Manner.AT_ONCE, End.FIN)
    for asked in ASKED:
        if asked.port is Port.UPLOAD:
            converse(api.port("uploads"), asked.data, Manner.AT_ONCE, End.FIN)
    readings = [read(bytes(heard)) for heard in recorder.heard]
    messages = [message for message in recorder.messages if message.target != b"/alive"]  # the api's own question
    renewals = [message for message in messages if message.target.startswith(b"/sync/renew/")]  # whether the bytes are there
    assert all(_RENEWAL.fullmatch(message.target) is not None and not message.body for message in renewals)
    assert all(reading.behind is Behind.NOTHING for reading in readings)
    assert sum(len(reading.messages) for reading in readings) >= 10
    assert all(message.method in (b"POST", b"PUT") for message in messages)
    for message in messages:
        assert message in renewals or message.target == b"/blob/" + id_of(message.body), message
        strange = {name for name, _ in message.headers} - OURS
        assert all(name.startswith(b"x-") and not name.startswith((b"x-sos-", b"x-forwarded-")) for name in strange), message
    assert canary.heard == []


def test_s7_what_belongs_to_one_connection_is_not_passed_on(api: Process, recorder: Recorder) -> None:
    """Nor what a proxy added, nor what a client has no business to say."""
    before = len(recorder.messages)
    lines = [name + b": told" for name in NOT_KEPT] + [
        b"TE: trailers",
        b"Trailer: X-A",
        b"Proxy-Connection: x",
    ]
    converse(api.port("uploads"), upload(b"told", *lines, b"Connection: close, X-Plain", b"X-Plain: kept"))
    (message,) = recorder.messages[before:]
    assert {name for name, _ in message.headers} <= OURS | {b"x-plain"}
    assert (b"x-plain", b"kept") in message.headers
    assert b"told" not in b"".join(value for _, value in message.headers)


def test_h21_h56_what_is_kept_comes_back_and_nothing_else(cast: Cast) -> None:
    """Byte for byte, through the api and from the blob server."""
    body = b"described"
    answer = cast.one(Port.UPLOAD, upload(body, *KEPT, *[name + b": told" for name in NOT_KEPT], b"Connection: close"))
    assert answer.status == 200
    for port, path in ((Port.DOWNLOAD, b"/fetch/"), (Port.BLOB, b"/blob/")):
        came = cast.one(port, get(path + id_of(body), b"Connection: close")).headers
        for line in KEPT:
            name, _, value = line.partition(b":")
            assert came[name.lower()] == value.strip(b" "), line
        assert b"told" not in came.values()
        assert not [name for name in came if name.startswith(b"x-sos-")]


def test_s7_every_internal_header_is_refused_before_the_body(cast: Cast) -> None:
    """With a client that waits for ``100 Continue``: it never hears one."""
    for name in INTERNAL:
        waiting = post(name + b": 1", b"Expect: 100-continue", b"Content-Length: 5", b"Connection: close")
        heard = converse(cast.ports[Port.UPLOAD], waiting)
        assert [answer.status for answer in heard.answers()] == [400]
        assert heard.interims == 0


def test_s9_nothing_that_a_client_sends_ends_a_line_of_the_log(cast: Cast) -> None:
    """Nor steers the terminal of whoever reads it; and a refused request is no line, or one."""
    fields = [
        b"User-Agent: \xff\x9b31m",
        b"X-Evil: " + b"\x9b" * 1000,
        b"Cookie: \xe2\x80\xae",
        b"Referer: http://a/%0a%1b[31m\xff",
    ]
    before = sum(len(process.lines) for process in cast.processes)
    count = 0
    for port in Port:
        for path in (b"/fetch/", b"/blob/", b"/", b"/upload?"):
            for target in (path + b"%0d%0aInjected", path + b"\\x1b[31m", path + b"a" * 7000):
                cast.send(port, get(target, *fields))
                count += 1
    converse(cast.ports[Port.UPLOAD], upload(b"x" * 50_000)[:300], end=End.FIN)
    lines = [line for process in cast.processes for line in process.lines]
    assert len(lines) - before <= count + 1
    assert all(line.expandtabs().isprintable() for line in lines)
    assert not [line for line in lines if line.startswith("Injected")]


@pytest.mark.parametrize("has_key", [False, True], ids=["full", "without the key"])
def test_h24_who_may_not_write_is_told_before_the_body(tmp_path: Path, house: Household, has_key: bool) -> None:
    """507 where the disk is full, 401 where the key is missing, and no 100."""
    options = ["--reserve=99.9%"]
    if has_key:
        (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n")
        (tmp_path / "key").chmod(0o600)
        options = [f"--cluster-key-file={tmp_path / 'key'}"]
    port = house.sos("blob-server", "-store", "store", "-port", "0", *options).port("blobs")
    for length in (5, 1_000_000):
        head = (
            b"PUT /blob/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
            % length
        )
        heard = converse(port, head)
        assert [answer.status for answer in heard.answers()] == [401 if has_key else 507]
        assert heard.interims == 0
