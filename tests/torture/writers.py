"""Clients of a blob server that is about to die: each writes into the ledger what it asks for, and what it was promised."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.processes.harness import PATIENCE
from tests.torture.ledger import TOMBSTONE, Ledger, live

LARGE = 300_000
"""Bytes of a blob that is staged in several writes."""


class ServerGone(Exception):
    """The connection broke, as it does when a server is killed."""


class Client:
    """One connection, one request at a time."""

    def __init__(self, port: int, ledger: Ledger) -> None:
        """Ask a port; write into a ledger."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._ledger = ledger

    def upload(self, name: str, payload: bytes, label: str = "", version: int | None = None) -> int:
        """Store a blob, as a client does, or with the version that a replicator brings. Raises `ServerGone`."""
        self._ledger.begin(name, live(payload, label))
        headers = {"X-Label": label, "X-Sos-Protocol": "1"} if label else {"X-Sos-Protocol": "1"}
        return self._ask("POST", name, payload, headers, version)

    def delete(self, name: str, version: int | None = None) -> int:
        """Delete a blob. Raises `ServerGone`."""
        self._ledger.begin(name, TOMBSTONE)
        return self._ask("DELETE", name, None, {"X-Sos-Protocol": "1"}, version)

    def fetch(self, name: str) -> tuple[int, bytes]:
        """Fetch a blob: status, and body. Raises `ServerGone`."""
        try:
            self._connection.request("GET", f"/blob/{name}")
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerGone from error

    def newer(self) -> int:
        """Make a version such as a replicator brings: newer than all that was heard of."""
        return max(self._ledger.newest, int(time.time() * 1000) << 16) + 1

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, name: str, payload: bytes | None, headers: dict[str, str], version: int | None) -> int:
        if version is not None:
            headers["X-Sos-Version"] = str(version)
        try:
            self._connection.request(method, f"/blob/{name}", payload, headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerGone from error
        if answer.status in (200, 204):
            self._ledger.acknowledge(name, int(answer.getheader("X-Sos-Version", version or 0)))
        return answer.status


def payload_of(name: str, size: int) -> bytes:
    """Give the bytes of an ID: cheap to make, and its own wherever they are cut."""
    return (name.encode("ascii") * (size // len(name) + 1))[:size]


def everything(client: Client, number: int) -> None:
    """Do whatever changes a store, once, one after the other; all IDs end in this number. Raises `ServerGone`."""
    small, large = (lambda name: payload_of(name, 3000)), (lambda name: payload_of(name, LARGE))
    sizes: list[tuple[str, Callable[[str], bytes]]] = [("s", small), ("l", large)]
    for letter, made in sizes:
        kept, brought, gone = (f"{letter}{what}{number}" for what in ("kept", "brought", "gone"))
        client.upload(kept, made(kept), "one")
        client.upload(brought, made(brought), "one", client.newer())
        client.upload(gone, made(gone), "one")
        client.upload(kept, made(kept), "two")
        client.delete(gone)
    for letter, made in sizes:
        again, brought = f"{letter}gone{number}", f"{letter}brought{number}"
        client.upload(again, made(again), "again")
        client.delete(brought, client.newer())


class Crowd:
    """Writers of new blobs of all sizes, and deleters of what was acknowledged, until the server is gone."""

    def __init__(self, port: int, ledger: Ledger, seed: int, writers: int, deleters: int, most: int) -> None:
        """Store blobs of up to `most` bytes at a port."""
        self._port = port
        self._ledger = ledger
        self._seed = seed
        self._most = most
        self._stored: list[str] = []
        self._lock = threading.Lock()
        self.refusals: list[int] = []
        self._threads = ThreadPoolExecutor(writers + deleters)
        self._tasks = [self._threads.submit(self._until_it_is_gone, self._write, number) for number in range(writers)]
        self._tasks += [
            self._threads.submit(self._until_it_is_gone, self._delete, -number) for number in range(1, deleters + 1)
        ]

    def join(self) -> None:
        """Wait for the end of all, once the server is gone."""
        for task in self._tasks:
            task.result(PATIENCE)
        self._threads.shutdown()

    def _until_it_is_gone(self, act: Callable[[Client, Random, str], int | None], number: int) -> None:
        chance = Random(f"{self._seed} {number}")
        client = Client(self._port, self._ledger)
        turn = 0
        with contextlib.suppress(ServerGone):
            while True:
                turn += 1
                status = act(client, chance, f"c{self._seed}w{number % 100}t{turn}x")
                if status not in (200, 204, None):
                    self.refusals.append(status)
                    break
        client.close()

    def _write(self, client: Client, chance: Random, name: str) -> int | None:
        size = chance.choice((0, 1, 4096, 65_536, 65_537, LARGE, chance.randrange(self._most + 1)))
        status = client.upload(name, payload_of(name, min(size, self._most)))
        with self._lock:
            self._stored.append(name)
        return status

    def _delete(self, client: Client, chance: Random, _: str) -> int | None:
        with self._lock:
            name = self._stored.pop(chance.randrange(len(self._stored))) if self._stored else None
        return client.fetch("nothing")[0] and None if name is None else client.delete(name)
