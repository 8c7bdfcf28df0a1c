"""Load by wrk: GETs over kept connections, as fast as the server gives answers."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

from attrs import frozen

from benchmarks.figures import Wrong
from benchmarks.machine import LOAD_CORE, on_core

_NEVER = "600s"
"""wrk counts whole seconds; a signal ends it after any time, and it reports what it did until then."""

_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_TOTAL = re.compile(r"^\s+(\d+) requests in ([\d.]+)(us|ms|s|m|h), ([\d.]+)([KMGT]?B) read$", re.MULTILINE)
_MEDIAN = re.compile(r"^\s+50%\s+([\d.]+)(us|ms|s|m|h)$", re.MULTILINE)
_TROUBLE = re.compile(r"^\s+(Socket errors: .*|Non-2xx or 3xx responses: \d+)$", re.MULTILINE)


@frozen
class Report:
    """What wrk says at its end."""

    requests: int
    seconds: float
    bytes_read: float
    median_seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def parsed(output: str, body_size: int) -> Report:
    """Read wrk's report. Raises `Wrong` where an answer was an error, a connection failed, or bodies were missing."""
    if trouble := _TROUBLE.search(output):
        raise Wrong(f"wrk says: {trouble[1]}.")
    total = _TOTAL.search(output)
    median = _MEDIAN.search(output)
    if total is None or median is None:
        raise Wrong(f"wrk says nothing that can be read: {output[-300:]!r}.")
    requests, bytes_read = int(total[1]), float(total[4]) * _SIZES[total[5]]
    if not requests:
        raise Wrong("wrk had no answer at all.")
    # wrk rounds what it read to two places, which of 1.00 GB is half a percent
    if bytes_read < requests * body_size * 0.99:
        raise Wrong(f"wrk read {bytes_read:.0f} bytes in {requests} answers: bodies of {body_size} bytes cannot be in them.")
    return Report(requests, float(total[2]) * _TIMES[total[3]], bytes_read, float(median[1]) * _TIMES[median[2]])


def load(url: str, body_size: int, seconds: float, connections: int = 16, script: Path | None = None) -> Report:
    """Ask for a URL over and over, from the core that is not the servers'."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{_NEVER}", "--latency", *(["-s", str(script)] if script else []), url]
    with on_core(LOAD_CORE):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    return parsed(output, body_size)


def script_of(paths: list[str], directory: Path) -> Path:
    """Write a script by which wrk asks for many paths in turn; the requests are made once, before the load begins."""
    script = directory / "paths.lua"
    listed = ",\n".join(f'"{path}"' for path in paths)
    script.write_text(
        f"local paths = {{{listed}}}\n"
        "local requests, at = {}, 0\n"
        "function init(args)\n"
        "  for i, path in ipairs(paths) do requests[i] = wrk.format('GET', path) end\n"
        "end\n"
        "function request()\n"
        "  at = at % #requests + 1\n"
        "  return requests[at]\n"
        "end\n"
    )
    return script
