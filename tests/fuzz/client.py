"""One input against the real client, as a server's answer: a body that it calls complete must be the one that is framed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sos.http.bodies import collect
from sos.http.client import Client
from sos.http.origins import Origin
from sos.words.errors import SOSError
from tests.fuzz.trouble import Trouble
from tests.support_wire import ScriptedServer

ORIGIN = Origin.of_url("http://member:3001")
MOST = 1_000_000


def _answer(status: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


_CHUNKED = b"Transfer-Encoding: chunked"

CORPUS = [
    _answer(b"200 OK", b"Content-Length: 5", body=b"hello"),
    _answer(b"200 OK", b"Content-Length: 5", b"Connection: close", b'ETag: "a"', body=b"hello"),
    _answer(b"200 OK", b"Content-Length: 0"),
    _answer(b"200 OK", b"Content-Length: 40", b"X-Mime-Type: text/plain", b"X-Sos-Version: 7", body=b"0123456789" * 4),
    _answer(b"200 OK", _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
    _answer(b"200 OK", _CHUNKED, body=b"1\r\nh\r\n4;a=b\r\nello\r\n0\r\nX-A: b\r\n\r\n"),
    _answer(b"200 OK", _CHUNKED, body=b"A\r\n0123456789\r\n0a\r\n\r\n\r\n0\r\n1\r\n\r\n0\r\n\r\n"),
    _answer(b"204 No Content"),
    _answer(b"304 Not Modified", b"Content-Length: 5"),
    _answer(b"404 Not Found", b"Content-Length: 14", b"Content-Type: application/json", body=b'{"error":"no"}'),
    _answer(b"100 Continue") + _answer(b"200 OK", b"Content-Length: 2", body=b"ok"),
    _answer(b"206 Partial Content", b"Content-Range: bytes 0-1/9", b"Content-Length: 2", body=b"ok"),
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc",
]
"""Good answers of blob servers."""

_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n((?:[!#-'*+.0-9A-Z^-z|~-]+:[\t -~\x80-\xff]*\r\n)*)\r\n"
)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILERS = re.compile(rb"(?:[!#-'*+.0-9A-Z^-z|~-]+:[\t -~\x80-\xff]*\r\n)*\r\n")


@frozen
class Answered:
    """What the framing of an answer says: its status, its body, and the bytes up to its end."""

    status: int
    body: bytes
    end: int


def read(data: bytes, is_head: bool) -> Answered | None:
    """Read one answer strictly; None where it is none, or not all there."""
    at = 0
    while True:
        match = _HEAD.match(data, at)
        if match is None:
            return None
        status, at = int(match[2]), match.end()
        if status >= 200:
            break
    pairs = [line.partition(b":") for line in match[3].split(b"\r\n")[:-1]]
    fields = [(name.lower(), value.strip(b"\t ")) for name, _, value in pairs]
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if is_head or status in (204, 304):
        return Answered(status, b"", at)
    if codings:
        return _chunks(data, at, status) if codings == [b"chunked"] and not lengths and match[1] == b"1" else None
    if len(lengths) != 1 or re.fullmatch(rb"[0-9]{1,19}", lengths[0]) is None or at + int(lengths[0]) > len(data):
        return None
    end = at + int(lengths[0])
    return Answered(status, data[at:end], end)


def _chunks(data: bytes, at: int, status: int) -> Answered | None:
    body = b""
    while (match := _CHUNK.match(data, at)) is not None:
        size, at = int(match[1], 16), match.end()
        if not size:
            trailers = _TRAILERS.match(data, at)
            return None if trailers is None else Answered(status, body, trailers.end())
        body += data[at : at + size]
        at += size + 2
        if data[at - 2 : at] != b"\r\n":
            return None
    return None


class Asking:
    """A client that asks one server for a blob, twice: the second answer is never a rest of the first."""

    def __init__(self) -> None:
        """Have a clock."""
        self._clock = Clock()

    def faults(self, pieces: Sequence[bytes]) -> list[str]:
        """Answer with these segments; say what is wrong with what the client made of them."""
        try:
            with Trouble() as trouble:
                data = b"".join(pieces)
                found = [fault for is_head in (False, True) for fault in self._faults(pieces, data, is_head)]
        except Exception as error:  # the guard of the fuzzer: whatever comes out is the find
            return [f"it raised {error!r}"]
        return found + trouble.events

    def _faults(self, pieces: Sequence[bytes], data: bytes, is_head: bool) -> Iterator[str]:
        server = ScriptedServer()
        client = Client(server, self._clock)
        results: list[tuple[int, bytes] | Failure] = []
        self._ask(client, is_head, results)
        connection = server.last
        for piece in pieces:
            connection.feed(piece)
        if not results:
            connection.close()
        self._clock.advance(31)
        yield from self._judge(results, read(data, is_head))
        if results and not isinstance(results[0], Failure) and not connection.is_dropped:
            yield from self._reused(client, server, read(data, is_head), len(data))
        client.close()
        for one in server.connections:
            one.close()
        if any(call.active() for call in self._clock.getDelayedCalls()):
            yield "it left a timer behind"

    def _ask(self, client: Client, is_head: bool, results: list[tuple[int, bytes] | Failure]) -> None:
        async def ask() -> tuple[int, bytes]:
            answer = await client.request(b"HEAD" if is_head else b"GET", ORIGIN, b"/blob/a")
            return answer.status, await collect(answer.body, MOST)

        Deferred.fromCoroutine(ask()).addBoth(results.append)

    def _judge(self, results: Sequence[tuple[int, bytes] | Failure], expected: Answered | None) -> Iterator[str]:
        if len(results) != 1:
            yield f"it hangs: it has given {len(results)} results"
        elif isinstance(results[0], Failure):
            if results[0].check(SOSError) is None:
                yield f"it failed with {results[0].value!r}"
        elif expected is None:
            yield f"it took {results[0]}, where there is no answer"
        elif results[0] != (expected.status, expected.body):
            yield f"it took {results[0]}, where there is {expected}"

    def _reused(self, client: Client, server: ScriptedServer, expected: Answered | None, size: int) -> Iterator[str]:
        """A connection with bytes behind its answer serves nobody else."""
        again: list[tuple[int, bytes] | Failure] = []
        self._ask(client, False, again)
        if len(server.connections) == 1 and expected is not None and expected.end != size:
            yield "it used a connection again that had more bytes than its answer"
