"""``make simulate``: many seeds, and each that fails by its number. ``SEED=n`` runs one, and shows all that happened."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import Report, simulate


def main() -> int:
    """Run what the environment asks for; give the exit status."""
    if os.environ.get("SEED"):
        return _show(simulate(int(os.environ["SEED"])))
    first, number = int(os.environ.get("FIRST") or 0), int(os.environ.get("SEEDS") or 100)
    began = time.monotonic()
    reports = list(_reports(range(first, first + number)))
    bad = [report for report in reports if report.problems]
    operations = sum(report.operations for report in reports)
    unknown = sum(report.unknown for report in reports)
    print(
        f"{len(reports)} seeds, {operations} operations, {unknown} of them without an answer,"
        f" {sum(report.faults for report in reports)} faults begun or ended, {len(bad)} seeds with violations,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if bad else 0


def _reports(seeds: range) -> Iterator[Report]:
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        for report in pool.map(simulate, seeds, chunksize=1):
            for problem in report.problems:
                print(f"seed {report.seed}: {problem}", flush=True)
            if report.problems:
                print(f"again: make simulate SEED={report.seed}", flush=True)
            yield report


def _show(report: Report) -> int:
    print("\n".join(sorted([*report.deeds, *report.history])))
    print(f"trace {report.trace}")
    print("\n".join(report.problems) or "no violation")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
