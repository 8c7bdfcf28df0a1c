"""Origins: where a server is reached, and the seam through which the client reaches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from sos.decisions.topology import Server
from sos.words.errors import BadConfig

_DEFAULT_PORTS = {"http": 80, "https": 443}


@frozen(cache_hash=True)
class Origin:
    """Scheme, host and port of a server: connections to one origin can stand in for each other."""

    scheme: str
    host: str
    port: int
    authority: bytes = field(init=False, eq=False)
    """Host and port as the ``Host`` header has them."""

    @authority.default
    def _authority(self) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}").encode("ascii")

    @classmethod
    def of_url(cls, url: str) -> Origin:
        """Take the URL of a server apart. Raises `BadConfig` for one with more in it than an origin has."""
        server = Server(url)
        if server.is_local:
            raise BadConfig("A store of this process is not reached over HTTP.")
        parts = urlsplit(server.url)
        return cls(parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority.decode('ascii')}"


Connector = Callable[[Origin], IStreamClientEndpoint]
"""Gives the endpoint behind an origin: the one seam between the client and the network."""


NEXT_ADDRESS = 0.02
"""Seconds until the next address of a host is tried beside the one before. Twisted waits 0.3 even after a refusal, so a
dead member named ``localhost`` cost a fetch that long; members are near, and a needless second attempt is cheap there."""


def tcp_connector(reactor: Any, trust_root: Any = None) -> Connector:
    """Reach origins over TCP, and over TLS where they say https: chain and name are checked, TLS 1.2 is the oldest.

    `trust_root` is what Twisted's `optionsForClientTLS` takes; None trusts what the operating system trusts.
    """

    def connect(origin: Origin) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, origin.host, origin.port, attemptDelay=NEXT_ADDRESS)
        if origin.scheme == "https":
            endpoint = wrapClientTLS(optionsForClientTLS(origin.host, trust_root), endpoint)
        return endpoint

    return connect
