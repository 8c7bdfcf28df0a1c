"""Rows of a store with many blobs: its start, its memory, its list."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.asking import ask, check_same
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Wrong
from benchmarks.filled import name_of, payload_of
from benchmarks.machine import memory_mib
from benchmarks.servers import Served, blob_server, is_alive


def start_up(bench: Bench) -> Measured:
    """Start a blob server with many blobs, until it answers; milliseconds, beside one with an empty store."""
    full, empty = bench.filled_store(bench.plan.many_blobs), bench.directory / "empty"
    _end(blob_server(bench, empty))  # its first start makes the store
    return Measured(*in_turn(bench.plan.long_pairs, lambda: _start(bench, full, True), lambda: _start(bench, empty, False)))


def _start(bench: Bench, store: Path, is_full: bool) -> float:
    started = time.perf_counter()
    served = blob_server(bench, store)
    if not is_alive(served):
        raise Wrong("A blob server says where it listens, and is not alive.")
    seconds = time.perf_counter() - started
    if is_full:
        check_same(served.port, f"/blob/{name_of(1)}", payload_of(1))
    _end(served)
    return seconds * 1000


def memory(bench: Bench) -> Measured:
    """Give the resident memory of a blob server that has just started on many blobs, in MiB, beside an empty one."""
    full, empty = bench.filled_store(bench.plan.many_blobs), bench.directory / "empty"
    return Measured(*in_turn(1, lambda: _memory(bench, full), lambda: _memory(bench, empty)))


def _memory(bench: Bench, store: Path) -> float:
    served = blob_server(bench, store)
    is_alive(served)
    mib = memory_mib(served.process.pid)
    _end(served)
    return mib


def names(bench: Bench) -> Measured:
    """List the names of many blobs; names a second, beside SQLite that lists them from a table of nothing else."""
    count = bench.plan.many_blobs
    served = blob_server(bench, bench.filled_store(count))
    expected = sorted(name_of(number) for number in range(count))
    table = _table(bench.directory / "names.db", expected)
    return Measured(
        *in_turn(
            bench.plan.pairs,
            lambda: _timed(lambda: _listed(served), expected),
            lambda: _timed(lambda: _read(table), expected),
        )
    )


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
