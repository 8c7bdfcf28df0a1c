"""A server that answers each PUT as a blob server does, and keeps nothing: ``python -m benchmarks.sink``.

It shows what the load generator can do at least: no upload row can be limited by the generator below that.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from benchmarks.traffic import length_of


class Sink(Protocol):
    """Takes requests with a length, and answers each once its body is there."""

    def __init__(self) -> None:
        self._received = b""

    def dataReceived(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            size = end + 4 + length_of(self._received[: end + 2])
            if len(self._received) < size:
                return
            name = self._received.split(b" ", 2)[1].rpartition(b"/")[2]
            body = b'{"id":"%b","status":"OK","size":4096}' % name
            self._received = self._received[size:]
            assert self.transport is not None
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def main(reactor: Any) -> None:
    """Serve until a signal comes."""
    listening = reactor.listenTCP(0, Factory.forProtocol(Sink), interface="127.0.0.1")
    sys.stdout.write(f"Listening for blobs on 127.0.0.1:{listening.getHost().port}\n")
    reactor.run()


if __name__ == "__main__":
    from twisted.internet import reactor

    main(reactor)
