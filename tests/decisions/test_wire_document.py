"""``docs/wire.rst`` is what other programs are written by: its numbers and shapes are held against the code."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from sos.decisions import wire
from sos.decisions.batch import LARGEST, MOST, ROOM, weight
from sos.decisions.batch_wire import batch_bytes, batch_of, outcomes_of
from sos.decisions.buckets import BUCKETS, EMPTY, bucket_of, changed, entry_digest, part_digests, root_digest
from sos.decisions.manifest import Chunk, Manifest, chunk_id, manifest_json, manifest_of
from sos.decisions.sync_wire import entry_of, entry_text, summary_of
from sos.words.blob import BlobID, Entry, Metadata, Version
from sos.words.errors import BlobConflict
from tests.decisions.test_buckets import HELLO

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "wire.rst").read_text(encoding="utf-8")
GONE = Entry.tombstone(BlobID("abc"), Version(8))


def value_of(what: str) -> str:
    """Give a value of the table of the test vector."""
    found = re.search(rf"^{what}\s+`*(\w+)`*$", DOCUMENT, re.MULTILINE)
    assert found is not None, what
    return found[1]


def shapes() -> list[object]:
    """Give the JSON objects that stand as examples."""
    blocks = re.findall(r"^    (\{.*?\})$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [json.loads(block) for block in blocks]


def test_the_test_vector_is_right() -> None:
    """Entry, bucket, part and root."""
    buckets = [EMPTY] * BUCKETS
    for entry in (HELLO, GONE):
        place = bucket_of(entry.id)
        buckets[place] = changed(buckets[place], entry)
    parts = part_digests(buckets)
    assert value_of("bucket of the live one") == str(bucket_of(HELLO.id))
    assert value_of("bucket of the tombstone") == str(bucket_of(GONE.id))
    digests = re.findall(r"^its digest +``(\w+)``$", DOCUMENT, re.MULTILINE)
    assert digests == [entry_digest(HELLO).hex(), entry_digest(GONE).hex()]
    assert value_of("digest of its part, 18") == parts[18].hex()
    assert value_of("digest of its part, 46") == parts[46].hex()
    assert value_of("digest of any other part") == parts[0].hex()
    assert value_of("root") == root_digest(buckets).hex()
    assert value_of("root of an empty store") == root_digest([EMPTY] * BUCKETS).hex()


def test_the_examples_are_what_is_sent_and_read() -> None:
    """Two entries, and what a store says of itself."""
    live, gone, _, summary = shapes()
    assert (entry_of(live), entry_of(gone)) == (HELLO, GONE)
    assert (json.loads(entry_text(HELLO)), json.loads(entry_text(GONE))) == (live, gone)
    read = summary_of(json.dumps(summary).encode())
    assert (read.root.hex(), read.group) == (value_of("root"), "default")


def test_the_manifest_of_the_example_is_what_is_written_and_read() -> None:
    """Byte for byte, with the digest that the document gives."""
    _, _, shape, _ = shapes()
    payload = b"hello world"
    chunks = tuple(Chunk(chunk_id(hashlib.sha256(piece).digest()), len(piece)) for piece in (payload[:6], payload[6:]))
    manifest = Manifest(BlobID(hashlib.sha1(payload).hexdigest()), chunks)
    written = manifest_json(manifest)
    assert json.loads(written) == shape
    assert manifest_of(json.dumps(shape).encode(), manifest.object_id) == manifest
    assert f"``{hashlib.sha256(written).hexdigest()}``" in DOCUMENT


def test_every_header_between_servers_is_described() -> None:
    """Those of requests, and those of answers."""
    described = {name.lower().encode() for name in re.findall(r"^``(X-Sos-\w+)``", DOCUMENT, re.MULTILINE)}
    assert described == wire.REQUEST_HEADERS | {
        wire.STORE,
        wire.CLOCK,
        wire.ROUND,
        wire.INCARNATION,
        wire.PARTIAL,
        wire.KNOWN,
    }


def test_the_batch_of_the_example_is_what_is_written_and_read() -> None:
    """Byte for byte; and so are the outcomes."""
    head, payloads = re.findall(r"^    (\[\{.*\}\])\n    (\w+!)$", DOCUMENT, re.MULTILINE)[0]
    written = f"{head}\n{payloads}".encode()
    parcels = batch_of(written)
    assert batch_bytes(parcels) == written
    assert [parcel.payload for parcel in parcels] == [b"hello", b"world!"]
    assert [hashlib.sha256(parcel.payload).digest() for parcel in parcels] == [parcel.entry.sha256 for parcel in parcels]
    (said,) = re.findall(r"^    (\[\{\"id\": .*?\}\])$", DOCUMENT, re.MULTILINE | re.DOTALL)
    taken, refused = outcomes_of(said.encode(), parcels, "http://a:3001")
    assert taken == parcels[0].entry
    assert isinstance(refused, BlobConflict) and (refused.reason, refused.version) == (BlobConflict.OLDER, 9)


def test_the_limits_of_a_batch_are_described() -> None:
    """Who writes one has to count as we do."""
    assert (MOST, LARGEST, ROOM) == (128, 64 * 1024, 1024 * 1024)
    entry = Entry(id=BlobID("abc"), size=5, metadata=Metadata.of([(b"x-is", b"it")]))
    assert weight(entry) == 5 + 512 + len("x-is") + 6 * (len("it") + 1)
