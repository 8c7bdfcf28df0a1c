"""The row of ``sos import``: a process, from its start to its end, beside a bare loop of syncs."""

from __future__ import annotations

import hashlib
import subprocess
import time

from benchmarks.bench import Bench, in_turn
from benchmarks.durability import check_settings
from benchmarks.figures import Measured, Wrong
from benchmarks.filled import payload_of
from benchmarks.machine import SERVER_CORE, on_core
from benchmarks.rows.writes import syncs
from benchmarks.running import environment_in
from benchmarks.servers import sos_command


def imports(bench: Bench) -> Measured:
    """Import files of 4 KiB into a new store."""
    bench.check_disk()
    check_settings(bench)
    count = bench.plan.few_blobs
    source = bench.directory / "flat"
    source.mkdir()
    for number in range(count):
        payload = payload_of(number)
        (source / hashlib.sha1(payload).hexdigest()).write_bytes(payload)
    stores = iter(range(bench.plan.long_pairs))

    def imported() -> float:
        store = f"store-{next(stores)}"
        started = time.perf_counter()
        with on_core(SERVER_CORE):
            done = subprocess.run(
                [*sos_command("import"), f"--store={store}", "flat"],
                cwd=bench.directory,
                env=environment_in(bench.directory),
                capture_output=True,
                text=True,
                check=False,
            )
        seconds = time.perf_counter() - started
        if done.returncode or not done.stdout.startswith(f"Imported {count} objects"):
            raise Wrong(f"The import took something else: {done.stdout} {done.stderr}")
        return count / seconds

    return Measured(*in_turn(bench.plan.long_pairs, imported, lambda: syncs(bench, bench.plan.seconds)))
