"""Manifests that are kept: found by the digest of their bytes, and never too many."""

from __future__ import annotations

from sos.decisions.manifest import Manifest
from sos.usecases.manifests import MOST_KEPT, Manifests
from tests.usecases.cluster_of import manifest_for


def manifest_of(name: str, chunks: int) -> Manifest:
    """Make a manifest of so many chunks."""
    return manifest_for(bytes(chunks), name, 1)


def test_a_manifest_is_found_by_its_digest_alone() -> None:
    """Another one of the same object takes its place."""
    manifests = Manifests()
    first, second = manifest_of("abc", 1), manifest_of("abc", 2)
    manifests.keep(b"1", first)
    assert manifests.find(first.object_id, b"1") is first
    assert manifests.find(first.object_id, b"2") is None
    assert manifests.find(first.object_id, None) is None
    manifests.keep(b"2", second)
    assert manifests.find(first.object_id, b"1") is None
    assert manifests.find(first.object_id, b"2") is second
    assert "abc" in manifests and "abd" not in manifests


def test_those_that_were_not_used_for_longest_go() -> None:
    """By the number of their chunks, for that is what they take; a single one stays whatever it has."""
    manifests = Manifests(most_chunks=10)
    for name in "abc":
        manifests.keep(b"1", manifest_of(name, 3))
    manifests.find(manifest_of("a", 1).object_id, b"1")
    manifests.keep(b"1", manifest_of("d", 4))
    assert [name for name in "abcd" if name in manifests] == ["a", "c", "d"]
    manifests.keep(b"1", manifest_of("e", 20))
    assert [name for name in "abcde" if name in manifests] == ["e"]


def test_there_are_never_too_many() -> None:
    """Small ones, too, take some memory each."""
    manifests = Manifests()
    for number in range(MOST_KEPT + 1):
        manifests.keep(b"1", manifest_of(f"m{number}", 1))
    assert "m0" not in manifests and "m1" in manifests
