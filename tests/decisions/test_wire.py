"""The words of the contract, written and read again: what one of our servers says, another understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions import wire
from sos.words.blob import BlobID, Entry, Kind, Metadata, Span, Version
from sos.words.errors import (
    BadInput,
    BadMetadata,
    BlobConflict,
    BlobDamaged,
    BlobNotFound,
    BlobTooLarge,
    BlobTruncated,
    DigestMismatch,
    Forbidden,
    InvalidBlobID,
    NotEnoughCopies,
    RangeNotSatisfiable,
    ServerUnavailable,
    SOSError,
    StoreFull,
    StoreReadOnly,
    Unauthorized,
    Unavailable,
    UploadTooSlow,
)

ABC = BlobID("abc")
ENTRY = Entry(
    id=ABC, version=Version(7), kind=Kind.MANIFEST, size=5, sha256=b"\xab" * 32, metadata=Metadata(((b"x-a", b"\xff:b"),))
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("?"), 400),
        (InvalidBlobID(b"?"), 400),
        (BadMetadata("?"), 400),
        (DigestMismatch("?"), 400),
        (Unauthorized("?"), 401),
        (Forbidden("?"), 403),
        (BlobNotFound("abc"), 404),
        (BlobConflict("abc", BlobConflict.OLDER, 3), 409),
        (BlobTooLarge("?"), 413),
        (UploadTooSlow("?"), 408),
        (RangeNotSatisfiable(5), 416),
        (Unavailable("?"), 503),
        (NotEnoughCopies("?"), 503),
        (ServerUnavailable("http://a", "?"), 503),
        (StoreReadOnly("?"), 503),
        (BlobDamaged("abc"), 503),
        (StoreFull("?"), 507),
        (BlobTruncated("?"), None),
        (SOSError("?"), None),
    ],
)
def test_each_error_has_its_status(error: SOSError, status: int | None) -> None:
    """One table, and none for those whom nobody is left to tell."""
    assert wire.status_of(error) == status


@pytest.mark.parametrize(
    "error",
    [
        BadInput("It is bad."),
        Unauthorized("It needs a key."),
        Forbidden("Not from there."),
        BlobNotFound("abc"),
        BlobNotFound("abc", 7),
        BlobConflict("abc", BlobConflict.OLDER, 2**62),
        BlobConflict("abc", BlobConflict.OTHER_BYTES, 0),
        BlobTooLarge("Too large."),
        RangeNotSatisfiable(12),
        StoreFull("No room."),
        BlobDamaged("abc"),
        DigestMismatch("Other bytes."),
    ],
)
def test_an_error_survives_the_wire(error: SOSError) -> None:
    """Class, sentence and fields: a remote store raises what the disk's raised."""
    written = [*wire.headers_of_error(error), *wire.internal_headers_of_error(error)]
    headers = [(name.lower(), value) for name, value in written]
    status = wire.status_of(error)
    assert status is not None
    read = wire.error_of(status, headers, wire.json_of_error(error), "http://a", ABC)
    assert (type(read), str(read), vars(read)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("error", [Unavailable("Later."), StoreReadOnly("Disk.")])
def test_what_shares_a_status_comes_back_as_a_server_out_of_reach(error: SOSError) -> None:
    """With its sentence."""
    read = wire.error_of(503, [], wire.json_of_error(error), "http://a", ABC)
    assert isinstance(read, ServerUnavailable)
    assert (read.server, read.why) == ("http://a", str(error))


@pytest.mark.parametrize("status", [100, 200, 302, 408, 418, 500, 599])
@pytest.mark.parametrize("payload", [b"", b"<html>", b"[" * 100_000, b'{"error": 5}', b"\xff", b'{"reason": NaN}'])
def test_a_foreign_answer_is_a_server_out_of_reach(status: int, payload: bytes) -> None:
    """Whatever another service says, it is not taken for an answer of ours."""
    assert isinstance(wire.error_of(status, [], payload, "http://a", ABC), ServerUnavailable)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"reason": "because"}', b'{"reason": ["older"]}'])
def test_a_conflict_without_a_reason_is_not_believed(payload: bytes) -> None:
    """A writer would move its clock, or give up, for nothing."""
    assert isinstance(wire.error_of(409, [(wire.VERSION, b"5")], payload, "http://a", ABC), ServerUnavailable)


@pytest.mark.parametrize(
    ("status", "reason", "kind"), [(503, "mismatch", ServerUnavailable), (400, "damaged", BadInput), (409, "damaged", None)]
)
def test_a_reason_counts_only_with_its_status(status: int, reason: str, kind: type[SOSError] | None) -> None:
    """Else it is as if nothing had been said."""
    read = wire.error_of(status, [], json.dumps({"error": "?", "reason": reason}).encode(), "http://a", ABC)
    assert type(read) is (kind or ServerUnavailable)


@pytest.mark.parametrize("version", [b"", b"-1", b"1e3", b"9" * 19])
def test_a_tombstone_of_no_version_is_only_a_no(version: bytes) -> None:
    """What other members have is not taken for older than that."""
    error = wire.error_of(404, [(wire.VERSION, version)], b"", "http://a", ABC)
    assert isinstance(error, BlobNotFound) and error.gone is None


def test_no_error_has_internal_headers_for_everybody() -> None:
    """They are for our own servers."""
    for error in (BlobNotFound("abc", 7), BlobConflict("abc", BlobConflict.OLDER, 7)):
        assert wire.headers_of_error(error) == []
    assert wire.internal_headers_of_error(BlobNotFound("abc")) == []


def test_a_sentence_of_a_peer_has_no_controls() -> None:
    """It ends in our log, and in answers of ours."""
    error = wire.error_of(507, [], json.dumps({"error": "a\r\nb\x1b[0m" + "c" * 1000}).encode(), "http://a", None)
    assert str(error).startswith("ab[0mcc") and len(str(error)) == 300


def test_a_transient_error_says_when_to_come_again() -> None:
    """A lasting one does not."""
    assert dict(wire.headers_of_error(Unavailable("?"))).keys() == {b"Retry-After"}
    assert wire.headers_of_error(BadInput("?")) == []


@pytest.mark.parametrize(("raw", "value"), [(b"0", 0), (b"7", 7), (b"10", 10), (b"9" * 19, 10**19 - 1)])
def test_a_number_is_read(raw: bytes, value: int) -> None:
    """Decimal, as it stands."""
    assert wire.number(raw) == value


@pytest.mark.parametrize(
    "raw", [b"", b"-1", b"+5", b" 5", b"5 ", b"05", b"1_0", b"0x5", b"1e1", b"5.0", b"\xd9\xa5", b"\xb2", b"1" * 20, b"5\n"]
)
def test_nothing_else_is_a_number(raw: bytes) -> None:
    """Much of this `int` would take."""
    with pytest.raises(BadInput):
        wire.number(raw)


def test_an_entry_survives_the_wire() -> None:
    """What one server knows of a blob, another reads from its headers."""
    headers = [*wire.headers_of_metadata(ENTRY.metadata), *wire.internal_headers(ENTRY)]
    assert wire.declared_entry(ABC, headers, 5) == ENTRY


def test_an_entry_without_our_headers_is_plain() -> None:
    """The old contract has no versions: the fallback stands in."""
    assert wire.declared_entry(ABC, [(b"X-A", b"b")], None) == Entry(id=ABC, metadata=Metadata(((b"x-a", b"b"),)))
    assert wire.declared_entry(ABC, [], None, fallback=Version(3)).version == 3
    assert wire.declared_entry(ABC, [(b"X-SOS-Version", b"0")], None, fallback=Version(3)).version == 0


@pytest.mark.parametrize(
    "header",
    [
        (b"X-Sos-SHA256", b"AB" * 32),
        (b"X-Sos-SHA256", b"ab" * 31),
        (b"X-Sos-SHA256", b"ab" * 32 + b"\n"),
        (b"X-Sos-Kind", b"Blob"),
        (b"X-Sos-Kind", b""),
        (b"X-Sos-Version", b"-1"),
        (b"X-Sos-Version", b""),
    ],
)
def test_a_bad_internal_header_is_refused(header: tuple[bytes, bytes]) -> None:
    """Nothing is guessed."""
    with pytest.raises(BadInput):
        wire.declared_entry(ABC, [header], 5)


def test_only_metadata_is_kept() -> None:
    """X- headers, but none of ours, and none of a proxy's."""
    headers = [
        (b"X-Kept", b"1"),
        (b"x-sos-anything", b"2"),
        (b"X-Forwarded-For", b"3"),
        (b"X-Real-IP", b"4"),
        (b"x-request-id", b"5"),
        (b"Content-Type", b"6"),
        (b"X_Mime_Type", b"7"),
    ]
    assert wire.metadata_of(headers).pairs == ((b"x-kept", b"1"),)
    assert wire.internal_names(headers) == {b"x-sos-anything"}


def test_metadata_that_came_twice_is_refused() -> None:
    """No server picks one."""
    with pytest.raises(BadMetadata):
        wire.metadata_of([(b"X-A", b"1"), (b"x-a", b"2")])


def test_the_content_type_comes_from_the_metadata() -> None:
    """Or is that of bytes."""
    assert dict(wire.headers_of_metadata(Metadata()))[b"Content-Type"] == wire.DEFAULT_TYPE
    typed = dict(wire.headers_of_metadata(Metadata(((wire.MIME_TYPE, b"text/css"),))))
    assert typed == {b"Content-Type": b"text/css", b"X-Mime-Type": b"text/css"}


def test_an_answer_to_a_write_is_read() -> None:
    """The ancestor's fields, and whatever comes beside them."""
    payload = wire.stored_json(ABC, 5, copies=2)
    assert json.loads(payload) == {"id": "abc", "status": "OK", "size": 5, "copies": 2}
    assert wire.stored_of(payload) == ("abc", 5)


@pytest.mark.parametrize(
    "shape", [{}, {"id": "a"}, {"id": 5, "size": 5}, {"id": "a", "size": True}, {"id": "a", "size": 5.0}]
)
def test_a_write_is_not_acknowledged_by_less(shape: dict[str, Any]) -> None:
    """ID and size, or it is no answer."""
    with pytest.raises(BadInput):
        wire.stored_of(json.dumps(shape).encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"[]", b"5", b"[" * 60_000, b'{"a": ' * 10_000, b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1, "a": 2}',
        b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "' + b"x" * wire.MOST_JSON + b'"}', b"\xff", b"{}x",
    ],
)  # fmt: skip
def test_hostile_json_is_refused(payload: bytes) -> None:
    """As bad input, and not as a traceback."""
    with pytest.raises(BadInput):
        wire.json_object(payload)


@given(st.integers(0, 10**18), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_range_survives_the_wire(start: int, length: int, more: int) -> None:
    """What is asked for, and what is answered."""
    span = Span(start, length)
    assert wire.range_of(span) == b"bytes=%d-%d" % (start, start + length - 1)
    answer = b"bytes %d-%d/%d" % (start, span.stop - 1, span.stop + more)
    assert wire.content_range_of(answer) == (span, span.stop + more)


@pytest.mark.parametrize(
    "raw",
    [b"", b"bytes 0-5/5", b"bytes 5-4/9", b"bytes */5", b"bytes 0-1/*", b"bytes=0-1/5", b"bytes 0-1/5 ", b"bytes -1-1/5"],
)
def test_a_bad_content_range_is_refused(raw: bytes) -> None:
    """Bytes at a place that is none are no bytes."""
    with pytest.raises(BadInput):
        wire.content_range_of(raw)


def test_paths_name_what_is_asked_for() -> None:
    """What is not asked for is not in the query."""
    assert wire.blob_path(ABC) == b"/blob/abc"
    assert wire.names_path("a", "ab", 5, Kind.CHUNK) == b"/blobs?prefix=a&after=ab&limit=5&kind=chunk"
    assert wire.names_path("", "", 5, None) == b"/blobs?limit=5"


def test_a_sha256_is_said_where_it_is_known() -> None:
    """A peer that has none says none."""
    names = {name for name, _ in wire.internal_headers(evolve(ENTRY, sha256=None))}
    assert names == {b"X-Sos-Version", b"X-Sos-Kind"}
