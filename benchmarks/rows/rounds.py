"""Rows of replication: ``sos replicate`` as a process, from its start to its end, and rounds as an api has them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.asking import ask_well, check_same, status_of
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Wrong
from benchmarks.filled import SIZE, name_of, payload_of
from benchmarks.loads import Writing
from benchmarks.machine import LOAD_CORE, SERVER_CORE, on_core
from benchmarks.rows.scale import SMALL
from benchmarks.running import environment_in
from benchmarks.servers import Served, blob_server, sos_command

_ROUNDS = 5
"""Rounds by one process: few enough that each pair is soon over."""


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
    full, empty = _equal_members(bench, count), _empty_members(bench)
    sos, reference = in_turn(bench.plan.long_pairs, lambda: 1000 * _round(bench, full), lambda: 1000 * _round(bench, empty))
    for served in full:
        _check_all_there(served, count)
    return Measured(sos, reference)


def round_over_few(bench: Bench) -> Measured:
    """Run rounds over two blob servers that hold the same, in a process that goes on; milliseconds, beside empty ones."""
    return _rounds_alone(bench, bench.plan.few_blobs, SIZE)


def round_over_most(bench: Bench) -> Measured:
    """Run the same over as many blobs as there are anywhere in these rows."""
    return _rounds_alone(bench, bench.plan.most_blobs, SMALL)


def _rounds_alone(bench: Bench, count: int, size: int) -> Measured:
    full, empty = _equal_members(bench, count, size), _empty_members(bench)
    sos, reference = in_turn(bench.plan.long_pairs, lambda: idle_ms(bench, full), lambda: idle_ms(bench, empty))
    for served in full:
        _check_all_there(served, count, size)
    return Measured(sos, reference, ("each round is noted at both members, durably",))


def idle_ms(bench: Bench, members: Sequence[Served]) -> float:
    """Run rounds that find nothing to do, by a process on the core that is not the servers'; the median milliseconds."""
    urls = ",".join(member.url("") for member in members)
    noted = [status_of(member.port)["round"] for member in members]
    command = [sys.executable, "-m", "benchmarks.idling", urls, str(_ROUNDS)]
    with on_core(LOAD_CORE):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment_in(bench.directory))
    if done.returncode:
        raise Wrong(f"A round that should be idle failed: {done.stderr.strip()[-300:]}")
    if any(status_of(member.port)["round"] < number + _ROUNDS for member, number in zip(members, noted, strict=True)):
        raise Wrong("A member does not know of the rounds that it should have had.")
    seconds: list[float] = json.loads(done.stdout)
    return 1000 * statistics.median(seconds)


def _equal_members(bench: Bench, count: int, size: int = SIZE) -> Sequence[Served]:
    twin = bench.twin_store(count, size)
    return [blob_server(bench, bench.filled_store(count, size)), blob_server(bench, twin)]


def _empty_members(bench: Bench) -> Sequence[Served]:
    return [blob_server(bench, bench.directory / "one"), blob_server(bench, bench.directory / "two")]


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


def _check_all_there(served: Served, count: int, size: int = SIZE) -> None:
    names = ask_well("GET", served.port, "/blobs").body.count(b'"') // 2
    if names != count:
        raise Wrong(f"After a round {names} blobs are there, and not {count}.")
    for number in (0, count // 2, count - 1):
        check_same(served.port, f"/blob/{name_of(number, size)}", payload_of(number, size))
