"""The good client: asks one thing over and over on one connection, and writes how long it took. A process of its own."""

from __future__ import annotations

import socket
import sys
import time


def times_of(port: int, path: str, seconds: float) -> list[float]:
    """Ask for a path for so many seconds; give the time that each answer took."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode("ascii")
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            connection.sendall(request)
            answer = connection.recv(65_536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"it got {answer[:80]!r}")
            times.append(time.monotonic() - began)
            time.sleep(0.002)
    return times


def percentile(times: list[float], share: float) -> float:
    """Give the time that this share of the answers did not pass."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


if __name__ == "__main__":
    taken = times_of(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
    sys.stdout.write(f"{percentile(taken, 0.5)} {percentile(taken, 0.99)} {len(taken)}\n")
