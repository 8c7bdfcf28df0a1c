"""Paths, IDs and methods: what is a route, and for whom (torture H7, H8, H41 to H43, H50, H58, S26)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus.rows import READABLE, TEN, TEN_ID, Asked, Behind, Port, get, request, shown

ROUTES: dict[Port, dict[bytes, frozenset[bytes]]] = {
    Port.UPLOAD: {
        b"/upload": frozenset({b"POST"}),
        b"/upload/" + TEN_ID: frozenset(),  # DELETE, where that is allowed
    },
    Port.DOWNLOAD: {b"/fetch/" + TEN_ID: frozenset({b"GET", b"HEAD"})},
    Port.BLOB: {
        b"/alive": frozenset({b"GET", b"HEAD"}),
        b"/blobs": frozenset({b"GET", b"HEAD"}),
        b"/status": frozenset({b"GET", b"HEAD"}),
        b"/blob/" + TEN_ID: frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"}),
        **dict.fromkeys(
            (b"/sync", b"/sync/digests", b"/sync/digests/0", b"/sync/bucket/0", b"/sync/strays", b"/sync/tombstones"),
            frozenset({b"GET"}),
        ),
        **dict.fromkeys(
            (b"/sync/renew/a", b"/sync/forget/a", b"/sync/suspect/a", b"/sync/drop", b"/sync/round", b"/sync/fetch"),
            frozenset({b"POST"}),
        ),
        b"/sync/receive": frozenset({b"POST"}),
    },
}
"""Every path of every port that is one, and its methods. All else is 404."""

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"PROPFIND", b"MKCOL", b"PURGE")

NO_ROUTES = (
    b"/",
    b"//",
    b"/upload/",
    b"/uploads",
    b"/UPLOAD",
    b"/%75pload",
    b"//upload",
    b"/upload;x",
    b"/fetch",
    b"/fetch/",
    b"/fetch/a/b",
    b"//fetch/a",
    b"/blob",
    b"/blob/",
    b"/blob/a/b",
    b"/blobs/",
    b"/alive/",
    b"/status/",
    b"/sync/",
    b"/sync/bucket/4096",
    b"/metrics",
    b"/favicon.ico",
    b"/.git/config",
    b"/..",
    b"/../sos.db",
    b"/./upload",
)
"""Paths that lead nowhere on any port."""


def _asked(method: bytes, path: bytes) -> bytes:
    length = (b"Content-Length: 0",) if method in (b"POST", b"PUT") else ()
    return request(method, path, *length)


def _every_method() -> Iterator[Asked]:
    """H50: a path of another port is nothing here, and a path of this port has its own methods."""
    paths = sorted({path for routes in ROUTES.values() for path in routes})
    for port, routes in ROUTES.items():
        for path in paths:
            for method in METHODS:
                allowed = routes.get(path, frozenset())
                if method in allowed:
                    continue
                name = f"H50 {method.decode()} {path.decode()} at the {port.value} port"
                kinds = {b"access-control-allow-origin": None}
                yield Asked(
                    name=name, port=port, data=_asked(method, path), statuses={405 if path in routes else 404}, headers=kinds
                )


def allowed_by(row: Asked) -> frozenset[bytes] | None:
    """Give the methods that a 405 to a row has to name; None where it is no question of methods."""
    path = row.data.split(b" ", 2)[1]
    return ROUTES[row.port].get(path) if row.name.startswith("H50") else None


LEAD_NOWHERE = [
    Asked(name=f"H50 {shown(path)} at the {port.value} port", port=port, data=get(path), statuses={404})
    for port in Port
    for path in NO_ROUTES
]

_UNLIKE_IDS = (
    b"..", b".", b"%2e%2e", b"..%2f..%2fetc%2fpasswd", b"..%5c", b"%252e%252e", b"%61bc", b"..;", b".%00.", b"~", b"-", b"_",
    b"*", b"a%2fb", b"a%00", b"a%0a", b"a%0d", b"a%20", b"a%7f", b"a+b", b"a" * 129, b"a" * 7000, b"A", b"ABC",
    b"a%EF%BC%91",    b"%D9%A1", b"%zz", b"%f", b"%", b"a;x", b"a:b", b"a,b", b"a=b", b"a&b", b"a'b",
    b'a"b', b"a\\b", b"a|b", b"{a}", b"@",
)  # fmt: skip
"""What H41, H42 and H43 would have us take for an ID."""

_PATH = {Port.DOWNLOAD: b"/fetch/", Port.BLOB: b"/blob/"}

BAD_IDS = [
    Asked(
        name=f"H41 to H43 ID {shown(raw)} at the {port.value} port", port=port, data=get(_PATH[port] + raw), statuses={400}
    )
    for port in READABLE
    for raw in _UNLIKE_IDS
]

BAD_IDS_WRITTEN = [
    Asked(
        name=f"H41 to H43 {method.decode()} to the ID {shown(raw)}",
        port=Port.BLOB,
        data=request(method, b"/blob/" + raw, b"Content-Length: 5", body=b"12345"),
        statuses={400},
        behind=Behind.EITHER,
    )
    for method, raw in zip((b"POST", b"PUT") * len(_UNLIKE_IDS), _UNLIKE_IDS, strict=False)
]

NAMES_OF_OURS = [
    Asked(name=f"S27 {shown(raw)} at the {port.value} port", port=port, data=get(_PATH[port] + raw), statuses={400, 404})
    for port in READABLE
    for raw in (
        b"sos.db",
        b"sos.db-wal",
        b"store.json",
        b"staging",
        b"staging/1",
        b"quarantine",
        b"quarantine/1",
        b"blobs",
        b"lock",
    )
]

THAT_VERY_ID = [
    Asked(name="H43 ID?x", port=Port.DOWNLOAD, data=get(b"/fetch/" + TEN_ID + b"?x"), statuses={200}, body=TEN),
    Asked(name="H43 ID.jpg", port=Port.DOWNLOAD, data=get(b"/fetch/" + TEN_ID + b".jpg"), statuses={200}, body=TEN),
    Asked(name="H43 ID.a.b", port=Port.DOWNLOAD, data=get(b"/fetch/" + TEN_ID + b".a.b"), statuses={200}, body=TEN),
    Asked(name="H43 ID.", port=Port.DOWNLOAD, data=get(b"/fetch/" + TEN_ID + b"."), statuses={200}, body=TEN),
    Asked(name="H43 ID/", port=Port.DOWNLOAD, data=get(b"/fetch/" + TEN_ID + b"/"), statuses={404}),
    Asked(name="H43 ID%20", port=Port.DOWNLOAD, data=get(b"/fetch/" + TEN_ID + b"%20"), statuses={400}),
    Asked(name="H43 ID.jpg of a blob", port=Port.BLOB, data=get(b"/blob/" + TEN_ID + b".jpg"), statuses={400}),
    Asked(name="H43 ID?x of a blob", port=Port.BLOB, data=get(b"/blob/" + TEN_ID + b"?x=/../y"), statuses={200}, body=TEN),
    Asked(name="H42 128 bytes", port=Port.BLOB, data=get(b"/blob/" + b"a" * 128), statuses={404}),
    Asked(name="H42 128 bytes at the downloads", port=Port.DOWNLOAD, data=get(b"/fetch/" + b"a" * 128), statuses={404}),
]

LISTS = [
    Asked(name=f"H58 /blobs?{shown(query)}", port=Port.BLOB, data=get(b"/blobs?" + query), statuses={400})
    for query in (
        b"limit=-1",
        b"limit=0",
        b"limit=%D9%A5",
        b"limit=1e3",
        b"limit=",
        b"limit=+5",
        b"limit=5_0",
        b"limit=%205",
        b"limit=99999999999999999999",
        b"limit=1&limit=2",
        b"after=../x",
        b"after=A",
        b"after=" + b"a" * 129,
        b"prefix=%00",
        b"prefix=a%2fb",
        b"kind=tombstone",
        b"kind=",
        b"after=a&after=b",
        b"&".join(b"x%d=" % n for n in range(17)),
    )
] + [
    Asked(
        name=f"H58 /blobs?{shown(query)} is capped or unknown", port=Port.BLOB, data=get(b"/blobs?" + query), statuses={200}
    )
    for query in (b"limit=1000000000", b"limit=9", b"", b"x=y", b"prefix=" + TEN_ID, b"after=", b"prefix=", b"kind=blob")
]

_CLOSE = {b"connection": b"close"}

OPTIONS_OF_ALL = [
    Asked(
        name=f"H8 OPTIONS * at the {port.value} port",
        port=port,
        data=request(b"OPTIONS", b"*"),
        statuses={204, 405},
        headers={b"access-control-allow-origin": None, b"access-control-allow-methods": None},
    )
    for port in Port
]

CLOSING = [
    Asked(name=f"H22 {shown(data)}", port=Port.DOWNLOAD, data=data, statuses={404}, headers=_CLOSE, behind=Behind.UNREAD)
    for data in (
        *(
            get(b"/a", b"Connection: " + value)
            for value in (b"close", b"close,foo", b"foo , Close", b",CLOSE,", b"keep-alive, close")
        ),
        get(b"/a", b"Connection: keep-alive", b"Connection: close"),
        get(b"/a", b"Connection: upgrade, close", b"Upgrade: x"),
        b"GET /a HTTP/1.0\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: foo\r\n\r\n",
    )
]

ROUTED = [
    *CLOSING,
    *_every_method(), *LEAD_NOWHERE, *BAD_IDS, *BAD_IDS_WRITTEN, *NAMES_OF_OURS, *THAT_VERY_ID, *LISTS, *OPTIONS_OF_ALL,
]  # fmt: skip
