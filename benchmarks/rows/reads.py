"""Rows that read blobs: from a blob server, beside nginx with the same bytes in a file."""

from __future__ import annotations

import hashlib
import random
import socket
import time
from urllib.parse import urlsplit

from benchmarks import wrk
from benchmarks.asking import ask_well, check_same, digest_of, drained, open_answer
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Missing, Wrong
from benchmarks.filled import name_of, numbers_in_turn, payload_of
from benchmarks.loads import Reading, rates
from benchmarks.machine import LOAD_CORE, forget_peak, memory_mib, on_core
from benchmarks.servers import blob_server, nginx, stock

_READERS = 200
_READ_BY_ALL = 100_000_000 // 4096 * 4096


def small_get(bench: Bench) -> Measured:
    """GET one blob of 4 KiB, over and over."""
    served = blob_server(bench, bench.directory / "store")
    path, payload = f"/blob/{name_of(0)}", payload_of(0)
    ask_well("PUT", served.port, path, payload)
    beside = Reading("nginx", nginx(bench, {path: payload}), path, payload)
    return rates(bench, Reading("sos", served, path, payload), beside)


def many_gets(bench: Bench) -> Measured:
    """GET more blobs of 4 KiB in turn than a store keeps in memory: each is read out of the database."""
    count = bench.plan.many_blobs
    served = blob_server(bench, bench.filled_store(count))
    files = {f"/blob/{name_of(number)}": payload_of(number) for number in numbers_in_turn(count)}
    script = wrk.script_of(list(files), bench.directory)
    beside_nginx = nginx(bench, files)
    for path, payload in files.items():
        check_same(served.port, path, payload)
        check_same(beside_nginx.port, path, payload)
    path, payload = next(iter(files.items()))
    beside = Reading("nginx", beside_nginx, path, payload, script)
    return rates(bench, Reading("sos", served, path, payload, script), beside)


def stock_file_get(bench: Bench) -> Measured:
    """GET the same from stock twisted.web, out of a file."""
    return _stock(bench, "files")


def stock_data_get(bench: Bench) -> Measured:
    """GET the same from stock twisted.web, out of its memory."""
    return _stock(bench, "memory")


def _stock(bench: Bench, source: str) -> Measured:
    path, payload = f"/blob/{name_of(0)}", payload_of(0)
    beside = Reading("nginx", nginx(bench, {path: payload}), path, payload)
    return rates(bench, Reading("twisted.web", stock(bench, {path: payload}, source), path, payload), beside)


def peer_get(bench: Bench) -> Measured:
    """GET the same from the server that BENCH_PEER names."""
    if bench.peer is None:
        raise Missing("BENCH_PEER=URL names another server of the blob servers' contract.")
    host, port = urlsplit(bench.peer).hostname, urlsplit(bench.peer).port
    if host is None or port is None:
        raise Missing(f"BENCH_PEER is http://HOST:PORT, and not {bench.peer!r}.")
    path, payload = f"/blob/{name_of(0)}", payload_of(0)
    ask_well("POST", port, path, payload, host)
    check_same(port, path, payload, host)
    beside = Reading("nginx", nginx(bench, {path: payload}), path, payload)
    beside.check()
    seconds, url = bench.plan.seconds, f"http://{host}:{port}{path}"
    peers, nginxes = in_turn(
        bench.plan.pairs, lambda: wrk.load(url, len(payload), seconds).rate, lambda: beside.rate(seconds)
    )
    notes = ("the peer was pinned to a core by nobody here", *beside.note)
    return Measured(peers, nginxes, notes)


def large_get(bench: Bench) -> Measured:
    """GET one long blob, and throw it away; MB/s. Its SHA-256 is checked first, which warms the page cache too."""
    size = bench.plan.large_blob
    path, payload = f"/blob/{name_of(0)}", random.Random(1).randbytes(1 << 20) * (size >> 20)
    served = blob_server(bench, bench.directory / "store")
    ask_well("PUT", served.port, path, payload)
    beside = nginx(bench, {path: payload})
    digest = hashlib.sha256(payload).hexdigest()
    del payload
    with on_core(LOAD_CORE):
        if {digest_of(served.port, path), digest_of(beside.port, path)} != {digest}:
            raise Wrong("A long blob came back with other bytes.")
        sos, reference = in_turn(
            bench.plan.long_pairs,
            lambda: drained(served.port, path, size) / 1e6,
            lambda: drained(beside.port, path, size) / 1e6,
        )
    return Measured(sos, reference)


def slow_readers(bench: Bench) -> Measured:
    """Have 200 clients read one blob of 100 MB slowly; how much the blob server grows meanwhile, in MiB."""
    served = blob_server(bench, bench.directory / "store")
    path, payload = f"/blob/{name_of(0)}", payload_of(0) * (_READ_BY_ALL // 4096)
    ask_well("PUT", served.port, path, payload)
    pid = served.process.pid
    forget_peak(pid)
    before = memory_mib(pid)
    readers = [open_answer(served.port, path) for _ in range(_READERS)]
    if any(length != _READ_BY_ALL or not payload.startswith(begun) for _, length, begun in readers):
        raise Wrong("A slow reader was promised another length, or got other bytes.")
    deadline = time.monotonic() + bench.plan.slow_seconds
    while time.monotonic() < deadline:
        _read_on([connection for connection, _, _ in readers])
        time.sleep(0.25)
    grown = memory_mib(pid, "VmHWM") - before
    for connection, _, _ in readers:
        connection.close()
    return Measured((grown,), notes=(f"the blob server had {before:.0f} MiB before",))


def _read_on(connections: list[socket.socket]) -> None:
    for connection in connections:
        if not connection.recv(4096):
            raise Wrong("A slow reader was cut off.")
