"""Rows of one large object: up and down through an api over a group of two blob servers, all of it on both cores."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from benchmarks.asking import digest_of, drained, first_byte, status_of, upload, upload_file
from benchmarks.bench import Bench, in_turn
from benchmarks.durability import check_preloads, check_settings, check_syncs
from benchmarks.figures import Measured, Wrong, shown
from benchmarks.machine import BOTH_CORES, memory_mib, on_core
from benchmarks.servers import Served, ServedApi, api_server, blob_server, nginx

_PIECE = 1 << 20
_BEGINNING = 1 << 16
"""Bytes at the beginning of an object that are compared with what comes first."""

_SEVERAL_CHUNKS = 9 << 20
"""Bytes of an object that is cut: the way that large ones go."""


@define
class Source:
    """A file to be uploaded. It is other bytes each time, or its chunks would be there already."""

    path: Path
    size: int
    _turns: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        """Write the file."""
        pieces = random.Random(1)
        with self.path.open("wb") as file:
            for _ in range(0, self.size, _PIECE):
                file.write(pieces.randbytes(_PIECE))
            os.fsync(file.fileno())

    def change(self) -> None:
        """Change some bytes of each piece, and with them every chunk."""
        self._turns += 1
        with self.path.open("r+b") as file:
            for start in range(0, self.size, _PIECE):
                file.seek(start)
                file.write(b"%16d" % self._turns)
            os.fsync(file.fileno())

    def digest(self, algorithm: str) -> str:
        """Give a digest of the file as it is now."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()


@frozen
class Town:
    """An api over a group of two blob servers."""

    api: ServedApi
    members: tuple[Served, Served]

    @classmethod
    def start(cls, bench: Bench, one: Path, other: Path) -> Town:
        """Start all three on both cores."""
        members = (blob_server(bench, one, BOTH_CORES), blob_server(bench, other, BOTH_CORES))
        return cls(api_server(bench, [members], BOTH_CORES), members)

    def uploaded(self, source: Source) -> tuple[str, float]:
        """Upload a file, and see that both members have all of it; give its ID and the seconds."""
        held = [status_of(member.port)["bytes"] for member in self.members]
        started = time.perf_counter()
        with on_core(BOTH_CORES):
            stored = upload_file(self.api.uploads, source.path)
        seconds = time.perf_counter() - started
        blob_id = source.digest("sha1")
        expected = {"id": blob_id, "size": source.size, "status": "OK", "copies": 2}
        if any(stored.get(name) != value for name, value in expected.items()):
            raise Wrong(f"An upload was stored as {stored}, and not as {expected}.")
        if any(
            status_of(member.port)["bytes"] < size + source.size for member, size in zip(self.members, held, strict=True)
        ):
            raise Wrong("A member does not have the bytes that were acknowledged as its copy.")
        return blob_id, seconds

    def check(self, blob_id: str, sha256: str) -> None:
        """Download an object, and see that all of it is right."""
        if digest_of(self.api.downloads.port, f"/fetch/{blob_id}") != sha256:
            raise Wrong("A large object came back with other bytes.")

    @property
    def peaks(self) -> tuple[float, ...]:
        """Give the most memory that each process ever had: the api's first."""
        processes = (self.api.process, *(member.process for member in self.members))
        return tuple(memory_mib(process.pid, "VmHWM") for process in processes)

    @property
    def note(self) -> str:
        """Say the same in words."""
        api, *members = self.peaks
        return f"memory at most: api {shown(api)} MiB, blob servers {' and '.join(shown(member) for member in members)} MiB"

    def end(self) -> None:
        """End the processes: their stores may be opened by others."""
        for process in (self.api.process, *(member.process for member in self.members)):
            process.end()


def up(bench: Bench) -> Measured:
    """Upload an object of 1 GiB, two copies of it; MB/s.

    Beside the least that this takes: the SHA-256 of the same bytes, and two files written and synced, by one process.
    """
    bench.check_disk()
    check_settings(bench)
    source = Source(bench.directory / "object", bench.plan.large_blob)
    town = Town.start(bench, bench.directory / "one", bench.directory / "other")
    small = random.Random(2).randbytes(_SEVERAL_CHUNKS)
    notes = check_syncs(town.members[0], lambda: upload(town.api.uploads, small))
    check_preloads(town.members[1])
    least = _Least(source, bench.directory / "plain")

    def uploaded() -> float:
        source.change()
        blob_id, seconds = town.uploaded(source)
        town.check(blob_id, source.digest("sha256"))
        return source.size / seconds / 1e6

    sos, reference = in_turn(bench.plan.long_pairs, uploaded, least.rate)
    return Measured(sos, reference, (*notes, least.note, town.note))


@define
class _Least:
    """What an upload costs at least: each byte hashed once, and written and synced twice."""

    source: Source
    path: Path
    hashing: float = 0.0
    writing: float = 0.0
    size: int = 0

    def rate(self) -> float:
        """Do it once; MB/s."""
        hashing, writing = self._timed(lambda: self.source.digest("sha256")), 2 * self._timed(self._write)
        self.hashing += hashing
        self.writing += writing
        self.size += self.source.size
        return self.source.size / (hashing + writing) / 1e6

    def _timed(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        with on_core(BOTH_CORES):
            work()
        return time.perf_counter() - started

    def _write(self) -> None:
        self.path.unlink(missing_ok=True)
        with self.source.path.open("rb") as file, self.path.open("wb", buffering=0) as copy:
            while piece := file.read(_PIECE):
                copy.write(piece)
            os.fsync(copy.fileno())

    @property
    def note(self) -> str:
        """Say what of it was what."""
        hashed, written = (self.size / seconds / 1e6 for seconds in (self.hashing, self.writing / 2))
        return f"SHA-256 alone {shown(hashed)} MB/s, one file written and synced {shown(written)} MB/s"


def down(bench: Bench) -> Measured:
    """Download an object of 1 GiB, and throw it away; MB/s. It comes from the page cache, as nginx's file does."""
    size, stored = bench.plan.large_blob, Stored.once(bench)
    beside = nginx(bench, {stored.path: stored.file.read_bytes()}, BOTH_CORES)
    if digest_of(beside.port, stored.path) != stored.sha256:
        raise Wrong("nginx gave other bytes.")
    with on_core(BOTH_CORES):
        sos, reference = in_turn(
            bench.plan.long_pairs,
            lambda: drained(stored.town.api.downloads.port, stored.path, size) / 1e6,
            lambda: drained(beside.port, stored.path, size) / 1e6,
        )
    return Measured(sos, reference, (stored.town.note,))


def beginning(bench: Bench) -> Measured:
    """Ask for an object of 1 GiB; milliseconds until its first byte, with those of a new connection."""
    stored = Stored.once(bench)
    beside = nginx(bench, {stored.path: stored.file.read_bytes()}, BOTH_CORES)
    with stored.file.open("rb") as file:
        begins = file.read(_BEGINNING)

    def waited(port: int) -> float:
        with on_core(BOTH_CORES):
            return 1000 * first_byte(port, stored.path, begins)

    ours = stored.town.api.downloads.port
    return Measured(*in_turn(bench.plan.pairs, lambda: waited(ours), lambda: waited(beside.port)))


def memory(bench: Bench) -> Measured:
    """Upload an object of 1 GiB and download it; the most MiB that the api had, or a blob server if that had more."""
    source = Source(bench.directory / "object", bench.plan.large_blob)
    town = Town.start(bench, bench.directory / "one", bench.directory / "other")
    blob_id, _ = town.uploaded(source)
    town.check(blob_id, source.digest("sha256"))
    return Measured((max(town.peaks),), notes=(town.note,))


@frozen
class Stored:
    """An object that an api over two blob servers has, and the file that it was."""

    town: Town
    path: str
    file: Path
    sha256: str

    @classmethod
    def once(cls, bench: Bench) -> Stored:
        """Start servers on stores that have the object; it is uploaded once for all rows."""
        made = bench.made_once("object", lambda path: _store(bench, path))
        facts = json.loads((made / "facts").read_text())
        town = Town.start(bench, made / "one", made / "other")
        town.check(facts["id"], facts["sha256"])
        for chunk in made.glob("*/blobs/*/*/*"):  # a store lets the system forget a long blob that was written
            chunk.read_bytes()
        return cls(town, f"/fetch/{facts['id']}", made / "object", facts["sha256"])


def _store(bench: Bench, path: Path) -> None:
    path.mkdir()
    source = Source(path / "object", bench.plan.large_blob)
    town = Town.start(bench, path / "one", path / "other")
    blob_id, _ = town.uploaded(source)
    town.end()
    (path / "facts").write_text(json.dumps({"id": blob_id, "sha256": source.digest("sha256")}))
