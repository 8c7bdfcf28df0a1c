"""What replication asks of a blob server, from somebody who means no good (torture H44, H46, H58, B6, B15, B16)."""

from __future__ import annotations

from tests.corpus.rows import FRESH, Asked, Behind, Port, get, request, shown


def _asked(name: str, data: bytes, *statuses: int, behind: Behind = Behind.READ, body: bytes | None = None) -> Asked:
    return Asked(name=name, port=Port.BLOB, data=data, statuses=statuses, behind=behind, body=body)


_NO_NUMBERS = (b"-1", b"", b"%D9%A5", b"1e3", b"0x1", b"+1", b"1_0", b"01", b"%d" % 10**30, b"..", b"%2e", b"a")
_MANY = b"&".join(b"x%d=" % n for n in range(17))

PLACES = [
    _asked(f"H58 /sync/bucket/{shown(place)}", get(b"/sync/bucket/" + place), 404) for place in (b"4096", *_NO_NUMBERS)
] + [_asked(f"H58 /sync/digests/{shown(place)}", get(b"/sync/digests/" + place), 404) for place in (b"64", *_NO_NUMBERS)]

PAGES = [
    _asked(f"H58 {shown(path)}?{shown(query)}", get(path + b"?" + query), 400)
    for path in (b"/sync/bucket/0", b"/sync/strays", b"/sync/tombstones", b"/sync/kind/chunk")
    for query in (
        b"limit=-1",
        b"limit=%D9%A5",
        b"limit=",
        b"limit=1e3",
        b"after=../x",
        b"after=A",
        b"after=" + b"a" * 129,
        _MANY,
    )
]

_BAD_JSON = (
    b"", b"[", b"[" * 100_000, b"{" * 1000, b'{"a":' * 1000, b"null", b"NaN", b"[NaN]", b"Infinity", b"1" * 5000,
    b"[" + b"1" * 5000 + b"]", b'"\\ud800"', b"\xff\xfe", b'{"a":1,"a":1}',
    b'[["\\ud800",1]]', b'[["a","1"]]', b'[["a",-1]]', b'[["a",1.0]]', b'[["a",true]]', b'[["a"]]', b'[["A",1]]', b"[[1,1]]",
    b'[["../x",1]]', b'[["a",18446744073709551616]]', b'[["a",1e3]]',
    b'{"chunks":[]}', b'{"chunks":[],"rehearsal":1}', b'{"rehearsal":true}', b'{"chunks":{},"rehearsal":true}',
    b'{"chunks":[["A",1]],"rehearsal":true}',
    b'{"round":1}', b'{"group":"a"}', b'{"round":1,"round":2,"group":"a"}', b'{"round":-1,"group":"a"}',
    b'{"round":1.5,"group":"a"}', b'{"round":"1","group":"a"}', b'{"round":true,"group":"a"}', b'{"round":1,"group":""}',
    b'{"round":1,"group":"\\ud800"}', b'{"round":1,"group":"a\\u0000"}', b'{"round":1,"group":1}',
    b'{"round":99999999999999999999,"group":"a"}', b'{"round":1,"group":"' + b"a" * 256 + b'"}',
)  # fmt: skip
"""Neither a list of tombstones nor chunks to sweep nor the note of a round."""


def _posted(path: bytes, body: bytes) -> bytes:
    return request(b"POST", path, b"Content-Length: %d" % len(body), body=body)


JSON = [
    _asked(f"B6 {path.decode()} of {shown(body)}", _posted(path, body), 400)
    for path in (b"/sync/drop", b"/sync/round", b"/sync/sweep")
    for body in _BAD_JSON
] + [
    _asked(f"B15 {path.decode()} of 300 KB", _posted(path, b" " * 300_000), 413, behind=Behind.EITHER)
    for path in (b"/sync/drop", b"/sync/round", b"/sync/sweep")
]  # fmt: skip

_NEVER = b"%d" % 2**63
"""A version that no clock makes: nothing is held at it, so there is nothing to forget."""

_VERSIONS = (b"-1", b"1e3", b"", b"01", b"%d" % 10**30, _NEVER, b"%d" % (2**64 - 1))

VERSIONS = [
    _asked(f"B16 {what} {shown(version)}", request(method, path + FRESH, b"X-Sos-Version: " + version, *lines), 400)
    for what, method, path, lines in (
        ("delete at", b"DELETE", b"/blob/", ()),
        ("forget at", b"POST", b"/sync/forget/", (b"Content-Length: 0",)),
        ("renew at", b"POST", b"/sync/renew/", (b"Content-Length: 0",)),
    )
    for version in _VERSIONS
    if (method, version) != (b"POST", _NEVER) or b"renew" in path
]

_RENEWED = (b"X-Sos-Version: 1", b"X-Sos-SHA256: " + b"0" * 64, b"Content-Length: 0")

DELETES = [
    _asked("H44 delete what was never known", request(b"DELETE", b"/blob/" + FRESH), 404),
    _asked("H44 forget without a version", request(b"POST", b"/sync/forget/" + FRESH, b"Content-Length: 0"), 400),
    _asked(
        "H44 renew what is not here",
        request(b"POST", b"/sync/renew/" + FRESH, *_RENEWED),
        404,
    ),
    *[
        _asked(f"H41 to H43 {method.decode()} {path.decode()}{shown(raw)}", request(method, path + raw, *lines), 400)
        for method, path, lines in (
            (b"DELETE", b"/blob/", ()),
            (b"POST", b"/sync/renew/", (b"X-Sos-Version: 1", b"Content-Length: 0")),
            (b"POST", b"/sync/forget/", (b"X-Sos-Version: 1", b"Content-Length: 0")),
            (b"POST", b"/sync/suspect/", (b"Content-Length: 0",)),
        )
        for raw in (b"..", b"%2e%2e", b"A", b"a%00", b"a" * 129, b"a;x", b"sos.db")
    ],
]

_HELLO = b'[{"id":"a","version":1,"state":"live","kind":"blob","size":5,"sha256":"%b"}]\n' % (b"0" * 64)
_NO_BATCHES = (
    b"", b"\n", b"[]", b"null\n", b"{}\n", b"[1]\n", b"[NaN]\n", b"[" * 9_000 + b"\n", b"[]\nx", b"\xff\n", _HELLO,
    _HELLO + b"hell", _HELLO + b"hello!", _HELLO + b"hello\n", _HELLO.replace(b"live", b"deleted") + b"hello",
    _HELLO.replace(b":5,", b":65537,") + bytes(65_537), _HELLO.replace(b":5,", b":-1,"),
    _HELLO.replace(b":5,", b":5.0,") + b"hello", _HELLO.replace(b'"a"', b'"../x"') + b"hello",
    _HELLO.replace(b'"a"', b'"A"') + b"hello",
    _HELLO.replace(b'"size":5,', b"") + b"hello", _HELLO.replace(b'"size":5', b'"size":5,"size":5') + b"hello",
    _HELLO.replace(b"]", b",") + _HELLO[1:] + b"hellohello", _HELLO.replace(b":1,", b":%d," % 2**63) + b"hello",
    b"[" + b",".join(b'{"id":"n%d","version":1,"state":"live","kind":"blob","size":0,"sha256":"%b"}' % (number, b"0" * 64)
                     for number in range(129)) + b"]\n",
)  # fmt: skip
"""What is no batch of blobs."""

BATCHES = [
    *[
        _asked(f"B6 no batch {number} {shown(body)}", _posted(b"/sync/receive", body), 400)
        for number, body in enumerate(_NO_BATCHES)
    ],
    *[
        _asked(f"B6 no names {number} {shown(body)}", _posted(b"/sync/fetch", body), 400)
        for number, body in enumerate(
            (
                *_BAD_JSON[:2],
                *_BAD_JSON[3:],
                b'["a","a"]',
                b'["A"]',
                b"[1]",
                b"[%b]" % b",".join(b'"n%d"' % n for n in range(129)),
            )
        )
    ],
    _asked("B6 a batch with a wrong digest", _posted(b"/sync/receive", _HELLO + b"hello"), 200),
    _asked("B6 a batch of nothing", _posted(b"/sync/receive", b"[]\n"), 200, body=b"[]\n"),
    _asked("B6 /sync/fetch of nothing", _posted(b"/sync/fetch", b"[]"), 200, body=b"[]\n"),
    _asked("B6 /sync/fetch of what is not here", _posted(b"/sync/fetch", b'["nothing"]'), 200, body=b"[]\n"),
    _asked("B15 /sync/fetch of 100 KB", _posted(b"/sync/fetch", b" " * 100_000), 413, behind=Behind.EITHER),
    _asked("B15 /sync/receive of 2 MB", _posted(b"/sync/receive", bytes(2_000_000)), 413, behind=Behind.EITHER),
]

SYNC = [*PLACES, *PAGES, *JSON, *VERSIONS, *DELETES, *BATCHES]
