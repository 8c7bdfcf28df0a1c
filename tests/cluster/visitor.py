"""A client of the cluster in memory: one request a connection, whose answer may take its time."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from attrs import frozen
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from tests.raw_answers import response_of


@frozen
class Answer:
    """What came back; headers have lower-case names. One that is not whole shows that in its framing."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Visitor(Protocol):
    """Sends a request, and keeps what comes back until the connection ends."""

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: sos", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self._method = method
        self._request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
        self._received: list[bytes] = []
        self.is_over = False
        self.when_over: Callable[[], object] = lambda: None
        """Called when nothing more comes."""

    def connectionMade(self) -> None:
        """Ask."""
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self._received.append(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Note that nothing more comes."""
        self.is_over = True
        self.when_over()

    def leave(self) -> None:
        """Go, without waiting for the answer."""
        cast(Any, self.transport).abortConnection()

    @property
    def answer(self) -> Answer:
        """The answer, which must be there; its status is 0 where the connection was dropped without a word."""
        assert self.is_over, "it is still waiting for its answer"
        if not self._received:
            return Answer(0, {}, b"", False)
        response = response_of(b"".join(self._received), self._method)
        headers = {name.lower(): value for name, value in response.getheaders()}
        try:
            return Answer(response.status, headers, response.read(), True)
        except http.client.IncompleteRead as cut:
            return Answer(response.status, headers, cut.partial, False)
