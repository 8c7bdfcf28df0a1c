"""What resources written for twisted.web know of a request, on top of what ours has: made when asked for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs, quote_from_bytes

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.python.urlpath import URLPath
from twisted.web import http
from twisted.web.http_headers import Headers

from sos.http.head import Head
from sos.words.errors import BadInput

if TYPE_CHECKING:
    from sos.http.channel import Channel

_MOST_ARGUMENTS = 1000
"""Parsing 200,000 arguments stalls the reactor for a third of a second (torture H52)."""

_FORM = b"application/x-www-form-urlencoded"


class StockRequest:
    """The part of `twisted.web.iweb.IRequest` that sos itself does not use, and stock resources do."""

    method: bytes
    uri: bytes
    path: bytes
    query: bytes
    prepath: list[bytes]
    postpath: list[bytes]
    raw_headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    head: Head
    channel: Channel
    code = 200
    code_message: bytes | None = None
    defaultContentType = b"text/html"
    _request_headers: Headers | None = None
    _response_headers: Headers | None = None
    _args: dict[bytes, list[bytes]] | None = None
    _content: BytesIO | None = None
    _last_modified = 0
    _host: IAddress | None = None
    _is_secure = False
    _root_url: bytes | None = None

    @property
    def requestHeaders(self) -> Headers:
        """All headers of the request; a copy, so that nobody changes what we decide by."""
        if self._request_headers is None:
            self._request_headers = Headers()
            for name, value in self.raw_headers:
                self._request_headers.addRawHeader(name, value)
        return self._request_headers

    @property
    def responseHeaders(self) -> Headers:
        """The headers of the answer that were set one by one."""
        if self._response_headers is None:
            self._response_headers = Headers()
        return self._response_headers

    @property
    def content(self) -> BytesIO:
        """The body, for a resource that does not take it as a stream."""
        if self._content is None:
            self._content = BytesIO()
        return self._content

    @content.setter
    def content(self, content: BytesIO) -> None:
        self._content = content

    @property
    def args(self) -> dict[bytes, list[bytes]]:
        """The arguments of the query, and of a form in `content`. Raises `BadInput` for too many."""
        if self._args is None:
            self._args = _arguments(self.query)
            if self.fields.get(b"content-type", b"").partition(b";")[0].strip().lower() == _FORM:
                for name, values in _arguments(self.content.getvalue()).items():
                    self._args.setdefault(name, []).extend(values)
        return self._args

    @property
    def clientproto(self) -> bytes:
        """The version of HTTP that the client speaks."""
        return b"HTTP/1.1" if self.head.is_http_11 else b"HTTP/1.0"

    @property
    def client(self) -> IAddress:
        """The address of the client."""
        return self.channel.peer

    @property
    def host(self) -> IAddress:
        """The address that the client connected to."""
        return self.getHost()

    @property
    def transport(self) -> Any:
        """The transport beneath: for looking at, not for writing to."""
        return self.channel.transport

    @property
    def site(self) -> Any:
        """The factory of this connection."""
        return self.channel.front

    def getHeader(self, key: Any) -> Any:
        """Give a header of the request, as bytes or str, as its name was."""
        if isinstance(key, str):
            value = self.fields.get(key.lower().encode("latin-1"))
            return None if value is None else value.decode("latin-1")
        return self.fields.get(key.lower())

    def getAllHeaders(self) -> dict[bytes, bytes]:
        """Give all headers by their lower-case names."""
        return dict(self.fields)

    def getCookie(self, key: bytes) -> bytes | None:
        """Give the value of a cookie."""
        return self.received_cookies.get(key)

    @property
    def received_cookies(self) -> dict[bytes, bytes]:
        """All cookies that were sent."""
        pairs = (pair.split(b"=", 1) for pair in self.fields.get(b"cookie", b"").split(b";") if b"=" in pair)
        return {name.strip(): value.strip() for name, value in pairs}

    def getRequestHostname(self) -> bytes:
        """Give the host that the client named, without its port."""
        host = self.fields.get(b"host", b"")
        name = host.partition(b"]")[0] + b"]" if host[:1] == b"[" else host.partition(b":")[0]
        return name or str(getattr(self.getHost(), "host", "")).encode("ascii")

    def getHost(self) -> IAddress:
        """Give the address that the client connected to, or that `setHost` said."""
        return self._host or self.transport.getHost()

    def getClientAddress(self) -> IAddress:
        """Give the address of the client."""
        return self.client

    def getClientIP(self) -> str | None:
        """Give the IP address of the client, if it has one."""
        return self.client.host if isinstance(self.client, IPv4Address | IPv6Address) else None

    def getUser(self) -> bytes:
        """Give the user of basic authentication."""
        return self._credentials()[0]

    def getPassword(self) -> bytes:
        """Give the password of basic authentication."""
        return self._credentials()[1]

    def _credentials(self) -> tuple[bytes, bytes]:
        scheme, _, encoded = self.fields.get(b"authorization", b"").partition(b" ")
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except binascii.Error:
            return b"", b""
        return (user, password) if scheme.lower() == b"basic" else (b"", b"")

    def isSecure(self) -> bool:
        """Whether the request came over TLS."""
        return self._is_secure or self.channel.is_secure

    def getSession(self, sessionInterface: Any = None) -> NoReturn:
        """Raise `NotImplementedError`: sos keeps no state between requests."""
        raise NotImplementedError("sos has no sessions.")

    def setHost(self, host: bytes, port: int, ssl: int = 0) -> None:
        """Take another address for the one that the client connected to."""
        self._is_secure = bool(ssl)
        self._host = IPv4Address("TCP", host.decode("ascii"), port)

    def URLPath(self) -> URLPath:
        """Give the URL of the request."""
        return URLPath.fromRequest(self)  # type: ignore[no-any-return]

    def prePathURL(self) -> bytes:
        """Give the URL of the resource that was reached."""
        scheme = b"https" if self.isSecure() else b"http"
        path = "/".join(quote_from_bytes(segment, safe="") for segment in self.prepath).encode("ascii")
        return b"%b://%b/%b" % (scheme, self.fields.get(b"host") or self.getRequestHostname(), path)

    def rememberRootURL(self) -> None:
        """Remember the URL of the resource that was reached."""
        self._root_url = self.prePathURL()

    def getRootURL(self) -> bytes | None:
        """Give what `rememberRootURL` remembered."""
        return self._root_url

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """Set the status of an answer that is written piece by piece."""
        self.code = code
        self.code_message = message

    def setHeader(self, k: Any, v: Any) -> None:
        """Set a header of the answer in place of all of that name."""
        self.responseHeaders.setRawHeaders(k, [v])

    def redirect(self, url: bytes) -> None:
        """Answer that the resource is elsewhere; the caller finishes."""
        self.setResponseCode(http.FOUND)
        self.setHeader(b"Location", url)

    def setLastModified(self, when: float) -> Any:
        """Set when the resource changed; gives `http.CACHED` where the client has that already."""
        self._last_modified = max(self._last_modified, ceil(when))
        self.setHeader(b"Last-Modified", http.datetimeToString(self._last_modified))
        try:
            since = http.stringToDatetime(self.fields[b"if-modified-since"].partition(b";")[0])
        except (KeyError, ValueError):
            return None
        if since < self._last_modified:
            return None
        self.setResponseCode(http.NOT_MODIFIED)
        return http.CACHED

    def setETag(self, etag: bytes) -> Any:
        """Set the tag of the resource; gives `http.CACHED` where the client has that already."""
        self.setHeader(b"ETag", etag)
        tags = [tag.strip() for tag in self.fields.get(b"if-none-match", b"").split(b",")]
        if etag not in tags and b"*" not in tags:
            return None
        self.setResponseCode(http.NOT_MODIFIED if self.method in (b"GET", b"HEAD") else http.PRECONDITION_FAILED)
        return http.CACHED

    def addCookie(
        self,
        k: bytes,
        v: bytes,
        expires: bytes | None = None,
        domain: bytes | None = None,
        path: bytes | None = None,
        max_age: bytes | None = None,
        comment: bytes | None = None,
        secure: bool | None = None,
        httpOnly: bool = False,
        sameSite: bytes | None = None,
    ) -> None:
        """Set a cookie; names and values as bytes."""
        fields: Sequence[tuple[bytes, bytes | None]] = (
            (b"Expires", expires),
            (b"Domain", domain),
            (b"Path", path),
            (b"Max-Age", max_age),
            (b"Comment", comment),
            (b"SameSite", sameSite),
        )
        parts = [k + b"=" + v, *(name + b"=" + value for name, value in fields if value is not None)]
        parts += [b"Secure"] if secure else []
        parts += [b"HttpOnly"] if httpOnly else []
        self.responseHeaders.addRawHeader(b"Set-Cookie", b"; ".join(part.replace(b";", b" ") for part in parts))


def _arguments(encoded: bytes) -> dict[bytes, list[bytes]]:
    try:
        return parse_qs(encoded, keep_blank_values=True, max_num_fields=_MOST_ARGUMENTS)
    except ValueError:
        raise BadInput(f"A request has at most {_MOST_ARGUMENTS} arguments.") from None
