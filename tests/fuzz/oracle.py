"""A strict reading of what a client sent: which requests are in it, and what is behind the last.

Written from RFC 9112 and from what this house refuses, with whole heads and regular expressions, so that it shares neither
code nor method with the front. It may take what the front refuses. What it does not take, the front must not take either.
"""

from __future__ import annotations

import enum
import re
from collections import Counter

from attrs import frozen

MOST_BODY = 100_000
MOST_HEAD = 16 * 1024
MOST_TARGET = 8 * 1024
MOST_HEADERS = 100

_HEAD = re.compile(rb"([A-Z-]+) (/[!-~]*|\*) HTTP/1\.([01])\r\n((?:[!#-'*+.0-9A-Z^-z|~-]+:[\t -~\x80-\xff]*\r\n)*)\r\n")
_HOST = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILERS = re.compile(rb"(?:[!#-'*+.0-9A-Z^-z|~-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_ONLY_ONCE = {
    b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-range", b"authorization", b"range",
    b"expect", b"if-range", b"if-modified-since", b"if-unmodified-since",
}  # fmt: skip


class Behind(enum.Enum):
    """What is behind the last request."""

    NOTHING = "nothing, or a request that is not all there"
    BAD = "something that is no request"
    UNREAD = "whatever it is, it is not read: the connection closes"


@frozen
class Message:
    """One request; headers have lower-case names."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@frozen
class Reading:
    """All that is in some bytes."""

    messages: tuple[Message, ...]
    behind: Behind


class _Bad(Exception):
    """No request."""


class _Short(Exception):
    """The bytes end within a request."""


def read(data: bytes) -> Reading:
    """Read what a client sent over one connection."""
    messages: list[Message] = []
    at = 0
    try:
        while True:
            while data.startswith(b"\r\n", at):
                at += 2
            if at == len(data):
                return Reading(tuple(messages), Behind.NOTHING)
            message, at, closes = _message(data, at)
            messages.append(message)
            if closes:
                return Reading(tuple(messages), Behind.UNREAD)
    except _Bad:
        return Reading(tuple(messages), Behind.BAD)
    except _Short:
        return Reading(tuple(messages), Behind.NOTHING)


def _message(data: bytes, at: int) -> tuple[Message, int, bool]:
    end = data.find(b"\r\n\r\n", at) + 4
    if end < 4:
        raise _Short if len(data) - at <= MOST_HEAD else _Bad
    match = _HEAD.fullmatch(data, at, end)
    if match is None or end - at > MOST_HEAD:
        raise _Bad
    method, target, minor, lines = match.groups()
    headers = tuple(_header(line) for line in lines.split(b"\r\n")[:-1])
    is_newest = minor == b"1"
    _judge(method, target, headers, is_newest)
    fields = dict(headers)
    body, at = _body(data, end, method, fields, is_newest)
    return Message(method, target, headers, body), at, _closes(headers, is_newest)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b"\t ")


def _judge(method: bytes, target: bytes, headers: tuple[tuple[bytes, bytes], ...], is_newest: bool) -> None:
    counts = Counter(name for name, _ in headers)
    fields = dict(headers)
    singles = (name for name in counts if name in _ONLY_ONCE or (name[:2] == b"x-" and name[:12] != b"x-forwarded-"))
    if (
        len(headers) > MOST_HEADERS
        or len(target) > MOST_TARGET
        or b"#" in target
        or (target == b"*" and method != b"OPTIONS")
        or any(counts[name] > 1 for name in singles)
        or (is_newest and b"host" not in fields)
        or _HOST.fullmatch(fields.get(b"host", b"")) is None
        or (is_newest and fields.get(b"expect", b"100-continue").lower() != b"100-continue")
    ):
        raise _Bad


def _body(data: bytes, at: int, method: bytes, fields: dict[bytes, bytes], is_newest: bool) -> tuple[bytes, int]:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if coding is not None:
        if (
            coding.lower() != b"chunked"
            or length is not None
            or not is_newest
            or method in (b"GET", b"HEAD", b"DELETE", b"TRACE")
        ):
            raise _Bad
        return _chunks(data, at)
    if length is None:
        if method in (b"POST", b"PUT"):
            raise _Bad
        return b"", at
    if re.fullmatch(rb"[0-9]{1,20}", length) is None or int(length) > MOST_BODY:
        raise _Bad
    if int(length) and method in (b"GET", b"HEAD", b"DELETE", b"TRACE"):
        raise _Bad
    end = at + int(length)
    if end > len(data):
        raise _Short
    return data[at:end], end


def _chunks(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        match = _CHUNK.match(data, at)
        if match is None:
            raise _Bad if data.find(b"\n", at) >= 0 else _Short
        size, at = int(match[1], 16), match.end()
        if not size:
            break
        if len(body) + size > MOST_BODY:
            raise _Bad
        if at + size + 2 > len(data):
            raise _Short
        body += data[at : at + size]
        at += size + 2
        if data[at - 2 : at] != b"\r\n":
            raise _Bad
    trailers = _TRAILERS.match(data, at)
    if trailers is None:
        raise _Bad if data.find(b"\r\n\r\n", at) >= 0 else _Short
    return body, trailers.end()


def _closes(headers: tuple[tuple[bytes, bytes], ...], is_newest: bool) -> bool:
    words = {word.strip(b"\t ").lower() for name, value in headers if name == b"connection" for word in value.split(b",")}
    return b"close" in words or not (is_newest or b"keep-alive" in words)
