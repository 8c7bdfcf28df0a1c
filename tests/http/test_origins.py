"""Origins, and what reaches them."""

from __future__ import annotations

import pytest
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.testing import MemoryReactorClock

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
