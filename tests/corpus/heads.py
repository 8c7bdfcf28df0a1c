"""Heads of requests: what is refused before anybody hears of it (torture H1 to H35)."""

from __future__ import annotations

from tests.corpus.rows import HOST, MOST, Port, Refused, get, post, request, shown

GET = b"GET /a HTTP/1.1\r\n"

LINES = [
    Refused("H1 no version", b"GET /a\r\n", {400, 505}),
    Refused("H1 no version, whole head", b"GET /a\r\n\r\n", {400, 505}),
    Refused("H1 HTTP/0.9", b"GET /a HTTP/0.9\r\n" + HOST + b"\r\n", {400, 505}),
    Refused("H1 HTTP/2.0", b"GET /a HTTP/2.0\r\n" + HOST + b"\r\n", {400, 505}),
    Refused("H1 RTSP", b"GET /a RTSP/1.0\r\n\r\n", {400, 505}),
    Refused("H2 HTTP/1.2", b"GET /a HTTP/1.2\r\n\r\n", {400, 505}),
    Refused("H2 HTTP/1.11", b"GET /a HTTP/1.11\r\n\r\n", {400}),
    Refused("H2 http in small letters", b"GET /a http/1.1\r\n\r\n", {400}),
    Refused("H2 preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    Refused("H2 TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    Refused("H2 PROXY line", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", {400}),
    Refused("H2 PROXY, binary", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", {400}),
    Refused("H3 TAB in the target", b"GET /a\tb HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H3 TAB for a space", b"GET\t/a HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H3 space in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H3 space behind the version", b"GET /a HTTP/1.1 \r\n" + HOST + b"\r\n", {400}),
    Refused("H3 space before the method", b" GET /a HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H3 two spaces before the target", b"GET  /a HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H3 two spaces behind the target", b"GET /a  HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H3 two versions", b"GET /a HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    *[
        Refused(f"H4 {byte:#04x} in the target", get(b"/a%cb" % byte), {400})
        for byte in (0, 1, 0x0B, 0x1F, 0x7F, 0x80, 0xFF)
    ],
    Refused("H5 target of 8 KiB + 1", get(b"/" + b"a" * 8192), {414}),
    Refused("H5 target of 17 KiB", get(b"/" + b"a" * 17 * 1024), {414}),
    Refused("H5 query of 8 KiB", get(b"/a?" + b"a" * 8192), {414}),
    Refused("H6 method of 3,000 bytes", b"G" * 3000 + b" /a HTTP/1.1\r\n\r\n", {400, 501}),
    Refused("H6 get in small letters", b"get /a HTTP/1.1\r\n\r\n", {400, 501}),
    Refused("H6 G@T", b"G@T /a HTTP/1.1\r\n\r\n", {400, 501}),
    Refused("H6 a method that nobody knows", b"GETT /a HTTP/1.1\r\n" + HOST + b"\r\n", {400, 501}),
    Refused("H6 no method", b" /a HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    Refused("H7 CONNECT", b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", {405}),
    Refused("H10 bare LF everywhere", b"GET /a HTTP/1.1\nHost: x\n\n", {400}),
    Refused("H10 bare LF behind the request line", b"GET /a HTTP/1.1\n", {400}),
    Refused("H10 bare LF, no version", b"GET /a\n", {400, 505}),
    Refused("H10 bare LF for the version, a version behind", b"GET /\nX-A: HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    Refused("H10 bare LF in the target", b"GET /a\nb HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    Refused(
        "H10 bare LF that makes a length of the version",
        b"POST /upload\nContent-Length: HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    Refused("H10 bare CR in the target", b"GET /a\rb: HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    Refused("H10 bare LF behind a header", GET + b"Host: x\n", {400}),
    Refused("H10 bare LF for the empty line", GET + b"Host: x\r\n\n", {400}),
    Refused("H10 LF CR", GET + b"Host: x\n\r", {400}),
    Refused("H10 bare LF before the request", b"\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    Refused("H9 CR CR LF before the request", b"\r\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    Refused("H9 CR CR LF and no request", b"\r\n\r\r\n", {400}),
    Refused("H10 bare CR before the request", b"\rGET /a HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    Refused("H11 no newline, request line", b"A" * 70_000, {400}),
    Refused("H11 no newline, target", b"GET /" + b"a" * 70_000, {414}),
    Refused("H11 no newline, header", GET + b"X-A: " + b"a" * 70_000, {431}),
    Refused("H11 no newline, name of a header", GET + b"a" * 70_000, {431}),
    Refused("H13 absolute form", get(b"http://evil/a"), {400}),
    Refused("H13 absolute form, https", get(b"https://localhost/a"), {400}),
    Refused("H14 no slash", get(b"a"), {400}),
    Refused("H14 query only", get(b"?x"), {400}),
    Refused("H14 fragment", get(b"/a#frag"), {400}),
    Refused("H14 asterisk", get(b"*"), {400}),
]

HEADERS = [
    Refused("H12 no Host", b"GET /a HTTP/1.1\r\n\r\n", {400}),
    Refused("H12 two Hosts", get(b"/a", b"Host: localhost"), {400}),
    Refused("H12 two other Hosts", get(b"/a", b"Host: evil"), {400}),
    Refused("H12 Host with a space and a slash", b"GET /a HTTP/1.1\r\nHost: x y/@\r\n\r\n", {400}),
    Refused("H12 Host with a user", b"GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n", {400}),
    Refused("H12 Host with two ports", b"GET /a HTTP/1.1\r\nHost: a:1:2\r\n\r\n", {400}),
    Refused("H15 no colon", get(b"/a", b"nocolon"), {400}),
    Refused("H15 empty name", get(b"/a", b": x"), {400}),
    Refused("H15 space before the colon", get(b"/a", b"X : y"), {400}),
    Refused("H15 TAB before the colon", get(b"/a", b"X\t: y"), {400}),
    Refused("H15 non-ASCII name", get(b"/a", b"\xe9: y"), {400}),
    Refused("H15 fold as the first line", b"GET /a HTTP/1.1\r\n fold: x\r\n\r\n", {400}),
    *[
        Refused(f"H15 {shown(bytes([char]))} in a name", get(b"/a", b"X%cY: z" % char), {400})
        for char in b'"(),/;<=>?@[\\]{}\0\x7f'
    ],
    Refused("H16 fold", get(b"/a", b"X-A: a", b" b"), {400}),
    Refused("H16 fold with a TAB", get(b"/a", b"X-A: a", b"\tb"), {400}),
    Refused("H16 folded Host", b"GET /a HTTP/1.1\r\nHost:\r\n localhost\r\n\r\n", {400}),
    Refused("H16 folded coding", post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), {400}),
    Refused("H16 folded length", post(b"Content-Length:", b" 5", body=b"12345"), {400}),
    Refused("H17 bare CR", get(b"/a", b"X-A: a\rb"), {400}),
    *[
        Refused(f"H17 {byte:#04x} in a value", get(b"/a", b"X-A: a%cb" % byte), {400})
        for byte in (0, 1, 8, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)
    ],
    Refused("H17 bare LF in a value", get(b"/a", b"X-A: a\nX-B: b"), {400}),
    Refused("H19 101 headers", get(b"/a", *[b"A%d: x" % n for n in range(100)]), {431}),
    Refused("H19 101 headers of one name", get(b"/a", *[b"Accept: x"] * 100), {431}),
    Refused("H19 16 KiB + 1", get(b"/a", b"A: " + b"x" * (16 * 1024 + 1 - len(get(b"/a", b"A: ")))), {431}),
    Refused("H20 Authorization twice", get(b"/a", b"Authorization: a", b"Authorization: b"), {400}),
    Refused("H20 Range twice", get(b"/a", b"Range: bytes=0-1", b"range: bytes=0-1"), {400}),
    Refused("H20 Content-Type twice", post(b"Content-Length: 0", b"Content-Type: a/b", b"Content-Type: a/b"), {400}),
    Refused("H20 X- twice", get(b"/a", b"X-Thing: a", b"X-THING: b"), {400}),
    Refused("H20 X-Mime-Type twice", post(b"Content-Length: 0", b"X-Mime-Type: a/b", b"x-mime-type: a/c"), {400}),
    Refused("H20 X-Sos twice", post(b"Content-Length: 0", b"X-Sos-Version: 1", b"X-Sos-Version: 2"), {400}),
    Refused("H20 If-Range twice", get(b"/a", b'If-Range: "a"', b'If-Range: "b"'), {400}),
]

_UPGRADE = (b"Upgrade: h2c", b"Connection: Upgrade")

LENGTHS = [
    Refused("H23 Upgrade with a body", post(*_UPGRADE, b"Content-Length: 5", body=b"GET /"), {400}),
    Refused(
        "H23 Upgrade, a request for a body",
        post(*_UPGRADE, b"Content-Length: %d" % len(get(b"/smuggled")), body=get(b"/smuggled")),
        {400},
    ),
    Refused("H23 Upgrade, chunked", post(*_UPGRADE, b"Transfer-Encoding: chunked"), {400}),
    Refused("H24 another expectation", post(b"Expect: foo", b"Content-Length: 5"), {417}),
    Refused("H24 two expectations", post(b"Expect: 100-continue, foo", b"Content-Length: 5"), {417}),
    Refused(
        "H24 too big, and no 100",
        post(b"Expect: 100-continue", b"Content-Length: %d" % (MOST + 1)),
        {413},
        ports=(Port.UPLOAD,),
    ),
    *[
        Refused(f"H25 length {shown(value)}", post(b"Content-Length: " + value, body=b"12345"), {400})
        for value in (
            b"-1",
            b"+5",
            b"0x5",
            b"0_5",
            b"5.0",
            b"1e1",
            b"",
            b"5,5",
            b"5, 5",
            b"5 5",
            b"5;",
            b'"5"',
            b"\xd9\xa5",
            b"\xb2",
            b"\xef\xbc\x95",
            b"a",
            b"0x",
            b"5\x0b",
        )
    ],
    Refused("H25 two equal lengths", post(b"Content-Length: 5", b"Content-Length: 5", body=b"12345"), {400}),
    Refused("H25 two lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"12345"), {400}),
    Refused("H25 two lengths, one none", post(b"Content-Length: 5", b"Content-Length:", body=b"12345"), {400}),
    Refused("H26 over the maximum", post(b"Content-Length: %d" % (MOST + 1)), {413}, ports=(Port.UPLOAD,)),
    Refused("H26 1 TiB and a byte", post(b"Content-Length: %d" % (2**40 + 1)), {413}),
    Refused("H26 2^63 - 1", post(b"Content-Length: %d" % (2**63 - 1)), {413}),
    Refused("H26 2^63", post(b"Content-Length: %d" % 2**63), {413}),
    Refused("H26 2^64 - 1", post(b"Content-Length: %d" % (2**64 - 1)), {400, 413}),
    Refused("H26 2^64", post(b"Content-Length: %d" % 2**64), {400}),
    Refused("H26 2^64 + 5", post(b"Content-Length: %d" % (2**64 + 5), body=b"12345"), {400}),
    Refused("H26 10^30", post(b"Content-Length: %d" % 10**30), {400}),
    Refused("H27 5,000 digits", post(b"Content-Length: " + b"9" * 5000), {400}),
    Refused("H27 5,000 zeros and a 5", post(b"Content-Length: " + b"0" * 5000 + b"5", body=b"12345"), {400}),
    Refused("H28 no length", post(body=get(b"/smuggled")), {411}),
    Refused("H28 PUT without a length", request(b"PUT", b"/upload"), {411}),
    Refused("H31 GET with a body", get(b"/a", b"Content-Length: 5") + b"12345", {400}),
    Refused("H31 GET with a request for a body", get(b"/a", b"Content-Length: 40") + get(b"/smuggled"), {400}),
    Refused("H31 HEAD with a body", request(b"HEAD", b"/a", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), {400}),
    Refused("H31 DELETE with a body", request(b"DELETE", b"/a", b"Content-Length: 1", body=b"x"), {400}),
]

_TWO = (b"Transfer-Encoding: chunked", b"Content-Length: 5")

CODINGS = [
    Refused("H32 length and coding", post(*reversed(_TWO), body=b"0\r\n\r\n"), {400}),
    Refused("H32 coding and length", post(*_TWO, body=b"0\r\n\r\n"), {400}),
    Refused("H32 coding and length 0", post(_TWO[0], b"Content-Length: 0", body=b"0\r\n\r\n"), {400}),
    Refused("H32 coding twice", post(_TWO[0], _TWO[0], body=b"0\r\n\r\n"), {400}),
    *[
        Refused(f"H32 to H34 coding {shown(value)}", post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"), {400, 501})
        for value in (
            b"chunked, identity",
            b"\x0bchunked",
            b"chunked\x0b",
            b"",
            b"gzip, chunked",
            b",chunked",
            b"chunked,",
            b"identity",
            b"xchunked",
            b"chunkedx",
            b"chunked;q=1",
            b"chunked, chunked",
            b'"chunked"',
            b"chunked\0",
            b"ch\xc3\xbcnked",
            b"gzip",
            b"deflate, chunked",
            b"chunked gzip",
        )
    ],
    Refused("H32 space before the colon", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), {400}),
    Refused("H33 identity, then chunked", post(b"Transfer-Encoding: identity", _TWO[0], body=b"0\r\n\r\n"), {400, 501}),
    Refused("H33 chunked, then identity", post(_TWO[0], b"Transfer-Encoding: identity", body=b"0\r\n\r\n"), {400, 501}),
    Refused("H35 chunked on HTTP/1.0", b"POST /upload HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
]

REFUSED_HEADS = [*LINES, *HEADERS, *LENGTHS, *CODINGS]
