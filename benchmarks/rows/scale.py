"""Rows of a store with many blobs: its start, its memory, its list."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.asking import ask, check_same
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Wrong, shown
from benchmarks.filled import name_of, payload_of
from benchmarks.machine import forget_peak, memory_mib
from benchmarks.servers import Served, blob_server, is_alive

SMALL = 64
"""Bytes of a blob where there are a million: what these rows measure reads no bytes, and the disk need not take 5 GiB."""


def start_up(bench: Bench) -> Measured:
    """Start a blob server with many blobs, until it answers; milliseconds, beside one with an empty store."""
    full, empty = bench.filled_store(bench.plan.most_blobs, SMALL), bench.directory / "empty"
    _end(blob_server(bench, empty))  # its first start makes the store
    return Measured(*in_turn(bench.plan.long_pairs, lambda: start_ms(bench, full, SMALL), lambda: start_ms(bench, empty)))


def start_ms(bench: Bench, store: Path, size: int = 0) -> float:
    """Start a blob server and end it; the milliseconds until it answered. `size` is that of the blobs that it has."""
    started = time.perf_counter()
    served = blob_server(bench, store)
    if not is_alive(served):
        raise Wrong("A blob server says where it listens, and is not alive.")
    seconds = time.perf_counter() - started
    if size:
        check_same(served.port, f"/blob/{name_of(1, size)}", payload_of(1, size))
    _end(served)
    return seconds * 1000


def memory(bench: Bench) -> Measured:
    """Give the resident memory of a blob server that has just started on many blobs, in MiB, beside an empty one."""
    full, empty = bench.filled_store(bench.plan.most_blobs, SMALL), bench.directory / "empty"
    return Measured(*in_turn(1, lambda: resident_mib(bench, full), lambda: resident_mib(bench, empty)))


def resident_mib(bench: Bench, store: Path) -> float:
    """Start a blob server and end it; the memory that it had when it answered."""
    served = blob_server(bench, store)
    is_alive(served)
    mib = memory_mib(served.process.pid)
    _end(served)
    return mib


def names(bench: Bench) -> Measured:
    """List the names of many blobs; names a second, beside SQLite that lists them from a table of nothing else."""
    count = bench.plan.most_blobs
    served = blob_server(bench, bench.filled_store(count, SMALL))
    expected = sorted(name_of(number, SMALL) for number in range(count))
    table = _table(bench.directory / "names.db", expected)
    return Measured(
        *in_turn(
            bench.plan.long_pairs,
            lambda: _timed(lambda: _listed(served), expected),
            lambda: _timed(lambda: _read(table), expected),
        )
    )


def names_growth(bench: Bench) -> Measured:
    """List the names of many blobs; how much the blob server grows meanwhile, in MiB."""
    count = bench.plan.most_blobs
    served = blob_server(bench, bench.filled_store(count, SMALL))
    is_alive(served)
    pid = served.process.pid
    forget_peak(pid)
    before = memory_mib(pid)
    listed = _listed(served)
    if listed.count(b",") != count - 1:
        raise Wrong("The list of names is not that of the blobs.")
    return Measured((memory_mib(pid, "VmHWM") - before,), notes=(f"a list of {shown(len(listed) / 2**20)} MiB",))


def _timed(list_names: Callable[[], bytes], expected: Sequence[str]) -> float:
    started = time.perf_counter()
    listed = list_names()
    seconds = time.perf_counter() - started
    if json.loads(listed) != list(expected):
        raise Wrong("The list of names is not that of the blobs.")
    return len(expected) / seconds


def _listed(served: Served) -> bytes:
    return ask("GET", served.port, "/blobs").body


def _table(path: Path, ids: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE names (id TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.executemany("INSERT INTO names VALUES (?)", [(name,) for name in ids])
    connection.commit()
    return connection


def _read(table: sqlite3.Connection) -> bytes:
    return json.dumps([name for (name,) in table.execute("SELECT id FROM names ORDER BY id")]).encode("ascii")


def _end(served: Served) -> None:
    served.process.end()
