"""All rows, in the order of the table. A new row is one function in `benchmarks.rows`, and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import frozen

from benchmarks.bench import Bench
from benchmarks.figures import Goal, Measured
from benchmarks.rows import fetches, growth, latencies, moving, objects, reads, rounds, scale, writes

WITH_NGINX = ("nginx", "wrk")


@frozen
class Row:
    """What is measured: `what` beside `beside`, in `unit`; `needs` are programs."""

    name: str
    what: str
    unit: str
    measure: Callable[[Bench], Measured]
    beside: str = ""
    goal: Goal | None = None
    needs: tuple[str, ...] = ()


def _least(limit: float, stretch: float | None = None) -> Goal:
    """Set a goal for the figure itself, whatever the reference comes to."""
    return Goal(limit, stretch, of_ratio=False)


def _most(limit: float, stretch: float | None = None) -> Goal:
    """Set an upper limit for the figure itself."""
    return Goal(limit, stretch, at_most=True, of_ratio=False)


ROWS = (
    Row("get", "blob GET 4 KiB", "/s", reads.small_get, "nginx", Goal(0.28, 0.35), WITH_NGINX),
    Row("get-many", "GET of 4,096 blobs in turn", "/s", reads.many_gets, "nginx", None, WITH_NGINX),
    Row("get-stock-file", "the same, stock twisted.web, File", "/s", reads.stock_file_get, "nginx", None, WITH_NGINX),
    Row("get-stock-data", "the same, stock twisted.web, Data", "/s", reads.stock_data_get, "nginx", None, WITH_NGINX),
    Row("get-peer", "the same from BENCH_PEER", "/s", reads.peer_get, "nginx", None, WITH_NGINX),
    Row("get-large", "GET of one long blob", "MB/s", reads.large_get, "nginx", Goal(0.7), ("nginx",)),
    Row(
        "slow-readers",
        "growth under 200 slow readers",
        "MiB",
        reads.slow_readers,
        goal=Goal(64, at_most=True, of_ratio=False),
    ),
    Row("fetch", "fetch 4 KiB, blob server beside load", "/s", fetches.apart, "nginx", Goal(0.09), WITH_NGINX),
    Row("fetch-together", "fetch 4 KiB, api and blob server", "/s", fetches.together, "nginx", Goal(0.07, 0.1), WITH_NGINX),
    Row("fetch-all", "fetch 4 KiB, role all", "/s", fetches.in_one_process, "nginx", Goal(0.15, 0.2), WITH_NGINX),
    Row(
        "fetch-latency",
        "fetch 4 KiB, 1 client, median",
        "ms",
        fetches.latency,
        "nginx as proxy",
        _most(0.45, 0.3),
        WITH_NGINX,
    ),
    Row("put", "durable PUT 4 KiB, 16 clients", "/s", writes.durable_puts, "bare fsyncs"),
    Row("upload-two-groups", "upload 4 KiB, 2 groups of 1", "/s", writes.two_groups, "bare fsyncs", _least(4000, 6000)),
    Row("upload-two-members", "upload 4 KiB, 1 group of 2", "/s", writes.two_members, "bare fsyncs", _least(2500, 4000)),
    Row("import", "sos import of files of 4 KiB", "/s", moving.imports, "bare fsyncs", _least(3000)),
    Row("put-generator", "PUT 4 KiB into a sink (the load's own limit)", "/s", writes.generator),
    Row("up-large", "upload of 1 GiB, 2 copies", "MB/s", objects.up, "hashed, written twice", _least(150, 300)),
    Row("down-large", "download of it", "MB/s", objects.down, "nginx", _least(600, 900), ("nginx",)),
    Row("down-first-byte", "its first byte", "ms", objects.beginning, "nginx", _most(50), ("nginx",)),
    Row("large-memory", "most memory of a process, up and down", "MiB", objects.memory, goal=_most(200)),
    Row("replicate", "replicated blobs of 4 KiB", "/s", rounds.copies, "direct PUTs", _least(10_000 / 6, 10_000 / 3)),
    Row("replicate-idle", "sos replicate, nothing to do", "ms", rounds.idle_round, "empty servers"),
    Row("round-few", "idle round of an api, few blobs", "ms", rounds.round_over_few, "empty servers", _most(30, 10)),
    Row("round-most", "idle round of an api, most blobs", "ms", rounds.round_over_most, "empty servers", _most(30, 10)),
    Row("start", "start-up with most blobs", "ms", scale.start_up, "empty store", _most(1000, 600)),
    Row("start-memory", "RSS after it", "MiB", scale.memory, "empty store", _most(120, 80)),
    Row("names", "/blobs, names", "/s", scale.names, "bare SQLite", _least(300_000, 600_000)),
    Row("names-growth", "growth while they are listed", "MiB", scale.names_growth, goal=_most(16)),
    Row("p99-scrub", "GET p99 beside a scrub", "ms", latencies.beside_scrub, "idle", Goal(1.3, at_most=True)),
    Row(
        "p99-busy",
        "GET p99 beside scrub and replication",
        "ms",
        latencies.beside_scrub_and_replication,
        "idle",
        Goal(1.5, 1.2, at_most=True),
    ),
)

GROWTH = tuple(
    Row(
        f"growth-{name}-{count}",
        f"{what}, {count:,} blobs",
        unit,
        partial(growth.measured, measuring=measuring, count=count),
        "1,000 blobs",
        None,
        needs,
    )
    for count in growth.COUNTS
    for name, what, unit, measuring, needs in growth.MEASURES
)
"""What must stay flat while a store grows, for `make plots`: measured only where ROWS says ``growth-``."""
