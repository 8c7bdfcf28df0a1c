"""Large uploads and the memory of the api (torture F41, H53)."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.processes.harness import Household, Process, ask
from tests.support_payloads import blocks
from tests.torture.measures import memory_of
from tests.torture.tally import Tally

MIB = 1024 * 1024
LARGE = 100_000_000
MANY = 64
SMALL = 10_000
MOST_MEMORY = 450 * MIB
"""Resident memory of an api with ``--upload-memory`` 256 MiB, while all of it is in use."""

CHUNK = 4 * MIB


class Watch:
    """The most memory that a process was seen to have."""

    def __init__(self, process: Process) -> None:
        """Begin with what it has now."""
        self.before = self.most = memory_of(process.pid)
        self._pid = process.pid
        self._is_over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.02):
            self.most = max(self.most, memory_of(self._pid))


def send(port: int, size: int, seed: int) -> tuple[int, str, str]:
    """Upload an object, and give the status, its ID, and what that has to be."""
    digest = hashlib.sha1()
    with socket.create_connection(("127.0.0.1", port), timeout=600) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
        for block in blocks(size, seed):
            digest.update(block)
            client.sendall(block)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body).get("id", ""), digest.hexdigest()


def crowd(house: Household) -> Tally:
    """F41: 64 uploads of 100 MB, and 10,000 small ones among them, all succeed in the memory that there is."""
    tally = Tally("F41 64 x 100 MB and 10,000 small uploads")
    api = house.api_server(house.blob_server("large").port("blobs"))
    port, watch = api.port("uploads"), Watch(api)
    with watch.watching(), ThreadPoolExecutor(MANY + 16) as threads:
        large = [threads.submit(send, port, LARGE, seed) for seed in range(MANY)]
        small = [threads.submit(ask, "POST", port, "/upload", b"small %d" % number) for number in range(SMALL)]
        for sending in large:
            status, name, expected = sending.result()
            tally.expect((status, name) == (200, expected), f"a large one: {status} {name}")
        for asking in small:
            answer = asking.result()
            tally.expect(answer.status == 200, f"a small one: {answer.status} {answer.body!r}")
    tally.note(f"the api had {watch.before >> 20} MiB and came to {watch.most >> 20} MiB")
    tally.expect(watch.most < MOST_MEMORY, f"it came to {watch.most >> 20} MiB")
    tally.expect("Traceback" not in api.output, api.output)
    return tally


def one(house: Household) -> Tally:
    """H53: 200 MB take three chunks of the api's memory, and 16 MiB of a blob server's."""
    tally = Tally("H53 an upload of 200 MB")
    member = house.blob_server("one")
    api = house.api_server(member.port("blobs"))
    send(api.port("uploads"), 3 * CHUNK, 1)  # what is taken once and kept is no matter of this
    watches = {api: Watch(api), member: Watch(member)}
    with watches[api].watching(), watches[member].watching():
        status, name, expected = send(api.port("uploads"), 200_000_000, 2)
    tally.expect((status, name) == (200, expected), f"it answered {status}")
    for process, most in ((api, 3 * CHUNK), (member, 16 * MIB)):
        grown = watches[process].most - watches[process].before
        tally.note(f"{grown / MIB:+.1f} MiB")
        tally.expect(grown <= most, f"it grew by {grown / MIB:.1f} MiB")
    return tally
