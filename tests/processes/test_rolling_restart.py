"""Torture F37: members are restarted one after the other under load, and then the api is."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import signal
import threading
from collections import Counter

import pytest

from tests.processes.group import Trio, id_of, start_trio
from tests.processes.harness import Household, ask

SIZES = (10, 5_000, 70_000, 400_000)
CLEAN = {"503"}
"""What an upload may be told while members come and go: to come again."""


class Load:
    """Clients that upload, fetch and look again until they are told to stop; they remember what was promised."""

    def __init__(self, trio: Trio, seed: int) -> None:
        """Make a few of each kind."""
        self.acknowledged: dict[str, bytes] = {}
        self.fetches: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self._trio = trio
        self._is_over = threading.Event()
        self._progress = threading.Condition()
        calls = [self._upload, self._upload, self._fetch, self._fetch]
        self._threads = [
            threading.Thread(target=call, args=(random.Random(seed * 10 + number),)) for number, call in enumerate(calls)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def when_there_are(self, more: int) -> None:
        """Wait for so many more fetches and uploads."""
        with self._progress:
            fetches, uploads = self.fetches.total() + more, self.uploads.total() + more
            assert self._progress.wait_for(lambda: self.fetches.total() >= fetches and self.uploads.total() >= uploads, 60)

    def _upload(self, chance: random.Random) -> None:
        port = self._trio.api.port("uploads")
        while not self._is_over.is_set():
            payload = chance.randbytes(chance.choice(SIZES))
            outcome = self._asked("POST", port, "/upload", payload)
            if outcome == "200":
                self.acknowledged[id_of(payload)] = payload
            self._count(self.uploads, outcome)

    def _fetch(self, chance: random.Random) -> None:
        port = self._trio.api.port("downloads")
        while not self._is_over.is_set():
            known = list(self.acknowledged.items())
            if known:
                name, payload = chance.choice(known)
                self._count(self.fetches, self._asked("GET", port, f"/fetch/{name}", None, payload))

    def _asked(self, method: str, port: int, path: str, body: bytes | None, expected: bytes | None = None) -> str:
        try:
            answer = ask(method, port, path, body)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        if expected is not None and answer.status == 200 and answer.body != expected:
            return "wrong bytes"
        return str(answer.status)

    def _count(self, counter: Counter[str], outcome: str) -> None:
        with self._progress:
            counter[outcome] += 1
            self._progress.notify_all()


def assert_all_is_there(trio: Trio, acknowledged: dict[str, bytes]) -> None:
    """Everything that was promised is fetched, and on two members at least."""
    listed = Counter(name for port in trio.ports for name in json.loads(ask("GET", port, "/blobs").body))
    for name, payload in acknowledged.items():
        assert hashlib.sha1(payload).hexdigest() == name
        assert trio.fetch(payload).status == 200
        assert listed[name] >= 2


@pytest.mark.parametrize("by", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.torture)])
def test_a_rolling_restart_of_the_members_fails_no_fetch(house: Household, by: int) -> None:
    """Each upload is acknowledged or told to come again; each fetch of what was acknowledged comes, all the time."""
    trio = start_trio(house)
    load = Load(trio, seed=by)
    load.start()
    try:
        load.when_there_are(10)
        for number in range(3):
            trio.restart(number, by=by)
            load.when_there_are(10)
    finally:
        load.stop()
    assert set(load.fetches) == {"200"}
    assert set(load.uploads) <= {"200"} | CLEAN
    assert load.uploads["200"] >= 20
    assert_all_is_there(trio, load.acknowledged)
    assert trio.replicate().end() == 0
    assert trio.staged() == []
    assert "Traceback" not in trio.api.output


def test_an_api_that_is_stopped_under_load_finishes_what_it_answers(house: Household) -> None:
    """SIGTERM: status 0, nothing acknowledged is lost; a client sees a whole answer or a connection that is refused."""
    trio = start_trio(house)
    load = Load(trio, seed=1)
    load.start()
    try:
        load.when_there_are(20)
        assert trio.api.end() == 0
    finally:
        load.stop()
    assert set(load.fetches) <= {"200", "ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected"}
    assert "wrong bytes" not in load.fetches
    assert "Traceback" not in trio.api.output
    trio.api = house.api_server(*trio.ports)
    assert_all_is_there(trio, load.acknowledged)
    assert trio.staged() == []
