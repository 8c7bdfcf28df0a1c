"""The words of the HTTP contract: paths, header names, JSON shapes, and the table of errors and statuses.

The front's resources and the remote store both speak from this page; nobody else writes a URL, a header or a status.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from sos.decisions.strict_json import compact, parsed
from sos.words.blob import KIND_WORDS, NO_METADATA, OLD_CONTRACT, BlobID, Entry, Kind, Metadata, Span, Version
from sos.words.errors import (
    BadInput,
    BlobConflict,
    BlobDamaged,
    BlobNotFound,
    BlobTooLarge,
    DigestMismatch,
    Forbidden,
    OtherGroup,
    OtherIncarnation,
    RangeNotSatisfiable,
    ServerUnavailable,
    SOSError,
    StoreFull,
    Unauthorized,
    Unavailable,
    Unsupported,
    UploadTooSlow,
)
from sos.words.versions import LARGEST

Headers = Sequence[tuple[bytes, bytes]]
"""Header lines in the order of the wire."""

INTERNAL = b"x-sos-"
"""What the names of headers between our own servers begin with; no client may send one, none reaches a client."""

PROTOCOL = b"x-sos-protocol"
"""Sent by our own client with every request. An answer carries `INTERNAL` headers only when its request did, so that a
client of the old contract sees the old contract and nothing else."""
PROTOCOL_NOW = b"1"
VERSION = b"x-sos-version"
"""In an answer 404: the version under which a blob was deleted or has expired."""
SHA256 = b"x-sos-sha256"
KIND = b"x-sos-kind"
EXPIRES = b"x-sos-expires"
STRAY = b"x-sos-stray"
SIZE = b"x-sos-size"
"""The length of bytes that are not sent because they are there already."""
STORE = b"x-sos-store"
KNOWN = b"x-sos-known"
"""Whether anything was known of a blob before it was removed."""
CLOCK = b"x-sos-clock"
ROUND = b"x-sos-round"
INCARNATION = b"x-sos-incarnation"
PARTIAL = b"x-sos-partial"
"""Whether the store has missed a round, and has met only a part of its group since."""
REQUEST_HEADERS = frozenset({PROTOCOL, VERSION, SHA256, KIND, EXPIRES, STRAY, SIZE})
"""The `INTERNAL` headers that a request to a blob server may have."""

MIME_TYPE = b"x-mime-type"
ORIG_FILENAME = b"x-orig-filename"
DEFAULT_TYPE = b"application/octet-stream"
JSON_TYPE = b"application/json"

ALIVE = b"/alive"
"""The path of a blob server's sign of life."""

STATUS = b"/status"
"""The path under which a blob server says how it is."""

UPLOAD = "upload"
FETCH = "fetch"
"""The first segments of the paths on the two public ports."""

MOST_JSON = 64 * 1024
"""Bytes of JSON read from a peer: ours are under 300, and a hostile one must cost little to refuse (torture, B6)."""

DELETE_AFTER = b"x-delete-after"
DELETE_AT = b"x-delete-at"
LAST_EXPIRY = 253_402_300_799
"""The last second of the year 9999: beyond it HTTP has no dates."""

_EXPIRY = frozenset({DELETE_AFTER, DELETE_AT})
_NOT_KEPT = frozenset({*_EXPIRY, b"x-real-ip", b"x-request-id", b"x-content-type-options"})
"""What a proxy adds to requests, and what our front adds to every answer: kept, it would come back as metadata."""
_NOT_KEPT_PREFIX = b"x-forwarded-"

_STATUSES: Sequence[tuple[type[SOSError], int]] = (
    (RangeNotSatisfiable, 416),
    (Unauthorized, 401),
    (Forbidden, 403),
    (BlobNotFound, 404),
    (OtherGroup, 409),
    (BlobConflict, 409),
    (OtherIncarnation, 412),
    (BlobTooLarge, 413),
    (UploadTooSlow, 408),
    (StoreFull, 507),
    (Unavailable, 503),
    (BadInput, 400),
    (Unsupported, 501),
)

_REASONS: Mapping[type[SOSError], str] = {BlobDamaged: "damaged", DigestMismatch: "mismatch"}
"""What tells an error from others of its status, where somebody acts on it: the bytes of one copy are wrong."""

_BY_STATUS = {status: kind for kind, status in _STATUSES}
_SAID_IN_ONE_SENTENCE: frozenset[type[SOSError]] = frozenset(
    {BadInput, BlobTooLarge, DigestMismatch, Forbidden, StoreFull, Unauthorized, Unsupported}
)
_LONGEST_SENTENCE = 300

_CONTENT_RANGE = re.compile(rb"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_UNSATISFIED_RANGE = re.compile(rb"bytes \*/([0-9]{1,19})")
_WEEKDAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_spelled = lru_cache(maxsize=256)(bytes.title)
"""Spells the name of a header as people do; the same few come again and again."""
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,18}")
_HEX_SHA256 = re.compile(rb"[0-9a-f]{64}")
_KINDS = {word.encode("ascii"): kind for kind, word in KIND_WORDS.items()}
_KIND_NAMES = {kind: name for name, kind in _KINDS.items()}


def blob_path(blob_id: BlobID) -> bytes:
    """Give the path of a blob on a blob server."""
    return b"/blob/" + blob_id.encode("ascii")


def names_path(prefix: str, after: str, limit: int, kind: Kind | None) -> bytes:
    """Give the path, with its query, of a page of the names on a blob server."""
    asked = {"prefix": prefix, "after": after, "limit": str(limit), "kind": "" if kind is None else KIND_WORDS[kind]}
    return b"/blobs?" + urlencode({name: value for name, value in asked.items() if value}).encode("ascii")


def status_of(error: SOSError) -> int | None:
    """Give the status that says an error, None where nobody is left to tell."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return None


def internal_headers_of_error(error: SOSError) -> list[tuple[bytes, bytes]]:
    """Give the headers that tell our own servers what a client need not know of an error."""
    version = error.version if isinstance(error, BlobConflict) else error.gone if isinstance(error, BlobNotFound) else None
    return [] if version is None else [(b"X-Sos-Version", b"%d" % version)]


def headers_of_error(error: SOSError) -> list[tuple[bytes, bytes]]:
    """Give the headers that go with an error's status, whoever asked."""
    if isinstance(error, RangeNotSatisfiable):
        return [(b"Content-Range", b"bytes */%d" % error.size)]
    if isinstance(error, Unauthorized):
        return [(b"WWW-Authenticate", b"Bearer")]
    if error.transient:
        return [(b"Retry-After", b"5")]
    return []


def json_of_error(error: SOSError) -> bytes:
    """Give the body that says an error: one sentence, and its reason where a peer has to know."""
    reason = reason_of(error)
    return json_bytes({"error": str(error)} if reason is None else {"error": str(error), "reason": reason})


def reason_of(error: SOSError) -> str | None:
    """Give what tells an error from others of its status, None where nothing does."""
    return error.reason if isinstance(error, BlobConflict) else _REASONS.get(type(error))


def error_of(status: int, headers: Headers, payload: bytes, server: str, blob_id: BlobID | None) -> SOSError:
    """Read the error that an answer says: the table of `status_of`, the other way round.

    `headers` have lower-case names. A status that several classes share comes back as their parent, for a server as
    `ServerUnavailable`; so does one that no blob server sends. `blob_id` is None where no blob was asked for.
    """
    sentence = _sentence_of(payload)
    kind = _kind_of(status, payload)
    if kind is BlobDamaged and blob_id is not None:
        return BlobDamaged(blob_id)
    if kind in _SAID_IN_ONE_SENTENCE:
        return kind(sentence or f"{server} answered {status} and did not say why.")
    if kind is BlobNotFound and blob_id is not None:
        return BlobNotFound(blob_id, _gone_in(headers))
    if kind is BlobConflict and blob_id is not None:
        error: SOSError | None = _conflict_of(headers, payload, blob_id)
    elif kind is RangeNotSatisfiable:
        error = _unsatisfied_of(headers)
    else:
        error = None
    return error or ServerUnavailable(server, sentence or f"it answered {status}, not as a blob server does")


def _kind_of(status: int, payload: bytes) -> type[SOSError] | None:
    """Give the class that a status means, or one below it where there is a reason."""
    kind = _BY_STATUS.get(status)
    if kind is None:
        return None
    reason = _word_of(payload, "reason")
    return next((below for below, said in _REASONS.items() if said == reason and issubclass(below, kind)), kind)


def _gone_in(headers: Headers) -> int | None:
    gone = heard_of(dict(headers).get(VERSION))
    return None if gone is None or gone > LARGEST else gone


def _conflict_of(headers: Headers, payload: bytes, blob_id: BlobID) -> BlobConflict | None:
    try:
        reason = json_object(payload).get("reason")
        version = number(dict(headers).get(VERSION, b"0"))
    except BadInput:
        return None
    return BlobConflict(blob_id, reason, version) if reason in (BlobConflict.OLDER, BlobConflict.OTHER_BYTES) else None


def _unsatisfied_of(headers: Headers) -> RangeNotSatisfiable | None:
    found = _UNSATISFIED_RANGE.fullmatch(dict(headers).get(b"content-range", b""))
    return None if found is None else RangeNotSatisfiable(int(found[1]))


def _sentence_of(payload: bytes) -> str:
    """Give the sentence in an error's body, without line ends and other controls; nothing where there is none."""
    return "".join(filter(str.isprintable, _word_of(payload, "error")))[:_LONGEST_SENTENCE]


def _word_of(payload: bytes, key: str) -> str:
    try:
        word = json_object(payload).get(key)
    except BadInput:
        return ""
    return word if isinstance(word, str) else ""


@lru_cache(maxsize=256)
def http_date(seconds: int) -> bytes:
    """Write unix seconds as HTTP has dates. Each answer has one; the library's own way takes twice as long."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(seconds)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _WEEKDAYS[weekday],
        day,
        _MONTHS[month - 1],
        year,
        hour,
        minute,
        second,
    )


def json_bytes(shape: Any) -> bytes:
    """Write a JSON body."""
    return compact(shape) + b"\n"


def stored_json(blob_id: BlobID, size: int, **more: int) -> bytes:
    """Give the answer to a write that is durable: the ancestor's fields first, then what the ancestor has not.

    No ID has anything to be escaped, and to set up the library's encoder takes longer than all else about an answer.
    """
    fields = "".join([f',"{name}":{number:d}' for name, number in more.items()])
    return f'{{"id":"{blob_id}","status":"OK","size":{size:d}{fields}}}\n'.encode("ascii")


def json_object(payload: bytes) -> dict[str, Any]:
    """Read a small JSON object that a peer sent.

    Raises `BadInput` for anything else: too long, too deep, a number too long to read, NaN, a key that comes twice.
    """
    if len(payload) > MOST_JSON:
        raise BadInput(f"The JSON has more than {MOST_JSON} bytes.")
    shape = parsed(payload)
    if not isinstance(shape, dict):
        raise BadInput("The JSON is not an object.")
    return shape


def stored_of(payload: bytes) -> tuple[str, int]:
    """Read the ID and the size in the answer to a write. Raises `BadInput`."""
    shape = json_object(payload)
    name, size = shape.get("id"), shape.get("size")
    if not isinstance(name, str) or type(size) is not int:  # a bool is an int, and 5.0 equals 5
        raise BadInput("The answer to a write has no ID or no size.")
    return name, size


def range_of(span: Span) -> bytes:
    """Write the value of ``Range`` that asks for a span of at least one byte."""
    return b"bytes=%d-%d" % (span.start, span.stop - 1)


def content_range_of(raw: bytes) -> tuple[Span, int]:
    """Read the value of ``Content-Range``: the span, and the size of the blob that it lies in. Raises `BadInput`."""
    found = _CONTENT_RANGE.fullmatch(raw)
    if found is None:
        raise BadInput("Content-Range is: bytes FIRST-LAST/SIZE.")
    first, last, size = int(found[1]), int(found[2]), int(found[3])
    if not first <= last < size:
        raise BadInput("Content-Range has a range that does not lie within its size.")
    return Span(first, last + 1 - first), size


def metadata_of(headers: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """Pick the headers of an upload that are kept with it. Raises `BadMetadata`."""
    return _kept_of([(lower, value) for name, value in headers if (lower := name.lower()).startswith(b"x-")])


def _kept_of(fields: Headers) -> Metadata:
    """Pick what is kept from ``x-`` headers with lower-case names. Raises `BadMetadata`."""
    kept = [
        (name, value)
        for name, value in fields
        if not name.startswith((INTERNAL, _NOT_KEPT_PREFIX)) and name not in _NOT_KEPT
    ]
    return Metadata.of(kept) if kept else NO_METADATA


def expiry_of(headers: Headers, now: float) -> int | None:
    """Give the unix time at which an upload asks to expire, None if it does not. Raises `BadInput`."""
    asked = {lower: value for name, value in headers if (lower := name.lower()) in _EXPIRY}
    if not asked:
        return None
    if len(asked) > 1:
        raise BadInput("X-Delete-After and X-Delete-At cannot both be asked for.")
    ((name, value),) = asked.items()
    at = number(value) + (int(now) if name == DELETE_AFTER else 0)
    if not now < at <= LAST_EXPIRY:
        raise BadInput("An object expires in the future, and before the year 10000.")
    return at


def internal_names(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Give the lower-case names of the `INTERNAL` headers among some."""
    return {lower for name, _ in headers if (lower := name.lower()).startswith(INTERNAL)}


def number(raw: bytes) -> int:
    """Read a decimal number of at most 19 digits, as it stands: no sign, space, underscore or leading zero.

    Raises `BadInput`.
    """
    if _NUMBER.fullmatch(raw) is None:
        raise BadInput("A number has 1 to 19 decimal digits and nothing else.")
    return int(raw)


def heard_of(raw: bytes | None) -> int | None:
    """Read a number that an answer says in passing; None where it says none, or something else."""
    return None if raw is None or _NUMBER.fullmatch(raw) is None else int(raw)


def headers_of_metadata(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Give the headers that bring metadata back to a client, ``Content-Type`` first."""
    kept = [(_spelled(name), value) for name, value in metadata.pairs]
    return [(b"Content-Type", metadata.value(MIME_TYPE) or DEFAULT_TYPE), *kept]


def internal_headers(entry: Entry) -> list[tuple[bytes, bytes]]:
    """Give the headers that tell our own servers what a client need not know of an entry."""
    headers = [(b"X-Sos-Version", b"%d" % entry.version), (b"X-Sos-Kind", _KIND_NAMES[entry.kind])]
    if entry.sha256 is not None:
        headers.append((b"X-Sos-SHA256", entry.sha256.hex().encode()))
    if entry.expires is not None:
        headers.append((b"X-Sos-Expires", b"%d" % entry.expires))
    if entry.is_stray:
        headers.append((b"X-Sos-Stray", b"1"))
    return headers


def declared_entry(blob_id: BlobID, headers: Headers, size: int | None, fallback: Version = OLD_CONTRACT) -> Entry:
    """Read an entry from the headers of a write, or of an answer of a blob server.

    `fallback` is the version of an entry whose headers have none. Raises `BadInput` and `BadMetadata`.
    """
    fields = [(lower, value) for name, value in headers if (lower := name.lower()).startswith(b"x-")]
    said = dict(fields)
    sha256 = said.get(SHA256)
    if sha256 is not None and _HEX_SHA256.fullmatch(sha256) is None:
        raise BadInput("X-Sos-SHA256 has 64 lower-case hex digits.")
    kind = _KINDS.get(said.get(KIND, b"blob"))
    if kind is None:
        raise BadInput("X-Sos-Kind is one of: blob, manifest, chunk.")
    version, expires = said.get(VERSION), said.get(EXPIRES)
    return Entry(
        id=blob_id,
        version=fallback if version is None else Version(number(version)),
        kind=kind,
        size=size,
        sha256=None if sha256 is None else bytes.fromhex(sha256.decode("ascii")),
        metadata=_kept_of(fields),
        expires=None if expires is None else number(expires),
        is_stray=said.get(STRAY) == b"1",
    )
