"""What a row of the corpus is, and the words that requests are written with.

Rows are written to the upload port. Where a row makes sense on other ports too, `spoken_to` writes it anew for them.
A row's name begins with its ID in the torture list; the rest of it is a fact.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote_from_bytes

from attrs import field, frozen

HOST = b"Host: localhost\r\n"

MOST = 100_000
"""Bytes of the longest body that the ports under test take, where they have a limit of their own."""


Request = tuple[bytes, bytes, bytes]
"""Method, target and body."""


class Port(enum.Enum):
    """The listening ports of sos."""

    UPLOAD = "uploads"
    DOWNLOAD = "downloads"
    BLOB = "blobs"


ALL = tuple(Port)
WRITABLE = (Port.UPLOAD, Port.BLOB)
READABLE = (Port.DOWNLOAD, Port.BLOB)


class Behind(enum.Enum):
    """What becomes of a request that follows on the same connection."""

    READ = "read"
    UNREAD = "unread"
    EITHER = "either"
    """A body that nobody wanted: it is skipped if it was all there, and else the connection ends."""


@frozen
class Refused:
    """Bytes that the front itself answers with one error; it closes, and never reads what is behind them."""

    name: str
    data: bytes
    statuses: Collection[int]
    in_body: bool = False
    """The head is right: a handler is at work when the body turns bad."""
    ports: tuple[Port, ...] = ALL


@frozen
class Read:
    """Bytes that are requests, each with its method, target and body, and nothing else. The connection stays open."""

    name: str
    data: bytes
    requests: Sequence[Request]
    ports: tuple[Port, ...] = ALL


@frozen
class Cut:
    """A request whose body never comes to its end: it leaves nothing behind, and is never told that it was stored."""

    name: str
    data: bytes


@frozen(kw_only=True)
class Asked:
    """One request to the resource of one port, and its answer."""

    name: str
    port: Port
    data: bytes
    statuses: Collection[int]
    headers: Mapping[bytes, bytes | None] = field(factory=dict)
    """Headers of the answer, lower-case; None for one that must not be there."""
    body: bytes | None = None
    stores: bytes | None = None
    """The object that is stored by it."""
    behind: Behind = Behind.READ


Row = Refused | Read | Cut | Asked


# Objects that are there before any row is sent

TEN = b"0123456789"
NOTHING = b""
AGAIN = b"again"
"""An object that rows write to once more."""
PAGE = b"<script>alert(1)</script>"


def id_of(body: bytes) -> bytes:
    """Give the ID under which an api keeps a body."""
    return hashlib.sha1(body).hexdigest().encode()


TEN_ID = id_of(TEN)
NOTHING_ID = id_of(NOTHING)
PAGE_ID = id_of(PAGE)
AGAIN_ID = id_of(AGAIN)

BEFOREHAND: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (TEN, (b"X-Mime-Type: text/plain", b"X-Orig-Filename: ten.txt", b"X-Colour: \xe9\xff")),
    (NOTHING, ()),
    (AGAIN, (b"X-Colour: \xe9\xff",)),
    (PAGE, (b"X-Mime-Type: text/html", b'X-Orig-Filename: ../"\xe2\x80\xaegpj.html')),
)
"""Bodies and header lines of the objects that rows ask for."""


# Requests

WRITE_PATH = b"/upload"
FRESH = b"fresh0id"
"""Stands for an ID that no other row has; `spoken_to` gives it."""


def request(method: bytes, target: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """Write a request with a Host and more header lines."""
    return method + b" " + target + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def get(target: bytes, *lines: bytes) -> bytes:
    """Write a GET."""
    return request(b"GET", target, *lines)


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """Write an upload, whose framing is among the lines."""
    return request(b"POST", WRITE_PATH, *lines, body=body)


def upload(body: bytes, *lines: bytes) -> bytes:
    """Write an upload of a body with its length."""
    return post(b"Content-Length: %d" % len(body), *lines, body=body)


def chunked(framed: bytes) -> bytes:
    """Write an upload in chunks, whose framing is given."""
    return post(b"Transfer-Encoding: chunked", body=framed)


def in_chunks(body: bytes, size: int) -> bytes:
    """Frame a body in chunks of a size."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def spoken_to(port: Port, data: bytes, fresh: bytes) -> bytes:
    """Write a row's bytes for a port: what is uploaded here is a blob under a fresh ID there."""
    if port is Port.BLOB:
        data = data.replace(b" " + WRITE_PATH + b" HTTP/", b" /blob/" + FRESH + b" HTTP/")
    return data.replace(FRESH, fresh)


def shown(value: bytes) -> str:
    """Write bytes so that they can stand in a row's name."""
    text = quote_from_bytes(value, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return text if len(text) <= 40 else f"{text[:24]}… ({len(value)} bytes)"
