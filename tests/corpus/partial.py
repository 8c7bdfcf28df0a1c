"""Ranges and conditions (torture H47 to H49): each answer worked out here from the RFC, and not by our own code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from attrs import frozen

from tests.corpus.rows import NOTHING_ID, READABLE, TEN, TEN_ID, Asked, Port, get, request, shown

_PATH = {Port.DOWNLOAD: b"/fetch/", Port.BLOB: b"/blob/"}

_SATISFIED = {
    b"0-0": (0, 1),
    b"-5": (5, 10),
    b"5-": (5, 10),
    b"0-9": (0, 10),
    b"0-99": (0, 10),
    b"9-": (9, 10),
    b"-99": (0, 10),
    b"3-4": (3, 5),
    b" 3-4": (3, 5),
    b"3-4 ": (3, 5),
    b"0-" + b"9" * 30: (0, 10),
    b"000000-1": (0, 2),
}
_BEYOND = (b"999-", b"10-", b"10-11", b"-0", b"9" * 30 + b"-", b"10-,11-")
_IGNORED = (
    b"5-2", b"a-b", b"1_0-", b"\xd9\xa3-", b"+1-", b"-", b"", b"--5", b"1-2-3", b"0x0-1", b"1.0-2", b"1 -2", b"1- 2",
    b"1-2;", b"0-0,", b"0-1,1-2", b"0-9,0-9", b"0-0," * 999 + b"0-0", b",".join(b"%d-%d" % (n, n) for n in range(65)),
    b"0-a,1-1",
)  # fmt: skip


def _ranges(port: Port) -> Iterator[Asked]:
    path, at = _PATH[port], f"at the {port.value} port"

    def asked(name: str, line: bytes, status: int, **more: object) -> Asked:
        return Asked(name=f"{name} {at}", port=port, data=get(path + TEN_ID, line), statuses={status}, **more)  # type: ignore[arg-type]

    for value, (start, stop) in _SATISFIED.items():
        content_range = {b"content-range": b"bytes %d-%d/10" % (start, stop - 1)}
        yield asked(f"H47 bytes={shown(value)}", b"Range: bytes=" + value, 206, body=TEN[start:stop], headers=content_range)
    for value in _BEYOND:
        yield asked(f"H47 bytes={shown(value)}", b"Range: bytes=" + value, 416, headers={b"content-range": b"bytes */10"})
    for value in _IGNORED:
        yield asked(f"H48 bytes={shown(value)}", b"Range: bytes=" + value, 200, body=TEN, headers={b"content-range": None})
    for line in (b"Range: items=0-1", b"Range: bytes", b"Range: 0-1", b"Range:", b"Range: bytes =0-1"):
        yield asked(f"H48 {shown(line)}", line, 200, body=TEN)
    yield Asked(
        name=f"H45 a range of nothing {at}", port=port, data=get(path + NOTHING_ID, b"Range: bytes=0-"), statuses={416}
    )
    yield Asked(
        name=f"H45 the end of nothing {at}", port=port, data=get(path + NOTHING_ID, b"Range: bytes=-1"), statuses={416}
    )


MATCHING, OTHER = b"@tag@", b'"other"'
"""`MATCHING` stands for the entity tag of the ten bytes, `SAME` for the time of their last change; the runner knows them."""
PAST, SAME, FUTURE, NO_DATE = b"Sun, 06 Nov 1994 08:49:37 GMT", b"@modified@", b"Fri, 01 Jan 2100 00:00:00 GMT", b"yesterday"

_CONDITIONS: dict[bytes, tuple[bytes, ...]] = {
    b"If-Match": (MATCHING, OTHER, b"*", b"W/" + MATCHING, OTHER + b", " + MATCHING, b"nonsense"),
    b"If-None-Match": (MATCHING, OTHER, b"*", b"W/" + MATCHING, OTHER + b"," + MATCHING, b"nonsense"),
    b"If-Modified-Since": (PAST, SAME, FUTURE, NO_DATE),
    b"If-Unmodified-Since": (PAST, SAME, FUTURE, NO_DATE),
    b"If-Range": (MATCHING, OTHER, b"W/" + MATCHING, SAME, PAST, NO_DATE),
}


@frozen
class _Asked:
    """The conditions of one request."""

    given: dict[bytes, bytes]

    @property
    def status(self) -> int:
        """The status that RFC 9110, section 13.2.2, has for a GET or HEAD, step by step."""
        if b"If-Match" in self.given:
            if self.given[b"If-Match"] not in (MATCHING, b"*", OTHER + b", " + MATCHING):
                return 412
        elif self.given.get(b"If-Unmodified-Since") == PAST:
            return 412
        if b"If-None-Match" in self.given:
            if self.given[b"If-None-Match"] not in (OTHER, b"nonsense"):
                return 304
        elif self.given.get(b"If-Modified-Since") in (SAME, FUTURE):
            return 304
        return 206 if self.given.get(b"If-Range", MATCHING) in (MATCHING, SAME) else 200


def _conditions(port: Port) -> Iterator[Asked]:
    for left, right in itertools.combinations(_CONDITIONS, 2):
        for first, second in itertools.product(_CONDITIONS[left], _CONDITIONS[right]):
            asked = _Asked({left: first, right: second})
            lines = [name + b": " + value for name, value in asked.given.items()]
            named = ", ".join(line.decode() for line in lines)
            status = asked.status
            for method in (b"GET", b"HEAD"):
                body = b"" if method == b"HEAD" or status in (304, 412) else TEN[2:4] if status == 206 else TEN
                yield Asked(
                    name=f"H49 {method.decode()} {named} at the {port.value} port",
                    port=port,
                    data=request(method, _PATH[port] + TEN_ID, b"Range: bytes=2-3", *lines),
                    statuses={status},
                    body=body,
                )


RANGES = [row for port in READABLE for row in _ranges(port)]
CONDITIONS = [row for port in READABLE for row in _conditions(port)]
