"""Manifests: what is written is read back, a span touches its chunks alone, and nothing that does not add up is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.decisions.manifest import (
    LARGEST_CHUNK,
    MOST_BYTES,
    MOST_CHUNKS,
    Chunk,
    Manifest,
    chunk_id,
    manifest_json,
    manifest_of,
)
from sos.words.blob import BlobID, Span
from sos.words.errors import BadInput

OBJECT = BlobID("cd5bd649c4dc46b0bbdf8c94ee53c1198780e430")

CHUNKS = st.builds(
    Chunk, st.binary(min_size=32, max_size=32).map(chunk_id), st.integers(min_value=1, max_value=LARGEST_CHUNK)
)
MANIFESTS = st.lists(CHUNKS, min_size=1, max_size=12).map(lambda chunks: Manifest(OBJECT, tuple(chunks)))


def shape_of(**changes: Any) -> dict[str, Any]:
    """Give the fields of a sound manifest of two chunks, with some of them changed."""
    chunks = [[chunk_id(b"\1" * 32), 4], [chunk_id(b"\2" * 32), 3]]
    return {"format": "sos-manifest", "version": 1, "id": OBJECT, "size": 7, "chunks": chunks} | changes


def read(shape: Any) -> Manifest:
    """Read a manifest of this shape."""
    return manifest_of(json.dumps(shape).encode(), OBJECT)


@given(MANIFESTS)
def test_what_is_written_is_read_back(manifest: Manifest) -> None:
    """A manifest says the same after its way over the wire, and writing it again gives the same bytes."""
    payload = manifest_json(manifest)
    assert manifest_of(payload, OBJECT) == manifest
    assert manifest_json(manifest_of(payload, OBJECT)) == payload


@given(MANIFESTS, st.data())
def test_the_parts_of_a_span_are_the_span(manifest: Manifest, data: st.DataObject) -> None:
    """Put end to end, the parts are the bytes asked for; each lies within its chunk, and none is empty."""
    start = data.draw(st.integers(0, manifest.size))
    span = Span(start, data.draw(st.integers(0, manifest.size - start)))
    begins, at = 0, span.start
    starts = {}
    for number, chunk in enumerate(manifest.chunks):
        starts[number] = begins
        begins += chunk.size
    parts = list(manifest.parts_of(span))
    numbers = iter(range(len(manifest.chunks)))
    for chunk, part in parts:
        number = next(n for n in numbers if manifest.chunks[n] is chunk)
        assert starts[number] + part.start == at
        assert part.length > 0 and part.stop <= chunk.size
        at += part.length
    assert at == span.stop


def test_a_chunk_is_named_by_its_bytes() -> None:
    """The ID of a chunk gives its SHA-256 back, and is no digest that could name an object."""
    name = chunk_id(bytes(range(32)))
    assert Chunk(name, 1).sha256 == bytes(range(32))
    assert len(name) == 65 and name.startswith("c")


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ([], "JSON object"),
        (shape_of(format="other"), "does not know"),
        (shape_of(version=2), "does not know"),
        (shape_of(id="another"), "another object"),
        (shape_of(size=8), "add up"),
        (shape_of(size=7.0), "add up"),
        (shape_of(size=None), "add up"),
        (shape_of(chunks=[]), "chunks"),
        (shape_of(chunks={}), "chunks"),
        (shape_of(chunks=[[chunk_id(b"\1" * 32), 7, 1]]), "an ID and a size"),
        (shape_of(chunks=["x"]), "an ID and a size"),
        (shape_of(chunks=[["http://example.com/blob/x", 7]]), "lower-case hex"),
        (shape_of(chunks=[["../../etc/passwd", 7]]), "lower-case hex"),
        (shape_of(chunks=[[OBJECT, 7]]), "lower-case hex"),
        (shape_of(chunks=[[chunk_id(b"\1" * 32) + "\n", 7]]), "lower-case hex"),
        (shape_of(chunks=[[chunk_id(b"\1" * 32), 0], [chunk_id(b"\2" * 32), 7]]), "bytes"),
        (shape_of(chunks=[[chunk_id(b"\1" * 32), -1], [chunk_id(b"\2" * 32), 8]]), "bytes"),
        (shape_of(chunks=[[chunk_id(b"\1" * 32), True], [chunk_id(b"\2" * 32), 6]]), "bytes"),
        (shape_of(chunks=[[chunk_id(b"\1" * 32), LARGEST_CHUNK + 1]]), "bytes"),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value)[:60],
)
def test_what_does_not_add_up_is_refused(shape: Any, sentence: str) -> None:
    """A manifest that is another's, nested, cut or wrong in its sums is not believed (torture, H60)."""
    with pytest.raises(BadInput, match=sentence):
        read(shape)


def test_a_manifest_of_too_many_chunks_is_refused() -> None:
    """A million chunks are more than any object has; so many are not even looked at one by one."""
    with pytest.raises(BadInput, match="chunks"):
        read(shape_of(chunks=[[chunk_id(b"\1" * 32), 1]] * (MOST_CHUNKS + 1)))


def test_the_longest_manifest_fits() -> None:
    """As many chunks as there may be, each as large as it may be, stay within the limit of the bytes."""
    manifest = Manifest(OBJECT, (Chunk(chunk_id(b"\xff" * 32), LARGEST_CHUNK),) * MOST_CHUNKS)
    payload = manifest_json(manifest)
    assert len(payload) <= MOST_BYTES
    assert manifest_of(payload, OBJECT).size == LARGEST_CHUNK * MOST_CHUNKS


def test_too_long_a_manifest_is_not_read() -> None:
    """Its length alone tells."""
    with pytest.raises(BadInput, match="at most"):
        manifest_of(b" " * (MOST_BYTES + 1), OBJECT)
