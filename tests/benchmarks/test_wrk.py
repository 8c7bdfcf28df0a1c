"""What wrk says, and what must not be believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import Wrong
from benchmarks.wrk import parsed, script_of

GOOD = """Running 10m test @ http://127.0.0.1:8080/blob/a
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.23ms    2.00ms  30.00ms   90.00%
    Req/Sec    10.00k     1.00k   12.00k    70.00%
  Latency Distribution
     50%  780.00us
     75%    1.50ms
     90%    2.50ms
     99%    9.00ms
  10000 requests in 500.00ms, 41.00MB read
Requests/sec:  20000.00
Transfer/sec:     82.00MB
"""


def test_the_report_is_read() -> None:
    """The rate is counted from the requests and the time that wrk really took."""
    report = parsed(GOOD, 4096)
    assert (report.requests, report.seconds, report.rate) == (10_000, 0.5, 20_000.0)
    assert report.median_seconds == pytest.approx(780e-6)


@pytest.mark.parametrize(
    ("unit", "seconds"), [("1.25s", 1.25), ("1.50m", 90.0), ("900.00us", 0.0009), ("2.00ms", 0.002), ("1.00h", 3600.0)]
)
def test_times_have_units(unit: str, seconds: float) -> None:
    """The program changes them as it sees fit."""
    assert parsed(GOOD.replace("780.00us", unit), 4096).median_seconds == pytest.approx(seconds)
    assert parsed(GOOD.replace("500.00ms", unit), 4096).seconds == pytest.approx(seconds)


def test_answers_that_are_errors_do_not_count() -> None:
    """A server that answers 404 quickly has served nothing."""
    with pytest.raises(Wrong, match="Non-2xx or 3xx responses: 7"):
        parsed(GOOD.replace("Requests/sec", "  Non-2xx or 3xx responses: 7\nRequests/sec"), 4096)


def test_broken_connections_do_not_count() -> None:
    """A server that drops connections looks faster than it is."""
    with pytest.raises(Wrong, match="read 3"):
        parsed(GOOD.replace("Requests/sec", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec"), 4096)


def test_answers_without_bodies_do_not_count() -> None:
    """10,000 bodies of 8 KiB cannot be in 41 MB."""
    with pytest.raises(Wrong, match="bodies of 8192 bytes"):
        parsed(GOOD, 8192)


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused\n"])
def test_a_report_that_is_none_does_not_count(output: str) -> None:
    """What wrk said instead is in the sentence."""
    with pytest.raises(Wrong, match="nothing that can be read"):
        parsed(output, 4096)


def test_no_answer_at_all_is_no_rate() -> None:
    """Nothing by some time would be a rate of 0, and nothing was wrong with it."""
    with pytest.raises(Wrong, match="no answer"):
        parsed(GOOD.replace("10000 requests", "0 requests"), 4096)


def test_a_script_names_all_paths(tmp_path: Path) -> None:
    """Each once, in their order."""
    script = script_of(["/blob/a", "/blob/b"], tmp_path).read_text()
    assert script.startswith('local paths = {"/blob/a",\n"/blob/b"}\n')
