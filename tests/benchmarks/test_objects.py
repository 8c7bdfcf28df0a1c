"""The file that is uploaded as a large object."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rows.objects import Source

PIECE = 1 << 20


def pieces_of(path: Path) -> list[bytes]:
    """Read a file in pieces of 1 MiB."""
    read = path.read_bytes()
    return [read[start : start + PIECE] for start in range(0, len(read), PIECE)]


def test_no_chunk_of_a_large_object_was_there_before(tmp_path: Path) -> None:
    """Neither in the object itself nor after a change: what a server has already, it need not write."""
    source = Source(tmp_path / "object", 3 * PIECE)
    first = pieces_of(source.path)
    source.change()
    second = pieces_of(source.path)
    source.change()
    assert len({*first, *second, *pieces_of(source.path)}) == 9
    assert source.path.stat().st_size == source.size


def test_a_digest_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    """It is what an upload must be answered with."""
    source = Source(tmp_path / "object", PIECE)
    before = source.digest("sha1")
    source.change()
    assert source.digest("sha1") != before
