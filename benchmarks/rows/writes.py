"""Rows that write durably, beside a bare loop that appends 4 KiB and syncs it: what the disk can do in the same minute."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from benchmarks import traffic
from benchmarks.asking import ask_well, status_of, upload
from benchmarks.bench import Bench, in_turn
from benchmarks.durability import check_settings, check_syncs
from benchmarks.figures import Measured, Wrong
from benchmarks.filled import name_of, payload_of
from benchmarks.loads import Writing
from benchmarks.machine import BOTH_CORES, SERVER_CORE, on_core
from benchmarks.servers import Served, api_server, blob_server, sink

_SIZE = 4096
_WARM_SECONDS = 0.3
_COPIED = 0.99
"""The share of uploads that has all its copies."""


def syncs(bench: Bench, seconds: float) -> float:
    """Append 4 KiB and sync, one after the other; how often a second."""
    path, payload = bench.directory / "appended", os.urandom(_SIZE)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    done, started = 0, time.perf_counter()
    with on_core(SERVER_CORE):
        while time.perf_counter() - started < seconds:
            os.pwrite(descriptor, payload, done * _SIZE)
            os.fdatasync(descriptor)
            done += 1
    rate = done / (time.perf_counter() - started)
    os.close(descriptor)
    return rate


def durable_puts(bench: Bench) -> Measured:
    """PUT blobs of 4 KiB from 16 clients."""
    bench.check_disk()
    check_settings(bench)
    served = blob_server(bench, bench.directory / "store")
    notes = check_syncs(served, lambda: ask_well("PUT", served.port, f"/blob/{name_of(0)}", payload_of(0)))
    return _beside_syncs(bench, Writing(served.port, served.port, behind={"blob server": [served.process]}), notes)


def two_groups(bench: Bench) -> Measured:
    """Upload objects of 4 KiB from 16 clients: two groups of one member, one copy of each; all on both cores."""
    return _uploads(bench, [1, 1])


def two_members(bench: Bench) -> Measured:
    """Upload objects of 4 KiB from 16 clients: one group of two members, two copies of each; all on both cores."""
    return _uploads(bench, [2])


def _uploads(bench: Bench, sizes: list[int]) -> Measured:
    bench.check_disk()
    check_settings(bench)
    stores = iter(bench.directory / f"store-{number}" for number in range(sum(sizes)))
    groups = [[blob_server(bench, next(stores), BOTH_CORES) for _ in range(size)] for size in sizes]
    api = api_server(bench, groups, BOTH_CORES)
    notes: tuple[str, ...] = ()
    if len(groups) == 1:  # each member takes each upload
        notes = check_syncs(groups[0][0], lambda: upload(api.uploads, payload_of(0)))
    behind = {"api": [api.process], "all blob servers": [member.process for group in groups for member in group]}
    writing = Writing(api.uploads, api.downloads.port, through_api=True, cores=BOTH_CORES, behind=behind)
    measured = _beside_syncs(bench, writing, notes)
    for group in groups:
        _check_copies(group)
    return measured


def _check_copies(members: Sequence[Served]) -> None:
    """See that members hold the same number: an api may promise a copy less, but then only now and then, for a slow one."""
    held = [status_of(member.port)["blobs"] for member in members]
    if min(held) < _COPIED * max(held):
        raise Wrong(f"The members of one group hold {held} blobs: uploads had fewer copies than they should.")


def _beside_syncs(bench: Bench, writing: Writing, notes: tuple[str, ...]) -> Measured:
    seconds = bench.plan.seconds
    writing.rate(_WARM_SECONDS)
    values = in_turn(bench.plan.pairs, lambda: writing.rate(seconds), lambda: syncs(bench, seconds / 2))
    return Measured(*values, (*notes, writing.note))


def generator(bench: Bench) -> Measured:
    """PUT the same into a server that keeps nothing: the load generator, and no upload row, ends here."""
    served = sink(bench)
    order = traffic.Order(port=served.port, seed="sink", seconds=bench.plan.seconds)
    return Measured(tuple(traffic.load(order).rate for _ in range(bench.plan.long_pairs)))
