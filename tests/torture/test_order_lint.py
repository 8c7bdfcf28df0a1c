"""Torture D1: the order of the system calls behind each acknowledgement, and the lint that checks it tried on bad ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes.failing_disk import held_by_strace
from tests.torture.ledger import Ledger
from tests.torture.order_lint import SHOWN, TRACED, violations_of
from tests.torture.quick_server import serving
from tests.torture.scale import ORDERED_UPLOADS, times
from tests.torture.tally import Tally
from tests.torture.writers import Client

CLIENTS = 16
SIZES = (8, 100, 4096, 30_000, 65_536, 65_537, 300_000, 500_000)

_WAL = "</s/sos.db-wal>"
_PEER = "<TCP:[127.0.0.1:1->127.0.0.1:2]>"

LARGE = f"""
1 recvfrom(9{_PEER}, "POST /blob/n000001x HTTP/1.1\\r\\nContent-Length: 70000\\r\\n\\r\\n"..., 65536, 0, NULL, NULL) = 65536
2 write(7</s/staging/5>, "N0000"..., 65536) = 65536
2 write(7</s/staging/5>, "N0000"..., 4464) = 4464
2 fsync(7</s/staging/5>) = 0
2 mkdirat(4</s>, "blobs/ab", 0700) = 0
2 fsync(8</s/blobs>) = 0
2 mkdirat(4</s>, "blobs/ab/cd", 0700) = 0
2 fsync(8</s/blobs/ab>) = 0
2 renameat(4</s>, "staging/5", 4</s>, "blobs/ab/cd/n000001x.5") = 0
2 fsync(7</s/blobs/ab/cd> <unfinished ...>
1 write(3<pipe:[1]>, "x", 1) = 1
2 <... fsync resumed>) = 0
3 pwrite64(5{_WAL}, "\\r\\0n000001x\\0", 4096, 56) = 4096
3 fdatasync(5{_WAL}) = 0
1 sendto(9{_PEER}, "HTTP/1.1 200 OK\\r\\n"..., 99, 0, NULL, 0) = 99
1 recvfrom(9{_PEER}, "DELETE /blob/n000001x HTTP/1.1\\r\\n\\r\\n", 65536, 0, NULL, NULL) = 80
3 pwrite64(5{_WAL}, "\\r\\0n000001x\\0", 4096, 56) = 4096
3 fdatasync(5{_WAL}) = 0
1 sendto(9{_PEER}, "HTTP/1.1 204 No Content\\r\\n"..., 99, 0, NULL, 0) = 99
3 unlinkat(4</s>, "blobs/ab/cd/n000001x.5", 0) = 0
"""
SMALL = f"""
1 recvfrom(9{_PEER}, "POST /blob/n000002x HTTP/1.1\\r\\nContent-Length: 5\\r\\n\\r\\n"..., 65536, 0, NULL, NULL) = 90
3 pwrite64(5{_WAL}, "\\r\\0n000002x\\0", 4096, 56) = 4096
3 pwrite64(5{_WAL}, "N000002XN000002X", 4096, 56) = 4096
3 fdatasync(5{_WAL}) = 0
1 sendto(9{_PEER}, "HTTP/1.1 200 OK\\r\\n"..., 99, 0, NULL, 0) = 99
"""


def without(trace: str, number: int) -> str:
    """Leave a line out."""
    lines = trace.splitlines()
    return "\n".join([*lines[:number], *lines[number + 1 :]])


def moved(trace: str, number: int, place: int) -> str:
    """Move a line to another place."""
    lines = trace.splitlines()
    line = lines.pop(number)
    return "\n".join([*lines[:place], line, *lines[place:]])


@pytest.mark.parametrize(("trace", "acks"), [(LARGE, 2), (SMALL, 1), (LARGE + SMALL, 3)])
def test_a_trace_in_order_has_no_violation(trace: str, acks: int) -> None:
    """All that was acknowledged was durable."""
    assert violations_of(trace.splitlines()) == (acks, [])


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        (moved(LARGE, 3, 5), "no fsync of the file between"),
        (without(LARGE, 4), "no fsync of the file between"),
        (
            LARGE.replace("fsync(7</s/staging/5>) = 0", "fsync(7</s/staging/5>) = -1 EIO (Input/output error)"),
            "no fsync of the",
        ),
        (moved(LARGE, 3, 10), "before it had its bytes"),
        (without(LARGE, 6), "the directory ab durable"),
        (without(LARGE, 8), "the directory cd durable"),
        (moved(LARGE, 9, 11), "no fsync of the directory began after"),
        (without(LARGE, 9), "before the file had its name"),
        (moved(LARGE, 13, 10), "before the name of the file was durable"),
        (moved(LARGE, 13, 11), "before the name of the file was durable"),
        (without(LARGE, 14), "before the row was durable"),
        (moved(LARGE, 14, 13), "before the row was durable"),
        (moved(LARGE, 15, 14), "before the row was durable"),
        (moved(LARGE, 19, 18), "DELETE n000001x: answered before the row was durable"),
        (moved(LARGE, 20, 18), "unlinked before the tombstone"),
        (without(SMALL, 3), "the bytes are not in the log"),
        (moved(SMALL, 5, 4), "before the row was durable"),
    ],
)
def test_a_trace_out_of_order_is_found(trace: str, fault: str) -> None:
    """Each line that is missing or in the wrong place is an answer too early."""
    _, violations = violations_of(trace.splitlines())
    assert [violation for violation in violations if fault in violation], violations


def act(port: int, ledger: Ledger, numbers: range) -> None:
    """Upload, as a client or as a replicator, again with other metadata, and delete: each fourth."""
    client = Client(port, ledger)
    for number in numbers:
        name = f"n{number:06}x"
        size = SIZES[number // CLIENTS % len(SIZES)]
        payload = (name.upper() * (size // len(name) + 1))[:size].encode("ascii")
        statuses = [client.upload(name, payload, "one", client.newer() if number % 3 == 0 else None)]
        if number % 4 == 1:
            statuses.append(client.upload(name, payload, "two", client.newer()))
        if number % 4 == 2:
            statuses.append(client.delete(name, client.newer()))
        assert set(statuses) <= {200, 204}
    client.close()


def lint(tally: Tally, directory: Path, uploads: int) -> None:
    """Watch a server under sixteen clients, and check the order of all that it did."""
    ledger = Ledger()
    trace = directory / "trace"
    with serving(directory / "store") as server:
        options = ["-yy", "-s", str(SHOWN), "-o", str(trace), "-e", f"trace={TRACED}"]
        port = server.port
        with held_by_strace(server, *options), ThreadPoolExecutor(CLIENTS) as threads:
            tasks = [threads.submit(act, port, ledger, range(start, uploads, CLIENTS)) for start in range(CLIENTS)]
            for task in tasks:
                task.result()
    with trace.open(encoding="ascii", errors="replace") as lines:
        acks, violations = violations_of(lines)
    tally.cases += acks
    tally.violations += violations
    tally.expect(acks == ledger.acks, f"{ledger.acks} were acknowledged, and {acks} are in the trace")
    trace.unlink()


@pytest.mark.slow
def test_nothing_is_acknowledged_before_it_is_durable(tmp_path: Path, tallies: list[Tally]) -> None:
    """Two hundred uploads of mixed sizes, sixteen at once, copies from a replicator, and deletes."""
    take(tallies, tmp_path, [200])


@pytest.mark.torture
def test_nothing_is_acknowledged_before_it_is_durable_however_often(tmp_path: Path, tallies: list[Tally]) -> None:
    """The same, ten times."""
    take(tallies, tmp_path, [times(ORDERED_UPLOADS) // 10] * 10)


def take(tallies: list[Tally], directory: Path, runs: list[int]) -> None:
    """Enter the row into the table; nothing may be violated."""
    tally = Tally("D1 order of the system calls")
    for number, uploads in enumerate(runs):
        (directory / str(number)).mkdir()
        lint(tally, directory / str(number), uploads)
    tallies.append(tally)
    assert not tally.violations[:10]
