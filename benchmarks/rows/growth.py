"""Rows of growth: the same measured with ever more blobs in the store, each in turn with the same at 1,000 blobs.

The design says flat. What a machine does from one minute to the next moves both, so that their ratio stands still with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from benchmarks import wrk
from benchmarks.asking import check_same
from benchmarks.bench import Bench, in_turn
from benchmarks.figures import Measured, Missing
from benchmarks.filled import SIZE, copy, fill, name_of, payload_of
from benchmarks.loads import Writing
from benchmarks.rows.rounds import idle_ms
from benchmarks.rows.scale import resident_mib, start_ms
from benchmarks.servers import api_server, blob_server

FEWEST = 1_000
COUNTS = (FEWEST, 10_000, 100_000, 1_000_000)

_CLIENTS = 16
_UPLOADS = 200
"""Uploads of one measurement: so few, that 1,000 blobs do not become many more meanwhile."""


@frozen
class Stock:
    """Two stores that hold the same blobs, and how many these are."""

    count: int
    store: Path
    twin: Path


Measuring = Callable[[Bench, Stock], Callable[[], float]]
"""Starts what is needed over a stock, and gives what measures it once."""


def _round(bench: Bench, stock: Stock) -> Callable[[], float]:
    members = [blob_server(bench, stock.store), blob_server(bench, stock.twin)]
    return lambda: idle_ms(bench, members)


def _start(bench: Bench, stock: Stock) -> Callable[[], float]:
    return lambda: start_ms(bench, stock.store, SIZE)


def _memory(bench: Bench, stock: Stock) -> Callable[[], float]:
    return lambda: resident_mib(bench, stock.store)


def _fetch(bench: Bench, stock: Stock) -> Callable[[], float]:
    """Fetch 1,000 objects in turn through an api over one blob server."""
    downloads = api_server(bench, [[blob_server(bench, stock.store)]]).downloads
    numbers = random.Random(1).sample(range(stock.count), FEWEST)
    for number in numbers[:10]:
        check_same(downloads.port, f"/fetch/{name_of(number)}", payload_of(number))
    script = wrk.script_of([f"/fetch/{name_of(number)}" for number in numbers], stock.store.parent)
    url, seconds = downloads.url(f"/fetch/{name_of(numbers[0])}"), bench.plan.seconds
    return lambda: wrk.load(url, SIZE, seconds, _CLIENTS, script).rate


def _upload(bench: Bench, stock: Stock) -> Callable[[], float]:
    """Upload through an api over one blob server, which has some more blobs afterwards."""
    api = api_server(bench, [[blob_server(bench, stock.store)]])
    writing = Writing(api.uploads, api.downloads.port, through_api=True)
    writing.load(3600.0, _CLIENTS)  # so that every connection has been made
    return lambda: writing.load(3600.0, _UPLOADS).rate


MEASURES: tuple[tuple[str, str, str, Measuring, tuple[str, ...]], ...] = (
    ("round", "idle round", "ms", _round, ()),
    ("start", "start-up", "ms", _start, ()),
    ("memory", "memory after it", "MiB", _memory, ()),
    ("fetch", "fetch 4 KiB", "/s", _fetch, ("wrk",)),
    ("upload", "upload 4 KiB", "/s", _upload, ()),
)
"""The last one changes what it measures."""


def measured(bench: Bench, measuring: Measuring, count: int) -> Measured:
    """Measure something with so many blobs in a store, in turn with the same over 1,000."""
    if count > bench.plan.most_blobs:
        raise Missing(f"QUICK=1 goes no further than {bench.plan.most_blobs:,} blobs.")
    bench.check_disk()
    twin = bench.twin_store(count)
    many = Stock(count, bench.filled_store(count), twin)
    few = Stock(FEWEST, bench.directory / "few" / "store", bench.directory / "few" / "twin")
    for path in (few.store, few.twin):
        copy(bench.made_once("fewest", lambda path: fill(path, FEWEST)), path)
    return Measured(*in_turn(bench.plan.pairs, measuring(bench, many), measuring(bench, few)))
