"""Bodies: chunks that are none, bodies that stop, and requests that are read exactly (torture H9 to H54)."""

from __future__ import annotations

from tests.corpus.rows import (
    HOST,
    MOST,
    WRITABLE,
    WRITE_PATH,
    Cut,
    Port,
    Read,
    Refused,
    chunked,
    get,
    in_chunks,
    post,
    request,
    shown,
    upload,
)


def _bad(name: str, data: bytes, statuses: set[int], ports: tuple[Port, ...] = WRITABLE) -> Refused:
    return Refused(name, data, statuses, in_body=True, ports=ports)


REFUSED_BODIES = [
    *[
        _bad(f"H36 size {shown(size)}", chunked(size + b"\r\n12345\r\n0\r\n\r\n"), {400})
        for size in (
            b"0x5",
            b"-5",
            b"+5",
            b"0_5",
            b" 5",
            b"5 ",
            b"5\t",
            b"",
            b"g",
            b"5\0",
            b"\xd9\xa5",
            b"5h",
            b'"5"',
            b"5,5",
        )
    ],
    _bad("H36 bare LF", chunked(b"5\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H36 bare CR", chunked(b"5\r12345\r\n0\r\n\r\n"), {400}),
    _bad("H36 bare LF behind data", chunked(b"5\r\n12345\n0\r\n\r\n"), {400}),
    _bad("H36 bare LF behind the last chunk", chunked(b"5\r\n12345\r\n0\n\n"), {400}),
    _bad("H36 no CRLF behind data", chunked(b"5\r\n123456\r\n0\r\n\r\n"), {400}),
    _bad("H36 two other bytes behind data", chunked(b"5\r\n12345xx0\r\n\r\n"), {400}),
    _bad("H36 LF CR behind data", chunked(b"5\r\n12345\n\r0\r\n\r\n"), {400}),
    _bad("H36 size too large by one", chunked(b"6\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H36 size too small by one", chunked(b"4\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H37 17 digits", chunked(b"0" * 16 + b"5\r\n12345"), {400}),
    _bad("H37 1,000 digits", chunked(b"F" * 1000), {400}),
    _bad("H37 1,000 zeros and a 5", chunked(b"0" * 1000 + b"5\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H37 FFFFFFFFFFFFFFFF", chunked(b"FFFFFFFFFFFFFFFF\r\n"), {413}),
    _bad("H37 8000000000000000", chunked(b"8000000000000000\r\n"), {413}),
    _bad("H38 extension with CR", chunked(b"5;a=\rb\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H38 extension with LF", chunked(b"5;a=\nb\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H38 extension with NUL", chunked(b"5;a=\0b\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H38 20 KiB of extension", chunked(b"5;" + b"a" * 20 * 1024 + b"\r\n12345\r\n0\r\n\r\n"), {400}),
    _bad("H38 extensions everywhere", chunked(b"1;abcdef\r\nx\r\n" * 50_000), {400}),
    _bad("H39 malformed trailer", chunked(b"0\r\nno colon\r\n\r\n"), {400}),
    _bad("H39 folded trailer", chunked(b"0\r\nA: b\r\n c\r\n\r\n"), {400}),
    _bad("H39 trailer with a bare LF", chunked(b"0\r\nA: b\nB: c\r\n\r\n"), {400}),
    _bad("H39 trailers over 8 KiB", chunked(b"0\r\n" + b"A: bcdefghij\r\n" * 600 + b"\r\n"), {400}),
    _bad("H40 over the maximum", chunked(b"1000\r\n" + b"a" * 4096 + b"\r\n%x\r\n" % MOST), {413}, (Port.UPLOAD,)),
    _bad(
        "H40 over the maximum by one tiny chunk",
        chunked(in_chunks(bytes(MOST), 1000)[:-5] + b"1\r\nx\r\n"),
        {413},
        (Port.UPLOAD,),
    ),
]

_GET_A = (b"GET", b"/a", b"")
_GET_B = (b"GET", b"/b", b"")


def _posted(body: bytes) -> tuple[bytes, bytes, bytes]:
    return (b"POST", WRITE_PATH, body)


EXACT = [
    Read("H8 OPTIONS", request(b"OPTIONS", b"/a"), [(b"OPTIONS", b"/a", b"")]),
    Read("H7 PATCH", request(b"PATCH", b"/a"), [(b"PATCH", b"/a", b"")]),
    Read("H7 PROPFIND", request(b"PROPFIND", b"/a"), [(b"PROPFIND", b"/a", b"")]),
    Read("H7 TRACE", request(b"TRACE", b"/a"), [(b"TRACE", b"/a", b"")]),
    Read("H9 CRLF before", b"\r\n" + get(b"/a"), [_GET_A]),
    Read("H9 two CRLF before", b"\r\n\r\n" + get(b"/a"), [_GET_A]),
    Read("H12 Host with a port", b"GET /a HTTP/1.1\r\nHost: a.b:9991\r\n\r\n", [_GET_A]),
    Read("H12 Host of IPv6", b"GET /a HTTP/1.1\r\nHost: [::1]:9991\r\n\r\n", [_GET_A]),
    Read("H12 empty Host", b"GET /a HTTP/1.1\r\nHost:\r\n\r\n", [_GET_A]),
    Read("H14 nothing is normalised", get(b"//a//b/../%2e"), [(b"GET", b"//a//b/../%2e", b"")]),
    Read("H5 8 KiB", get(b"/" + b"a" * 8191), [(b"GET", b"/" + b"a" * 8191, b"")]),
    Read("H17 TAB in a value", get(b"/a", b"X-A: a\tb"), [_GET_A]),
    Read("H17 no space, many spaces", get(b"/a", b"X-A:a", b"X-B:   b   "), [_GET_A]),
    Read("H18 0x80 to 0xFF in a value", get(b"/a", b"X-A: \x80\xff"), [_GET_A]),
    Read("H19 100 headers", get(b"/a", *[b"A%d: x" % n for n in range(99)]), [_GET_A]),
    Read("H19 16 KiB", get(b"/a", b"A: " + b"x" * (16 * 1024 - len(get(b"/a", b"A: ")))), [_GET_A]),
    Read("H21 underscores", post(b"Content_Length: 3", b"Content-Length: 5", body=b"12345"), [_posted(b"12345")], WRITABLE),
    Read(
        "H21 a coding with an underscore",
        post(b"Transfer_Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        [_posted(b"0\r\n\r\n")],
        WRITABLE,
    ),
    Read("H22 Connection: Authorization", get(b"/a", b"Connection: Authorization") * 2, [_GET_A] * 2),
    Read("H23 Upgrade on GET", get(b"/a", b"Upgrade: h2c", b"Connection: Upgrade") + get(b"/b"), [_GET_A, _GET_B]),
    Read("H24 agreed", post(b"Expect: 100-continue", b"Content-Length: 5", body=b"12345"), [_posted(b"12345")], WRITABLE),
    Read(
        "H24 in capitals", post(b"EXPECT: 100-CONTINUE", b"Content-Length: 5", body=b"12345"), [_posted(b"12345")], WRITABLE
    ),
    Read("H30 request behind a body", upload(b"12345") + get(b"/b"), [_posted(b"12345"), _GET_B], WRITABLE),
    Read("H30 request for a body", upload(get(b"/smuggled")) + get(b"/b"), [_posted(get(b"/smuggled")), _GET_B], WRITABLE),
    Read(
        "H30 request behind chunks",
        chunked(b"5\r\n12345\r\n1;x=y\r\n6\r\n0\r\n\r\n") + get(b"/b"),
        [_posted(b"123456"), _GET_B],
        WRITABLE,
    ),
    Read("H31 length 0", get(b"/a", b"Content-Length: 0"), [_GET_A]),
    Read(
        "H36 sizes in both cases and with zeros",
        chunked(b"0A\r\n1234567890\r\n00b\r\n12345678901\r\n00\r\n\r\n"),
        [_posted(b"123456789012345678901")],
        WRITABLE,
    ),
    Read("H36 chunks of line ends", chunked(b"4\r\n\r\n\r\n\r\n2\r\n0\r\r\n0\r\n\r\n"), [_posted(b"\r\n\r\n0\r")], WRITABLE),
    Read("H36 no chunk but the last", chunked(b"0\r\n\r\n") + get(b"/b"), [_posted(b""), _GET_B], WRITABLE),
    Read("H38 extensions", chunked(b'1;a\r\nx\r\n1;a=b;c="d e"\r\ny\r\n0;z\r\n\r\n'), [_posted(b"xy")], WRITABLE),
    Read(
        "H39 trailers are no headers",
        chunked(b"1\r\nx\r\n0\r\nAuthorization: b\r\nX-Mime-Type: text/evil\r\n\r\n") + get(b"/b"),
        [_posted(b"x"), _GET_B],
        WRITABLE,
    ),
    Read(
        "H34 chunked in capitals",
        post(b"TRANSFER-ENCODING: CHUNKED", body=b"1\r\nx\r\n0\r\n\r\n"),
        [_posted(b"x")],
        WRITABLE,
    ),
    Read("H54 three requests in one segment", get(b"/a") + get(b"/b") + get(b"/a"), [_GET_A, _GET_B, _GET_A]),
    Read(
        "H54 uploads behind each other",
        upload(b"one") + upload(b"two") + upload(b"one"),
        [_posted(b"one"), _posted(b"two"), _posted(b"one")],
        (Port.UPLOAD,),
    ),
    Read(
        "H54 1,000 requests",
        b"".join(get(b"/%d" % n) for n in range(1000)),
        [(b"GET", b"/%d" % n, b"") for n in range(1000)],
    ),
    Read("HTTP/1.0 that keeps alive", b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get(b"/b"), [_GET_A, _GET_B]),
]

CUTS = [
    Cut("H29 head alone", post(b"Content-Length: 50")),
    Cut("H29 5 bytes of 50", post(b"Content-Length: 50", body=b"12345")),
    Cut("H29 all but one", post(b"Content-Length: 50", body=b"x" * 49)),
    Cut("H29 70,000 bytes of 90,000", post(b"Content-Length: 90000", body=b"x" * 70_000)),
    Cut("H29 half a head", b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Len"),
    Cut("H29 final chunk missing", chunked(b"5\r\n12345\r\n")),
    Cut("H29 line end behind the final chunk missing", chunked(b"5\r\n12345\r\n0\r\n")),
    Cut("H29 within a chunk", chunked(b"5\r\n123")),
    Cut("H29 within a size", chunked(b"5\r\n12345\r\n1")),
    Cut("H29 within the trailers", chunked(b"5\r\n12345\r\n0\r\nA: b\r\n")),
    Cut("H29 80,000 bytes of chunks", chunked(in_chunks(b"x" * 80_000, 9000)[:-5])),
]
