"""A blob server of the old contract, as the ancestor of this program is one: no versions, no digests, no deletes.

It keeps every ``X-`` header that it is sent and gives it back, ours among them; it knows no pages, lists everything at once,
and says the length of small bodies only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from twisted.internet.protocol import Factory, Protocol

LONGEST_WITH_LENGTH = 2048
"""Bytes up to which its HTTP library finds out the length by itself."""

Headers = list[tuple[str, str]]


class OldServer(Factory):
    """Keeps blobs in a dictionary."""

    noisy = False

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[Headers, bytes]] = {}
        self.asked: list[str] = []

    def buildProtocol(self, addr: object) -> Protocol:
        """Serve one connection."""
        return _Connection(self)

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> bytes:
        """Answer one request."""
        self.asked.append(f"{method} {path}")
        place, _, _ = path.partition("?")
        name = place.removeprefix("/blob/")
        if place == "/alive":
            return _whole(200, b"alive")
        if place == "/blobs":
            return _chunked(json.dumps(sorted(self.blobs)).encode(), [], method)
        if name == place:
            return _whole(404, b"404 page not found\n")
        if method in ("POST", "PUT"):
            self.blobs[name] = ([(key, value) for key, value in headers if key.lower().startswith("x-")], body)
            return _whole(200, json.dumps({"id": name, "status": "OK", "size": len(body)}).encode())
        if method not in ("GET", "HEAD"):
            return _whole(405, b"Method Not Allowed\n")
        if name not in self.blobs:
            return _whole(404, b"404 page not found\n")
        kept, payload = self.blobs[name]
        if len(payload) <= LONGEST_WITH_LENGTH:
            return _whole(200, payload, kept, method)
        return _chunked(payload, kept, method)


def _head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def _whole(status: int, payload: bytes, headers: Sequence[tuple[str, str]] = (), method: str = "GET") -> bytes:
    head = _head(status, [*headers, ("Content-Length", str(len(payload)))])
    return head if method == "HEAD" else head + payload


def _chunked(payload: bytes, headers: Headers, method: str) -> bytes:
    if method == "HEAD":
        return _head(200, headers)
    pieces = [payload[at : at + 4096] for at in range(0, len(payload), 4096)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return _head(200, [*headers, ("Transfer-Encoding", "chunked")]) + framed


class _Connection(Protocol):
    """Reads requests one after the other."""

    def __init__(self, server: OldServer) -> None:
        self._server = server
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        """Answer what is whole."""
        self._received += data
        assert self.transport is not None
        for method, path, headers, body in self._requests():
            self.transport.write(self._server.answer(method, path, headers, body))

    def _requests(self) -> Iterator[tuple[str, str, Headers, bytes]]:
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
            length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
            if not end or len(rest) < length:
                return
            method, path, _ = first.split(" ")
            self._received = rest[length:]
            yield method, path, headers, rest[:length]
