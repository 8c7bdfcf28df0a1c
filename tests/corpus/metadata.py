"""Metadata, and what comes back of it (torture H18 to H22, H46, H51, H52, H55 to H57, S7, S11)."""

from __future__ import annotations

import gzip

from tests.corpus.rows import (
    AGAIN,
    AGAIN_ID,
    FRESH,
    MOST,
    NOTHING_ID,
    PAGE,
    PAGE_ID,
    TEN_ID,
    Asked,
    Behind,
    Port,
    get,
    post,
    request,
    shown,
    spoken_to,
    upload,
)

_NO_BODY = b"Content-Length: 0"
_INERT = {b"content-security-policy": b"sandbox; default-src 'none'", b"x-content-type-options": b"nosniff"}


def _refused(name: str, *lines: bytes, ports: tuple[Port, ...] = (Port.UPLOAD, Port.BLOB)) -> list[Asked]:
    return [
        Asked(
            name=f"{name} at the {port.value} port",
            port=port,
            data=spoken_to(port, post(_NO_BODY, *lines), FRESH),
            statuses={400},
        )
        for port in ports
    ]


LIMITS = [
    *_refused("H56 65 headers", *[b"X-%d: a" % n for n in range(65)]),
    *_refused("H56 8 KiB + 1", b"X-A: " + b"a" * (8192 - 2)),
    *_refused("H56 8 KiB + 1 in two headers", b"X-A: " + b"a" * 4093, b"X-B: " + b"b" * 4094),
    *_refused("H46 SHA-256 of other bytes", b"X-Sos-SHA256: " + b"0" * 64, ports=(Port.BLOB,)),
    *_refused("H46 SHA-256 too short", b"X-Sos-SHA256: " + b"0" * 63, ports=(Port.BLOB,)),
    *_refused("H46 SHA-256 in capitals", b"X-Sos-SHA256: " + b"A" * 64, ports=(Port.BLOB,)),
    *_refused("H46 SHA-256 empty", b"X-Sos-SHA256:", ports=(Port.BLOB,)),
    *[
        row
        for value in (
            b"-1",
            b"1e3",
            b"\xd9\xa5",
            b"%d" % 10**30,
            b"",
            b"01",
            b"+1",
            b"1_0",
            b"%d" % 2**63,
            b"%d" % (2**64 - 1),
        )
        for row in _refused(f"B16 version {shown(value)}", b"X-Sos-Version: " + value, ports=(Port.BLOB,))
    ],
    *_refused("S7 a kind that is none", b"X-Sos-Kind: tombstone", ports=(Port.BLOB,)),
    *_refused("S7 an internal header that nobody knows", b"X-Sos-Root: 1", ports=(Port.BLOB,)),
]

INTERNAL = (
    b"X-Sos-Version",
    b"x-sos-sha256",
    b"X-SOS-KIND",
    b"X-Sos-Store",
    b"X-Sos-Protocol",
    b"X-Sos-Round",
    b"X-Sos-Anything",
    b"X-Sos-",
)

RESERVED = [
    Asked(name=f"S7 {name.decode()} with an upload", port=Port.UPLOAD, data=post(_NO_BODY, name + b": 1"), statuses={400})
    for name in INTERNAL
] + [
    Asked(
        name=f"S7 {name.decode()} with a download",
        port=Port.DOWNLOAD,
        data=get(b"/fetch/" + TEN_ID, name + b": 1"),
        statuses={400},
    )
    for name in INTERNAL
]

FULL = [b"X-%02d: %b" % (n, b"v" * 125) for n in range(63)] + [b"X-Last: " + b"v" * (8192 - 63 * 129 - 6)]
"""64 headers of 8 KiB in all, which is as many as may be."""

_BOMB = gzip.compress(bytes(50_000_000), mtime=0)
_FORM = b"a=b&" * 2000
_MULTIPART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbroken'

TAKEN = [
    Asked(name=name, port=Port.UPLOAD, data=upload(body, *lines), statuses={200}, stores=body)
    for name, body, lines in (
        ("H56 64 headers of 8 KiB", b"full", FULL),
        ("H51 gzip of 50 MB", _BOMB, [b"Content-Encoding: gzip"]),
        ("H52 a form", _FORM, [b"Content-Type: application/x-www-form-urlencoded"]),
        ("H52 a broken multipart", _MULTIPART, [b"Content-Type: multipart/form-data; boundary=x"]),
        ("H52 a multipart without a boundary", b"--", [b"Content-Type: multipart/form-data"]),
        ("H59 what looks like a manifest", b'{"chunks":[{"id":"c0","size":1}]}', [b"X-Mime-Type: application/json"]),
        ("H45 nothing", b"", []),
        ("H45 one byte", b"1", []),
        ("H45 64 KiB - 1", b"a" * 65_535, []),
        ("H45 64 KiB", b"b" * 65_536, []),
        ("H45 64 KiB + 1", b"c" * 65_537, []),
        ("H45 the maximum", b"d" * MOST, []),
    )
]  # fmt: skip

TOO_MUCH = [
    Asked(
        name="H45 the maximum + 1",
        port=Port.UPLOAD,
        data=upload(b"e" * (MOST + 1)),
        statuses={413},
        behind=Behind.UNREAD,
    )
]

NOT_KEPT = (
    b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"X-Real-IP", b"X-Request-ID", b"X-Content-Type-Options",
    b"X_Mime_Type", b"Content_Length", b"Authorization", b"Cookie", b"Via", b"Forwarded", b"Proxy-Authorization",
    b"Keep-Alive", b"Content-Disposition", b"Content-Type", b"Last-Modified", b"Access-Control-Allow-Origin", b"Set-Cookie",
)  # fmt: skip
"""Headers of an upload that mean nothing to it and never come back (H21, H56, S7)."""

KEPT = (
    b"X-Plain: a b  c",
    b"X-Latin: \x80\xff\xe9",
    b"X-Tabs: a\tb",
    b"X-Odd!#$%&'*+.^_`|~: ,;=\"\\",
    b"X-Empty:",
    b"X-UPPER: MiXeD",
)


def _got(
    name: str, object_id: bytes, query: bytes = b"", statuses: tuple[int, ...] = (200,), **headers: bytes | None
) -> Asked:
    named = {header.replace("_", "-").encode(): value for header, value in headers.items()}
    return Asked(
        name=name,
        port=Port.DOWNLOAD,
        data=get(b"/fetch/" + object_id + query),
        statuses=statuses,
        headers={**_INERT, **named},
    )


def _named(plain: bytes, full: bytes) -> bytes:
    return b"attachment; filename=\"%b\"; filename*=UTF-8''%b" % (plain, full)


_FLIPPED = b"%E2%80%AEgpj.exe"
SHOWN = [
    _got("H18 metadata above ASCII comes back", TEN_ID, x_colour=b"\xe9\xff", content_type=b"text/plain"),
    _got("S7 no internal header comes back", TEN_ID, x_sos_version=None, x_sos_store=None, x_sos_sha256=None),
    _got("S11 html is an attachment", PAGE_ID, content_disposition=b"attachment", content_type=b"text/html"),
    _got("S11 text is shown", TEN_ID, content_disposition=None),
    _got("H55 its own name", TEN_ID, b"?download", content_disposition=_named(b"ten.txt", b"ten.txt")),
    _got("H55 no name at all", NOTHING_ID, b"?download", content_disposition=b"attachment"),
    _got("H55 only dots", TEN_ID, b"?download=../..", content_disposition=b"attachment"),
    *[
        _got(f"H55 {shown(asked)}", TEN_ID, b"?download=" + asked, content_disposition=_named(plain, full))
        for asked, plain, full in (
            (b"a%0d%0aSet-Cookie:x", b"a_Set-Cookie_x", b"a_Set-Cookie_x"),
            (b"a%22;x=%22b", b"a_;x=_b", b"a_%3Bx%3D_b"),
            (b"../../etc/passwd", b"passwd", b"passwd"),
            (b"..%5c..%5ca.exe", b"a.exe", b"a.exe"),
            (b"a%00b", b"a_b", b"a_b"),
            (_FLIPPED, b"gpj.exe", b"gpj.exe"),
            (b"%C3%A9.txt", b"_.txt", b"%C3%A9.txt"),
            (b"a" * 7000, b"a" * 200, b"a" * 200),
        )
    ],
    *[
        Asked(
            name=f"S11 {name}",
            port=Port.DOWNLOAD,
            data=request(method, b"/fetch/" + PAGE_ID, *lines),
            statuses={status},
            headers={**_INERT, b"content-disposition": b"attachment"},
            body=body,
        )
        for name, method, lines, status, body in (
            ("on HEAD", b"HEAD", (), 200, b""),
            ("on 206", b"GET", (b"Range: bytes=0-3",), 206, PAGE[:4]),
            ("on 304", b"GET", (b"If-None-Match: *",), 304, b""),
            ("on 412", b"GET", (b'If-Match: "x"',), 412, b""),
        )
    ],
    *[
        Asked(
            name=f"S11 an error is JSON and not sniffed: {status}{shown(path)}",
            port=Port.DOWNLOAD,
            data=get(path, *lines),
            statuses={status},
            headers={b"content-type": b"application/json", b"x-content-type-options": b"nosniff"},
        )
        for path, lines, status in (
            (b"/fetch/<script>", (), 400),
            (b"/fetch/" + b"0" * 40, (), 404),
            (b"/<script>", (), 404),
            (b"/fetch/" + TEN_ID, (b"Range: bytes=99-",), 416),
        )
    ],
]  # fmt: skip

SAME_ID = [
    Asked(
        name="H44 the same bytes",
        port=Port.BLOB,
        data=request(b"PUT", b"/blob/" + AGAIN_ID, b"Content-Length: 5", b"X-Colour: \xe9\xff", body=AGAIN),
        statuses={200},
    ),
    Asked(
        name="H44 other bytes",
        port=Port.BLOB,
        data=request(b"PUT", b"/blob/" + AGAIN_ID, b"Content-Length: 3", body=b"abc"),
        statuses={409},
    ),
    Asked(
        name="H44 an older version",
        port=Port.BLOB,
        data=request(b"PUT", b"/blob/" + AGAIN_ID, b"Content-Length: 5", b"X-Sos-Version: 1", b"X-Colour: old", body=AGAIN),
        statuses={409},
    ),
    Asked(name="H44 the old bytes are there", port=Port.BLOB, data=get(b"/blob/" + AGAIN_ID), statuses={200}, body=AGAIN),
]  # fmt: skip

DESCRIBED = [*LIMITS, *RESERVED, *TAKEN, *TOO_MUCH, *SHOWN, *SAME_ID]
