"""Names, metadata and spans: what is taken for one, and what is not."""

from __future__ import annotations

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from sos.words.blob import MOST_HEADERS, MOST_METADATA, BlobID, Entry, Kind, Metadata, Span, State, Version, blob_id
from sos.words.errors import BadMetadata, InvalidBlobID

ALPHABET = b"abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize("raw", [b"a", b"0", b"z9", b"a" * 128, ALPHABET])
def test_an_id_is_taken_as_it_is(raw: bytes) -> None:
    """One to 128 characters."""
    assert blob_id(raw) == raw.decode()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"a" * 129, b"A", b"a.b", b".", b"..", b"a/b", b"%61", b"a b", b"a\n", b"\na", b"a\r\n", b"a\0", b"-", b"_",
        "٣".encode(), "１".encode(), "é".encode(), b"\xff",  # noqa: RUF001
    ],
)  # fmt: skip
def test_nothing_else_is_an_id(raw: bytes) -> None:
    """No dot, slash or percent sign, no other digits, no line end behind it."""
    with pytest.raises(InvalidBlobID) as raised:
        blob_id(raw)
    assert raised.value.raw == raw


@given(st.binary(max_size=140))
def test_an_id_has_only_its_alphabet(raw: bytes) -> None:
    """Whatever comes, what is taken consists of a-z0-9 alone."""
    is_id = 1 <= len(raw) <= 128 and all(byte in ALPHABET for byte in raw)
    try:
        assert is_id is (blob_id(raw).encode() == raw)
    except InvalidBlobID:
        assert not is_id


def test_metadata_has_one_order() -> None:
    """Lower-case names, sorted, and values without the space around them."""
    metadata = Metadata.of([(b"X-B", b" two\t"), (b"x-a", b"One"), (b"X-C", b"")])
    assert metadata.pairs == ((b"x-a", b"One"), (b"x-b", b"two"), (b"x-c", b""))
    assert metadata == Metadata.of([(b"X-c", b""), (b"X-A", b"One"), (b"x-b", b"two")])


def test_a_value_is_found_by_its_name() -> None:
    """Or not, where there is none."""
    metadata = Metadata.of([(b"X-A", b"one")])
    assert (metadata.value(b"x-a"), metadata.value(b"x-b")) == (b"one", None)


def test_a_value_keeps_its_bytes() -> None:
    """Bytes above 127 and inner tabs come back as they came."""
    assert Metadata.of([(b"x-a", b"\x80\xff\tz")]).value(b"x-a") == b"\x80\xff\tz"


@pytest.mark.parametrize("name", [b"", b"x-", b"y-a", b"x", b"x-a b", b"x-a:", b"x-\xe9", b"x-a\n"])
def test_a_bad_name_is_refused(name: bytes) -> None:
    """It would not come back as one header."""
    with pytest.raises(BadMetadata):
        Metadata.of([(name, b"")])


@pytest.mark.parametrize("value", [b"a\nb", b"a\rb", b"a\0", b"\x7f", b"\x1b[0m"])
def test_a_bad_value_is_refused(value: bytes) -> None:
    """It would split the answer, or the log."""
    with pytest.raises(BadMetadata):
        Metadata.of([(b"x-a", value)])


def test_a_header_that_comes_twice_is_refused() -> None:
    """In whatever case."""
    with pytest.raises(BadMetadata, match="twice"):
        Metadata.of([(b"X-A", b"1"), (b"x-a", b"1")])


def test_the_number_of_headers_is_bounded() -> None:
    """The last that fits is taken."""
    pairs = [(b"x-%d" % number, b"") for number in range(MOST_HEADERS + 1)]
    assert len(Metadata.of(pairs[:-1]).pairs) == MOST_HEADERS
    with pytest.raises(BadMetadata):
        Metadata.of(pairs)


def test_the_bytes_of_headers_are_bounded() -> None:
    """Names count as well as values."""
    assert Metadata.of([(b"x-a", b"v" * (MOST_METADATA - 3))])
    with pytest.raises(BadMetadata):
        Metadata.of([(b"x-a", b"v" * (MOST_METADATA - 2))])


def test_a_span_stops_behind_its_last_byte() -> None:
    """Start and length, added up."""
    assert Span(3, 4).stop == 7


def test_an_entry_is_live_unless_it_says_otherwise() -> None:
    """A tombstone is not."""
    assert Entry(id=BlobID("a")).is_live
    assert not Entry(id=BlobID("a"), state=State.DELETED).is_live


def test_an_entry_is_written_at_another_version_with_all_else_that_it_has() -> None:
    """Every field is carried along: the entry differs from what it was made of in no other."""
    entry = Entry(
        id=BlobID("abc"),
        version=Version(3),
        state=State.DELETED,
        kind=Kind.CHUNK,
        size=5,
        sha256=bytes(32),
        metadata=Metadata(((b"x-a", b"b"),)),
        expires=7,
        is_damaged=True,
        is_stray=False,
    )
    assert all(
        getattr(entry, field.name) != field.default for field in fields(Entry) if field.name not in ("id", "is_stray")
    )
    for is_stray in (True, False):
        assert entry.written_at(Version(9), is_stray=is_stray) == evolve(entry, version=Version(9), is_stray=is_stray)
