"""Rows of replication: ``sos replicate`` as a process, from its start to its end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.asking import ask_well, check_same
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Wrong
from benchmarks.filled import fill, name_of, payload_of
from benchmarks.loads import Writing
from benchmarks.machine import SERVER_CORE, on_core
from benchmarks.running import environment_in
from benchmarks.servers import Served, blob_server, sos_command


def copies(bench: Bench) -> Measured:
    """Replicate blobs of 4 KiB into an empty blob server; a second, beside PUTs of as many into another empty one."""
    count = bench.plan.few_blobs
    source = blob_server(bench, bench.filled_store(count))
    targets = iter(bench.directory / f"target-{number}" for number in range(2 * bench.plan.long_pairs))

    def replicated() -> float:
        target = blob_server(bench, next(targets))
        seconds = _round(bench, [source, target])
        _check_all_there(target, count)
        target.process.end()
        return count / seconds

    def put() -> float:
        target = blob_server(bench, next(targets))
        rate = Writing(target.port, target.port).load(3600.0, count).rate
        target.process.end()
        return rate

    measured = Measured(*in_turn(bench.plan.long_pairs, replicated, put))
    seconds = ", ".join(f"{count / rate:.1f}" for rate in measured.sos)
    return Measured(
        measured.sos, measured.reference, (f"{count:,} blobs took {seconds} s, and the start of a process each",)
    )


def idle_round(bench: Bench) -> Measured:
    """Run a round over two blob servers that hold the same; milliseconds, beside a round over two empty ones."""
    count = bench.plan.few_blobs
    twin = bench.directory / "twin"
    fill(twin, count)
    full = [blob_server(bench, bench.filled_store(count)), blob_server(bench, twin)]
    empty = [blob_server(bench, bench.directory / "one"), blob_server(bench, bench.directory / "two")]
    sos, reference = in_turn(bench.plan.long_pairs, lambda: 1000 * _round(bench, full), lambda: 1000 * _round(bench, empty))
    for served in full:
        _check_all_there(served, count)
    return Measured(sos, reference)


def _round(bench: Bench, members: Sequence[Served]) -> float:
    """Run one round and give its seconds."""
    servers = ",".join(member.url("") for member in members)
    started = time.perf_counter()
    with on_core(SERVER_CORE):
        process = _replicate(bench.directory, servers)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise Wrong(f"sos replicate failed: {process.stderr.strip()[-300:]}")
    return seconds


def _replicate(directory: Path, servers: str) -> subprocess.CompletedProcess[str]:
    command = sos_command("replicate", f"--blob-server={servers}")
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory, env=environment_in(directory))


def _check_all_there(served: Served, count: int) -> None:
    names = ask_well("GET", served.port, "/blobs").body.count(b'"') // 2
    if names != count:
        raise Wrong(f"After a round {names} blobs are there, and not {count}.")
    for number in (0, count // 2, count - 1):
        check_same(served.port, f"/blob/{name_of(number)}", payload_of(number))
