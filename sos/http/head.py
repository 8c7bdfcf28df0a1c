"""The head of a request: what is right in its line and its headers, and what the front has to know from them.

The parser has read the bytes; here is what it lets pass and the front does not. Nothing in here waits, writes or keeps.
"""

from __future__ import annotations

import re

from attrs import define

from sos.http.limits import Limits

Pair = tuple[bytes, bytes]

CHUNKED = -1
"""Stands for the length of a body that says its end by chunks."""

_VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
_WITHOUT_BODY = frozenset({b"GET", b"HEAD", b"DELETE", b"TRACE"})
_WITH_BODY = frozenset({b"POST", b"PUT"})
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ONCE = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-range",
        b"content-type",
        b"expect",
        b"host",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"range",
        b"transfer-encoding",
    }
)
"""Headers that say one thing: two of them are two readings of one request (torture H20)."""

_MOST_DIGITS = 20
"""Of a length below 2^64; the parser refuses larger numbers, and int() must not see 5,000 zeros (torture H27)."""


class Refused(Exception):
    """A request that the front answers by itself; the connection is closed behind the answer."""

    def __init__(self, status: int, sentence: str, headers: tuple[Pair, ...] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


@define(eq=False)
class Head:
    """A request's head that is right: `length` is that of its body, `CHUNKED` where only its end will tell."""

    method: bytes
    target: bytes
    path: bytes
    query: bytes
    is_http_11: bool
    headers: list[Pair]
    fields: dict[bytes, bytes]
    length: int
    is_persistent: bool
    expects_continue: bool


def checked_line(line: bytes, limits: Limits) -> list[bytes]:
    """Give method, target and version of a request line, which must have just these.

    Raises `Refused`. The parser takes HTTP/0.9, HTTP/2.0, RTSP and ICE, and more than one space; and a bare LF behind the
    target, as HTTP/0.9 had it: what follows, up to the line's end, it takes for a header.
    """
    parts = line.split(b" ")
    if len(parts) != 3 or b"\n" in line:
        raise Refused(400, "The request line is a method, a target and HTTP/1.1, with one space between them.")
    if parts[2] not in _VERSIONS:
        raise Refused(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
    if len(parts[1]) > limits.target_bytes:
        raise Refused(414, f"The target of a request has at most {limits.target_bytes} bytes.")
    return parts


def checked_head(parts: list[bytes], headers: list[Pair], is_upgrade: bool, limits: Limits) -> Head:
    """Put a request's head together from its line and its headers (lower-case names).

    Raises `Refused` with the status that says what is wrong.
    """
    method, target, version = parts
    if len(headers) > limits.headers:
        raise Refused(431, f"A request has at most {limits.headers} headers.")
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = _merged(headers)
    path, query = _checked_target(method, target)
    is_http_11 = _VERSIONS[version]
    _check_host(fields.get(b"host"), is_http_11)
    length = _length(method, fields, is_http_11, limits)
    if is_upgrade and length:
        raise Refused(400, "A request with a body cannot ask for another protocol.")  # torture H23
    return Head(
        method,
        target,
        path,
        query,
        is_http_11,
        headers,
        fields,
        length,
        is_http_11 if b"connection" not in fields else _is_persistent(fields[b"connection"], is_http_11),
        b"expect" in fields and _expects_continue(fields[b"expect"], is_http_11) and length != 0,
    )


def _merged(headers: list[Pair]) -> dict[bytes, bytes]:
    """Join the values of headers that are lists; refuse those that are not."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif name in _ONCE or (name.startswith(b"x-") and not name.startswith(b"x-forwarded-")):
            # Not X-Forwarded-*: each proxy on the way may add its line, and nothing here is decided by them.
            raise Refused(400, f"The header {name.decode('ascii')} came twice.")
        else:
            fields[name] += (b"; " if name == b"cookie" else b", ") + value
    return fields


def _checked_target(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Give path and query, not decoded and not normalised."""
    if method == b"CONNECT":
        raise Refused(405, "This server is no proxy.", ((b"Allow", b"GET, HEAD, POST, PUT, DELETE"),))
    if target[:1] != b"/" and not (target == b"*" and method == b"OPTIONS"):
        raise Refused(400, "The target of a request begins with a slash.")
    if b"#" in target:
        raise Refused(400, "The target of a request has no fragment.")
    path, _, query = target.partition(b"?")
    return path, query


def _check_host(host: bytes | None, is_http_11: bool) -> None:
    if host is None:
        if is_http_11:
            raise Refused(400, "A request of HTTP/1.1 has one Host header.")
    elif _HOST.fullmatch(host) is None:
        raise Refused(400, "The Host header is a name or an address, with a port or without.")


def _length(method: bytes, fields: dict[bytes, bytes], is_http_11: bool, limits: Limits) -> int:
    """Give the length of the body: `CHUNKED`, 0 where there is none."""
    coding = fields.get(b"transfer-encoding")
    declared = fields.get(b"content-length")
    if coding is None and declared is None:
        if method in _WITH_BODY:
            raise Refused(411, "A request with this method has a Content-Length or is chunked.")
        return 0
    length = CHUNKED if coding is not None else _declared_length(declared or b"", limits)
    if coding is not None and (coding.lower() != b"chunked" or not is_http_11 or declared is not None):
        raise Refused(400, "The only transfer coding is chunked, in HTTP/1.1, without a Content-Length.")
    if length and method in _WITHOUT_BODY:
        raise Refused(400, "A request with this method has no body.")
    return length


def _declared_length(declared: bytes, limits: Limits) -> int:
    if not declared.isdigit() or len(declared) > _MOST_DIGITS:
        raise Refused(400, "Content-Length is a decimal number.")
    length = int(declared)
    if length > limits.most_body:
        raise Refused(413, f"A body has at most {limits.most_body} bytes here.")
    return length


def _is_persistent(connection: bytes, is_http_11: bool) -> bool:
    """Whether the connection stays open: ``close`` wins, wherever in the list it is."""
    tokens = {token.strip(b" \t") for token in connection.lower().split(b",")}
    return b"close" not in tokens and (is_http_11 or b"keep-alive" in tokens)


def _expects_continue(expect: bytes, is_http_11: bool) -> bool:
    if not is_http_11:  # RFC 9110, 10.1.1: from there it means nothing
        return False
    if expect.lower() != b"100-continue":
        raise Refused(417, "The only expectation that this server knows is 100-continue.")
    return True
