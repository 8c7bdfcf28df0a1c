"""Sidecars: what is written comes back, and of what the ancestor wrote all is kept that an upload would keep."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos.decisions.sidecar import Read, read_sidecar, sidecar_of
from sos.decisions.wire import LAST_EXPIRY, metadata_of
from sos.words.blob import MOST_METADATA, BlobID, Entry, Metadata

TOKENS = st.text("!#$%&'*+.^_`|~0123456789abcxyz-", min_size=1, max_size=12)
NAMES = TOKENS.map(lambda token: b"x-" + token.encode()).filter(lambda name: metadata_of([(name, b"")]).pairs)
VALUES = st.binary(max_size=30).map(lambda raw: raw.translate(None, delete=bytes([*range(9), *range(10, 32), 127])))
KEPT = st.dictionaries(NAMES, VALUES, max_size=5).map(lambda pairs: Metadata.of(pairs.items()))
EXPIRIES = st.none() | st.integers(1, LAST_EXPIRY)


def entry_of(metadata: Metadata, expires: int | None = None) -> Entry:
    """Make an entry with some metadata."""
    return Entry(id=BlobID("abc"), metadata=metadata, expires=expires)


@given(KEPT, EXPIRIES)
def test_what_is_written_comes_back(metadata: Metadata, expires: int | None) -> None:
    """Byte for byte, whatever HTTP lets a value be."""
    payload = sidecar_of(entry_of(metadata, expires))
    if payload is None:
        assert (metadata, expires) == (Metadata(), None)
    else:
        assert read_sidecar(payload) == Read(metadata, expires)
        assert all(isinstance(value, str) for value in json.loads(payload).values())


@settings(max_examples=50)
@given(st.binary(max_size=50) | st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.none(), max_size=4))
def test_nothing_in_a_sidecar_is_too_odd(shape: object) -> None:
    """What cannot be kept is said, and what is kept can be sent."""
    payload = shape if isinstance(shape, bytes) else json.dumps(shape).encode()
    read = read_sidecar(payload)
    assert Metadata.of(read.metadata.pairs) == read.metadata
    assert all(read.complaints)


def test_the_ancestor_s_spelling_is_read() -> None:
    """Go writes names as it likes them, and text as UTF-8."""
    payload = '{"X-Mime-Type":"text/plain","X-Orig-Filename":"Grüße \\u003c1\\u003e.txt"}'.encode()
    assert read_sidecar(payload) == Read(
        Metadata(((b"x-mime-type", b"text/plain"), (b"x-orig-filename", "Grüße <1>.txt".encode())))
    )


def test_what_an_upload_leaves_out_is_left_out() -> None:
    """What a proxy added, and what an api of ours told a blob server of the ancestor: without a word."""
    shape = {"X-Forwarded-For": "1.2.3.4", "X-Real-Ip": "1.2.3.4", "X-Sos-Version": "77", "X-Colour": "blue"}
    assert read_sidecar(json.dumps(shape).encode()) == Read(Metadata(((b"x-colour", b"blue"),)))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("Colour", "blue", "its name does not begin with X-"),
        ("X-Co lour", "blue", "a metadata header has a name or a value that HTTP does not allow"),
        ("X-Colour", "blue\nX-Other: red", "a metadata header has a name or a value that HTTP does not allow"),
        ("X-Colour", 5, "its value is no text"),
        ("X-Cölour", "blue", "it is no text that HTTP can send"),
        ("X-Colour", "\ud800", "it is no text that HTTP can send"),
        ("X-Delete-After", "60", "nobody knows when its seconds began"),
        ("X-Delete-At", "soon", "a number has 1 to 19 decimal digits and nothing else"),
        ("X-Delete-At", f"{LAST_EXPIRY + 1}", "it lies behind the year 9999"),
        ("x-kept", "again", "it comes twice, and only one is kept"),
    ],
)
def test_a_bad_header_is_said_and_the_others_are_kept(name: str, value: object, why: str) -> None:
    """The sentence names it."""
    read = read_sidecar(json.dumps({"X-Kept": "yes", name: value}).encode())
    assert read.metadata == Metadata(((b"x-kept", b"yes"),))
    assert read.complaints == (f"the header {name!r} is not kept: {why}",)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'"x"', b'{"X-A": NaN}', b"\xff", b"[" * 10_000])
def test_a_sidecar_that_is_no_object_is_said(payload: bytes) -> None:
    """Its object is taken without metadata."""
    read = read_sidecar(payload)
    assert read.metadata == Metadata()
    assert len(read.complaints) == 1 and read.complaints[0].startswith("its metadata are lost: the JSON ")


def test_of_too_many_headers_the_most_useful_are_kept() -> None:
    """Type and name before all others, and no more than the limits."""
    shape = {f"X-{number:02}": "v" for number in range(70)} | {"X-Orig-Filename": "a.txt", "X-Mime-Type": "text/plain"}
    read = read_sidecar(json.dumps(shape).encode())
    assert len(read.metadata.pairs) == 64 and len(read.complaints) == 8
    assert read.metadata.value(b"x-mime-type") == b"text/plain"
    half = "v" * (MOST_METADATA // 2)
    long = read_sidecar(json.dumps({"X-Other": half, "X-Long": half, "X-Short": "v"}).encode())
    assert long.metadata == Metadata(((b"x-long", half.encode()), (b"x-short", b"v")))
    assert long.complaints == ("the header 'x-other' is not kept: there are too many, or too long ones",)
