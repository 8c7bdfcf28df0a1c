"""A client of the front without a socket: sends bytes, and takes answers apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from sos.http.channel import Channel
from sos.http.front import Front
from sos.http.limits import Limits
from sos.http.request import Request

NOON = 1_700_000_000.0


class HalfCloseTransport(StringTransport):
    """A transport that closes one direction at a time, as TCP does, and clogs when told to."""

    def __init__(self, peer: IPv4Address) -> None:
        super().__init__(peerAddress=peer)
        self.has_ended = False
        self.is_aborted = False
        self.resumed = 0

    def loseWriteConnection(self) -> None:
        """End what we send."""
        self.has_ended = True

    def abortConnection(self) -> None:
        """Drop the connection."""
        self.is_aborted = True
        super().abortConnection()

    @property
    def is_ended(self) -> bool:
        """Whether the client sees the end of our bytes."""
        return self.has_ended or self.disconnecting


@frozen
class Answer:
    """One answer as it came: status, lower-case headers, body."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Connection:
    """One connection to a front."""

    def __init__(self, front: Front, host: str = "127.0.0.1") -> None:
        peer = IPv4Address("TCP", host, 50_000)
        self.transport = HalfCloseTransport(peer)
        channel = front.buildProtocol(peer)
        assert channel is not None
        self.channel: Channel = channel
        channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes in one segment."""
        self.channel.dataReceived(data)

    def send_bytewise(self, data: bytes) -> None:
        """Send bytes one by one, as long as somebody reads them."""
        for index in range(len(data)):
            self.channel.dataReceived(data[index : index + 1])

    def half_close(self) -> None:
        """Send a FIN."""
        self.channel.readConnectionLost()

    def lose(self) -> None:
        """Be gone."""
        self.channel.connectionLost(Failure(ConnectionDone()))

    @property
    def received(self) -> bytes:
        """All bytes that came."""
        received: bytes = self.transport.value()
        return received

    @property
    def answers(self) -> list[Answer]:
        """All answers that came, which must be whole."""
        return list(answers_in(self.received))

    @property
    def answer(self) -> Answer:
        """The one answer that came."""
        (answer,) = self.answers
        return answer

    @property
    def statuses(self) -> list[int]:
        """The statuses of all answers."""
        return [answer.status for answer in self.answers]


def answers_in(data: bytes, methods: Iterable[bytes] = ()) -> Iterator[Answer]:
    """Take answers apart; each must be framed exactly. `methods` are those of the requests, where one is a HEAD."""
    asked = iter(methods)
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        line, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, value in (one.split(b": ", 1) for one in lines)}
        assert len(headers) == len(lines), lines
        status = int(line.split(b" ")[1])
        method = b"" if status == 100 else next(asked, b"")
        body = b""
        if method == b"HEAD":
            pass
        elif b"transfer-encoding" in headers:
            body, data = _dechunked(data)
        elif b"content-length" in headers:
            length = int(headers[b"content-length"])
            assert len(data) >= length, (head, data)
            body, data = data[:length], data[length:]
        yield Answer(status, headers, body)


def _dechunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        assert data[length : length + 2] == b"\r\n"
        body, data = body + data[:length], data[length + 2 :]
        if not length:
            return body, data


class Leaf(Resource):
    """A resource that hands each request to a function, and takes bodies as streams."""

    isLeaf = True
    takes_body_as_stream = True

    def __init__(self, render: Callable[[Request], object]) -> None:
        super().__init__()
        self._render = render
        self.requests: list[Request] = []

    def render(self, request: Request) -> int:
        """Note the request, and call the function."""
        self.requests.append(request)
        self._render(request)
        return NOT_DONE_YET


def ok(request: Request) -> None:
    """Answer at once."""
    request.respond(200, [(b"Content-Type", b"text/plain")], b"ok")


def front_of(
    root: IResource,
    limits: Limits = Limits(),
    clock: Clock | None = None,
    on_answer: Callable[[Request], None] | None = None,
) -> Front:
    """Make a front on a clock of its own."""
    return Front(root, clock or Clock(), lambda: NOON, limits, on_answer)
