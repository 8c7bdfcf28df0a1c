"""A client without a socket: it speaks raw HTTP to a front, and reads what comes back as `http.client` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import IResource

from sos.http.front import Front
from tests.raw_answers import response_of

NOW = 1_700_000_000.0


class _Wire(StringTransport):
    """A transport that remembers whether it was dropped."""

    dropped = False

    def abortConnection(self) -> None:
        """Remember it."""
        self.dropped = True
        super().abortConnection()


@frozen
class Answer:
    """What came back; headers have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    was_dropped: bool

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Browser:
    """Asks a tree of resources, through a real front."""

    def __init__(self, root: IResource, address: str = "127.0.0.1") -> None:
        """Ask `root`, as a client with this address."""
        self._front = Front(root, Clock(), lambda: NOW)
        self._address = IPv4Address("TCP", address, 54321)

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Answer:
        """Make one request on a connection of its own."""
        lines = [f"{method} {path} HTTP/1.1", "Host: sos", *(f"{name}: {value}" for name, value in headers.items())]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        return self.ask_raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, method)

    def ask_raw(self, request: bytes, method: str = "GET") -> Answer:
        """Send bytes, and read the answer to them."""
        channel = self._front.buildProtocol(self._address)
        assert channel is not None
        wire = _Wire(peerAddress=self._address)
        channel.makeConnection(wire)
        channel.dataReceived(request)
        response = response_of(wire.value(), method)
        pairs = response.getheaders()
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), f"a header came twice: {pairs}"
        return Answer(response.status, headers, b"" if wire.dropped else response.read(), wire.dropped)
