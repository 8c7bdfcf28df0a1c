"""Batches on the wire: what is written can be read, it is no longer than it may be, and nothing else can be read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions import batch_wire, sync_wire, wire
from sos.decisions.batch import LARGEST, MOST, ROOM, weight
from sos.words.blob import BlobID, Entry, Kind, Metadata, Parcel, Version
from sos.words.errors import (
    BadInput,
    BlobConflict,
    BlobTruncated,
    DigestMismatch,
    ServerUnavailable,
    SOSError,
    StoreFull,
    StoreReadOnly,
)
from sos.words.interfaces import Received
from tests.decisions.test_sync_wire import IDS, METADATA, NO_NUMBERS, NO_TEXTS, NUMBERS, VERSIONS

SERVER = "http://a:3001"


def parcel_of(payload: bytes, name: str = "abc", **fields: Any) -> Parcel:
    """Make a parcel."""
    entry = Entry(id=BlobID(name), size=len(payload), sha256=hashlib.sha256(payload).digest(), **fields)
    return Parcel(entry, payload)


PARCELS = st.builds(
    parcel_of,
    st.binary(max_size=40),
    IDS,
    version=VERSIONS,
    kind=st.sampled_from(Kind),
    metadata=METADATA,
    expires=st.none() | NUMBERS,
    is_stray=st.booleans(),
)
BATCHES = st.lists(PARCELS, max_size=6, unique_by=lambda parcel: parcel.entry.id)
HELLO, WORLD = parcel_of(b"hello"), parcel_of(b"world!", "abd")


def written(*parcels: Parcel) -> bytes:
    """Write a batch."""
    return batch_wire.batch_bytes(parcels)


def framed(shapes: Any, payload: bytes) -> bytes:
    """Write what looks like a batch."""
    return json.dumps(shapes).encode() + b"\n" + payload


@given(BATCHES)
def test_a_batch_comes_back_as_it_was(parcels: list[Parcel]) -> None:
    """Every field and every byte, in the same order; and it takes no more bytes than it weighs."""
    payload = written(*parcels)
    assert batch_wire.batch_of(payload) == parcels
    assert len(payload) <= sum(weight(parcel.entry) for parcel in parcels) + batch_wire.MOST_BATCH - ROOM


def test_the_bytes_of_a_batch_are_written_in_pieces() -> None:
    """Of 32 KiB and what the last blob in each has beyond that; a single large one is one."""
    payloads = [bytes([number]) * 5000 for number in range(20)] + [bytes(LARGEST)] * 2
    pieces = list(batch_wire.payload_pieces([parcel_of(payload, f"n{number}") for number, payload in enumerate(payloads)]))
    assert b"".join(pieces) == b"".join(payloads)
    assert [len(piece) for piece in pieces] == [35_000, 35_000, 30_000 + LARGEST, LARGEST, 0]


def test_the_heaviest_entry_takes_no_more_than_it_weighs() -> None:
    """All fields as long as they can be, and every byte of the metadata escaped."""
    values = [(b"x-%d" % number, b"\xff" * 120) for number in range(64)]
    entry = parcel_of(b"", "a" * 128, version=Version(2**63 - 1), kind=Kind.MANIFEST, expires=2**63 - 1, is_stray=True).entry
    heaviest = evolve(entry, metadata=Metadata.of(values), size=0)
    assert len(written(Parcel(heaviest, b""))) <= weight(heaviest)


@given(st.lists(IDS, max_size=6, unique=True))
def test_names_come_back_as_they_were(names: list[BlobID]) -> None:
    """In their order; and the longest fit."""
    assert batch_wire.names_of(batch_wire.names_json(names)) == names


def test_the_longest_names_fit() -> None:
    """As many as a batch may have."""
    longest = [BlobID(f"{number:0128}") for number in range(MOST)]
    assert len(batch_wire.names_json(longest)) <= batch_wire.MOST_NAMES_JSON


PLAIN = json.loads(sync_wire.entry_text(HELLO.entry))
BAD_BATCHES = [
    b"",
    b"[]",
    b"\n",
    b"null\n",
    b"{}\n",
    b"[\n]",
    b"[NaN]\n",
    b"[]\nx",
    b" " * 10 + b"\nx",
    written(HELLO)[:-1],
    written(HELLO) + b"x",
    written(HELLO) + b"\n",
    written(HELLO, WORLD)[:-1],
    written(HELLO, HELLO),
    written(*(parcel_of(b"", f"n{number}") for number in range(MOST + 1))),
    written(*(parcel_of(bytes(LARGEST), f"n{number}") for number in range(ROOM // LARGEST))),
    written(parcel_of(bytes(LARGEST + 1))),
    framed([{**PLAIN, "size": 4}], b"hello"),
    framed([{**PLAIN, "size": 6}], b"hello"),
    framed([{**PLAIN, "size": 2**63 - 1}], b"hello"),
    framed([{**PLAIN, "state": "deleted"}], b"hello"),
    framed([{**PLAIN, "damaged": True}], b"hello"),
    framed([{name: value for name, value in PLAIN.items() if name != "sha256"}], b"hello"),
    framed([{name: value for name, value in PLAIN.items() if name != "size"}], b"hello"),
    framed([{**PLAIN, "id": "A"}], b"hello"),
    framed([PLAIN, 1], b"hello"),
    framed(PLAIN, b"hello"),
]


@pytest.mark.parametrize("payload", BAD_BATCHES, ids=lambda payload: repr(payload[:20]))
def test_what_is_no_batch_is_refused(payload: bytes) -> None:
    """All of it: where one frame is wrong, so are those behind it."""
    with pytest.raises(BadInput):
        batch_wire.batch_of(payload)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"null", b'"a"', b"[1]", b'["A"]', b'["../x"]', b'["a","a"]', b'["\\ud800"]', b"[[]]"]
)
def test_what_are_no_names_is_refused(raw: bytes) -> None:
    """A list of IDs, each once."""
    with pytest.raises(BadInput):
        batch_wire.names_of(raw)


def test_metadata_that_no_upload_leaves_is_not_kept() -> None:
    """As it is with headers: a reserved name would come out at clients, as if we had said it."""
    forged = Metadata.of([(b"x-is", b"it"), (b"x-sos-version", b"9"), (b"x-real-ip", b"1")])
    (read,) = batch_wire.batch_of(written(Parcel(evolve(HELLO.entry, metadata=forged), b"hello")))
    assert read.entry.metadata == Metadata.of([(b"x-is", b"it")])


@given(BATCHES, VERSIONS)
def test_what_was_taken_comes_back(parcels: list[Parcel], version: Version) -> None:
    """With the version that is held now."""
    held = [evolve(parcel.entry, version=version) for parcel in parcels]
    payload = batch_wire.outcomes_json(parcels, [Received(entry, "uuid") for entry in held])
    assert payload == wire.json_bytes(json.loads(payload))
    assert batch_wire.outcomes_of(payload, parcels, SERVER) == held


ERRORS: list[SOSError] = [
    BlobConflict("abc", BlobConflict.OLDER, 7),
    BlobConflict("abc", BlobConflict.OTHER_BYTES, 2**63 - 1),
    DigestMismatch("other bytes"),
    BadInput("no"),
    StoreFull("full"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_what_was_refused_comes_back_as_the_error_that_it_was(error: SOSError) -> None:
    """One bad blob changes nothing about the others, whatever their order."""
    outcomes: list[Received | SOSError] = [Received(WORLD.entry), error]
    read = batch_wire.outcomes_of(batch_wire.outcomes_json([WORLD, HELLO], outcomes), [WORLD, HELLO], SERVER)
    assert read[0] == WORLD.entry
    assert type(read[1]) is type(error)
    assert str(read[1]) == str(error)
    assert vars(read[1]) == vars(error)


@pytest.mark.parametrize("error", [StoreReadOnly("the disk failed"), BlobTruncated("short")])
def test_what_a_member_could_not_do_is_its_unavailability(error: SOSError) -> None:
    """As it is with a request of its own."""
    (read,) = batch_wire.outcomes_of(batch_wire.outcomes_json([HELLO], [error]), [HELLO], SERVER)
    assert isinstance(read, ServerUnavailable)
    assert read.server == SERVER


def test_the_longest_refusals_fit() -> None:
    """As many as there are blobs in a batch."""
    parcels = [parcel_of(b"", f"{number:0128}") for number in range(MOST)]
    refused = [BlobConflict(parcel.entry.id, BlobConflict.OTHER_BYTES, 2**63 - 1) for parcel in parcels]
    assert len(batch_wire.outcomes_json(parcels, refused)) <= batch_wire.MOST_OUTCOMES_JSON


GOOD: dict[str, Any] = {"id": "abc", "version": 0, "sha256": HELLO.entry.sha256.hex()}  # type: ignore[union-attr]
REFUSED: dict[str, Any] = {"id": "abc", "status": 409, "error": "no", "reason": "older", "version": 7}
BAD_OUTCOMES: list[Any] = [
    None,
    {},
    [],
    [GOOD, GOOD],
    [1],
    [{}],
    [{**GOOD, "id": "abd"}],
    [{**GOOD, "sha256": "00" * 32}],
    [{**GOOD, "sha256": None}],
    *([{**GOOD, "version": version}] for version in NO_NUMBERS),
    *([{**REFUSED, "version": version}] for version in NO_NUMBERS),
    *([{**REFUSED, "status": status}] for status in (200, "409", None, True, 409.0)),
    [{**REFUSED, "id": "abd"}],
]


@pytest.mark.parametrize("shape", BAD_OUTCOMES, ids=repr)
def test_what_speaks_of_something_else_is_no_acknowledgement(shape: Any) -> None:
    """Neither of another blob nor of other bytes, nor of more or fewer than were sent."""
    with pytest.raises(BadInput):
        batch_wire.outcomes_of(json.dumps(shape).encode(), [HELLO], SERVER)


@pytest.mark.parametrize("change", [{"error": text} for text in NO_TEXTS] + [{"reason": text} for text in NO_TEXTS])
def test_a_refusal_that_does_not_say_why_is_one(change: dict[str, Any]) -> None:
    """It is never taken for an acknowledgement."""
    (read,) = batch_wire.outcomes_of(json.dumps([{**REFUSED, **change}]).encode(), [HELLO], SERVER)
    assert isinstance(read, BlobConflict | ServerUnavailable)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | NUMBERS | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["id", "version", "sha256", "status", "error", "reason"]), inner)
        ),
        max_leaves=6,
    ).map(lambda shape: json.dumps(shape).encode())
)
def test_whatever_comes_is_read_or_refused(payload: bytes) -> None:
    """With no other exception than the one that says so."""
    for read in (batch_wire.batch_of, batch_wire.names_of, lambda raw: batch_wire.outcomes_of(raw, [HELLO], SERVER)):
        with contextlib.suppress(BadInput):
            read(payload)


def test_a_status_that_an_error_cannot_have_is_a_mistake_of_the_server() -> None:
    """And no reason to believe anything else of it."""
    (read,) = batch_wire.outcomes_of(wire.json_bytes([{"id": "abc", "status": 299}]), [HELLO], SERVER)
    assert isinstance(read, ServerUnavailable)
