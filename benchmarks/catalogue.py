"""All rows, in the order of the table. A new row is one function in `benchmarks.rows`, and one entry here."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from benchmarks.bench import Bench
from benchmarks.figures import Goal, Measured
from benchmarks.rows import fetches, moving, reads, rounds, scale, writes

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


ROWS = (
    Row("get", "blob GET 4 KiB", "/s", reads.small_get, "nginx", Goal(0.28, 0.32), WITH_NGINX),
    Row("get-many", "GET of 1,000 blobs in turn", "/s", reads.many_gets, "nginx", None, WITH_NGINX),
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
    Row("fetch-together", "fetch 4 KiB, api and blob server", "/s", fetches.together, "nginx", Goal(0.07), WITH_NGINX),
    Row("fetch-all", "fetch 4 KiB, role all", "/s", fetches.in_one_process, "nginx", Goal(0.15), WITH_NGINX),
    Row("fetch-latency", "fetch 4 KiB, 1 client, median", "ms", fetches.latency, "nginx as proxy", None, WITH_NGINX),
    Row("put", "durable PUT 4 KiB, 16 clients", "/s", writes.durable_puts, "bare fsyncs"),
    Row("upload-two-groups", "upload 4 KiB, 2 groups of 1", "/s", writes.two_groups, "bare fsyncs"),
    Row("upload-two-members", "upload 4 KiB, 1 group of 2", "/s", writes.two_members, "bare fsyncs"),
    Row("import", "sos import of files of 4 KiB", "/s", moving.imports, "bare fsyncs"),
    Row("put-generator", "PUT 4 KiB into a sink (the load's own limit)", "/s", writes.generator),
    Row("replicate", "replicated blobs of 4 KiB", "/s", rounds.copies, "direct PUTs"),
    Row("replicate-idle", "sos replicate, nothing to do", "ms", rounds.idle_round, "empty servers"),
    Row("start", "start-up with many blobs", "ms", scale.start_up, "empty store"),
    Row("start-memory", "RSS after it", "MiB", scale.memory, "empty store"),
    Row("names", "/blobs, names", "/s", scale.names, "bare SQLite"),
)
