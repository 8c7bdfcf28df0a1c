"""Torture D7, F11: a store on a disk of eight megabytes and few inodes, in a mount namespace of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.processes.harness import Answer, Household, Process, ask

pytestmark = pytest.mark.slow

LARGE = bytes(range(250)) * 800
SMALL = 60_000


class SmallDisk:
    """A blob server, and the disk that it has; `disk` is the way to it from outside."""

    def __init__(self, house: Household, options: str, reserve: str) -> None:
        mounted = house.directory / "disk"
        mounted.mkdir()
        where = ["-store", str(mounted / "data"), "-port", "0", f"--reserve={reserve}"]
        self.process: Process = house.sos_on_small_disk(mounted, options, "blob-server", *where)
        self.process.port("blobs")
        self.disk = Path(f"/proc/{self.process.pid}/root{mounted}")

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Make one request."""
        return ask(method, self.process.port("blobs"), path, body)

    def put(self, name: str, payload: bytes) -> int:
        """Store a blob, and give the status."""
        return self.ask("POST", f"/blob/{name}", payload).status

    def remove(self, name: str) -> int:
        """Remove a blob, and give the status."""
        return self.ask("DELETE", f"/blob/{name}").status

    def fill(self, payload: bytes) -> list[str]:
        """Store blobs until there is no more room, and give their names."""
        for number in count():
            status = self.put(f"n{number}", payload)
            if status != 200:
                assert status == 507
                return [f"n{earlier}" for earlier in range(number)]
        raise AssertionError

    @contextlib.contextmanager
    def filled_by_others(self) -> Iterator[None]:
        """Let somebody else take every byte that is left."""
        foreign = self.disk / "foreign"
        with foreign.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
        foreign.unlink()

    @property
    def is_read_only(self) -> bool:
        """What its status says."""
        return bool(json.loads(self.ask("GET", "/status").body)["read_only"])


@pytest.fixture(autouse=True)
def _namespaces(tmp_path: Path) -> None:
    """Skip where nobody may mount anything."""
    if shutil.which("unshare") is None:
        pytest.skip("SKIPPED: there is no unshare here, so no small disk can be made")
    trial = ["unshare", "-rm", "mount", "-t", "tmpfs", "sos", str(tmp_path)]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"SKIPPED: no small disk can be made here: {tried.stderr.strip()}")


@pytest.mark.parametrize("payload", [bytes(SMALL), LARGE])
def test_a_full_disk_takes_deletes_and_then_writes_again(house: Household, payload: bytes) -> None:
    """507 at the reserve; each delete makes room, even when others have taken the reserve as well."""
    small = SmallDisk(house, "size=8m,nr_inodes=400", "1M")
    names = small.fill(payload)
    assert len(names) * len(payload) > 4 * 10**6
    with small.filled_by_others():
        assert small.put("more", payload) == 507
        assert {small.remove(name) for name in names[:10]} == {204}
        assert small.ask("GET", f"/blob/{names[0]}").status == 404
    assert small.put("more", payload) == 200
    assert list((small.disk / "data" / "staging").iterdir()) == []
    assert len(list((small.disk / "data" / "blobs").rglob("*.*"))) == (len(names) - 9 if payload is LARGE else 0)
    for name in names[10:]:
        answer = small.ask("GET", f"/blob/{name}")
        assert (answer.status, answer.body) == (200, payload)
    assert not small.is_read_only


def test_a_commit_for_which_there_is_no_room_is_507(house: Household) -> None:
    """SQLite says that the database or disk is full: not for good, and what is there is served."""
    small = SmallDisk(house, "size=8m,nr_inodes=64", "0")
    assert small.put("before", b"hello") == 200
    assert small.put("gone", bytes(SMALL)) == 200
    assert small.remove("gone") == 204  # its pages are free, so a smaller one is let in
    with small.filled_by_others():
        full = small.ask("POST", "/blob/more", bytes(SMALL - 10_000))
        assert (full.status, json.loads(full.body)["error"]) == (507, "The store's disk is full.")
        assert "retry-after" in full.headers
        assert small.ask("GET", "/blob/more").status == 404
        assert small.ask("GET", "/blob/before").body == b"hello"
    assert small.remove("before") == 204
    assert small.put("after", bytes(SMALL)) == 200
    assert not small.is_read_only


def test_without_inodes_small_blobs_and_deletes_go_on(house: Household) -> None:
    """A larger blob needs one and gets 507; with inodes again it is taken."""
    small = SmallDisk(house, "size=8m,nr_inodes=200", "1M")
    assert small.put("large", LARGE) == 200
    for number in count():
        try:
            os.mknod(small.disk / f"foreign{number}")
        except OSError:
            break
    assert small.put("larger", LARGE) == 507
    assert small.put("small", b"hello") == 200
    assert [small.remove(name) for name in ("large", "small")] == [204, 204]
    for file in small.disk.glob("foreign*"):
        file.unlink()
    assert small.put("larger", LARGE) == 200
    assert not small.is_read_only
