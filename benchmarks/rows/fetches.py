"""Rows that fetch objects through an api."""

from __future__ import annotations

from benchmarks.asking import upload
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured
from benchmarks.filled import payload_of
from benchmarks.loads import Reading, rates
from benchmarks.machine import LOAD_CORE, SERVER_CORE
from benchmarks.running import Running
from benchmarks.servers import ServedApi, all_in_one, api_server, blob_server, nginx, nginx_proxy


def apart(bench: Bench) -> Measured:
    """Fetch 4 KiB: the api has its core, the blob server shares the other with the load."""
    blobs = blob_server(bench, bench.directory / "store", LOAD_CORE)
    return _beside_nginx(bench, api_server(bench, [[blobs]]), blobs.process)


def together(bench: Bench) -> Measured:
    """Fetch 4 KiB: the api and the blob server share one core."""
    blobs = blob_server(bench, bench.directory / "store", SERVER_CORE)
    return _beside_nginx(bench, api_server(bench, [[blobs]]), blobs.process)


def in_one_process(bench: Bench) -> Measured:
    """Fetch 4 KiB from ``--role=all`` with one store."""
    return _beside_nginx(bench, all_in_one(bench, bench.directory / "store"))


def _beside_nginx(bench: Bench, api: ServedApi, *also: Running) -> Measured:
    payload = payload_of(0)
    path = f"/fetch/{upload(api.uploads, payload)}"
    beside = Reading("nginx", nginx(bench, {path: payload}), path, payload)
    return rates(bench, Reading("sos", api.downloads, path, payload, also=also), beside)


def latency(bench: Bench) -> Measured:
    """Fetch 4 KiB as the only client: the median, in milliseconds, beside nginx in the api's place."""
    blobs = blob_server(bench, bench.directory / "store", LOAD_CORE)
    api = api_server(bench, [[blobs]])
    payload = payload_of(0)
    path = f"/fetch/{upload(api.uploads, payload)}"
    ours = Reading("sos", api.downloads, path, payload)
    theirs = Reading("nginx", nginx_proxy(bench, blobs), path, payload)
    ours.check()
    theirs.check()
    seconds = bench.plan.seconds
    return Measured(*in_turn(bench.plan.pairs, lambda: ours.latency(seconds), lambda: theirs.latency(seconds)))
