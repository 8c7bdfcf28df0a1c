"""Origins, and what reaches them."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from sos.http.origins import Origin, tcp_connector
from sos.words.errors import BadConfig


@pytest.mark.parametrize(
    ("url", "text", "authority"),
    [
        ("http://localhost:4001", "http://localhost:4001", b"localhost:4001"),
        ("http://localhost:4001/", "http://localhost:4001", b"localhost:4001"),
        ("HTTP://LocalHost:80", "http://localhost", b"localhost"),
        ("https://example.com", "https://example.com", b"example.com"),
        ("https://example.com:80", "https://example.com:80", b"example.com:80"),
        ("http://[::1]:4001", "http://[::1]:4001", b"[::1]:4001"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, text: str, authority: bytes) -> None:
    """The port of the scheme goes without saying."""
    origin = Origin.of_url(url)
    assert (str(origin), origin.authority) == (text, authority)


@pytest.mark.parametrize(
    "url",
    [
        "http://a/path",
        "http://user:secret@a",
        "http://a?x",
        "http://a#x",
        "ftp://a",
        "a:1",
        "",
        "http://",
        "store:data",
        "http://a:0",
    ],
)
def test_a_url_with_more_in_it_is_refused(url: str) -> None:
    """The sentence keeps what may be a secret to itself."""
    with pytest.raises(BadConfig) as caught:
        Origin.of_url(url)
    assert "secret" not in str(caught.value)


def test_https_goes_through_tls_and_http_does_not() -> None:
    """Chain and name are checked by Twisted's own options."""
    connect = tcp_connector(MemoryReactorClock())
    assert isinstance(connect(Origin.of_url("http://a:1")), HostnameEndpoint)
    assert not isinstance(connect(Origin.of_url("https://a:1")), HostnameEndpoint)


def test_a_host_that_refuses_on_all_its_addresses_is_given_up_at_once() -> None:
    """A dead member named localhost has two addresses, and must not cost a reader a tenth of a second."""
    reactor = MemoryReactorClock()
    reactor.nameResolver = _TwoAddresses()
    failures: list[object] = []
    endpoint = tcp_connector(reactor)(Origin.of_url("http://localhost:1"))
    endpoint.connect(Factory()).addErrback(failures.append)
    while not failures and reactor.seconds() < 0.1:
        attempts: list[Any] = list(reactor.tcpClients)
        for _, _, factory, *_ in attempts:
            factory.clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
        reactor.tcpClients.clear()
        reactor.advance(0.01)
    assert failures
    assert reactor.seconds() < 0.1


@implementer(IHostnameResolver)
class _TwoAddresses:
    """Resolves every name to both loopback addresses."""

    def resolveHostName(self, resolutionReceiver: Any, hostName: str, portNumber: int = 0, *_: Any, **__: Any) -> Any:
        """Give both."""
        resolutionReceiver.resolutionBegan(None)
        resolutionReceiver.addressResolved(IPv6Address("TCP", "::1", portNumber))
        resolutionReceiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        resolutionReceiver.resolutionComplete()
