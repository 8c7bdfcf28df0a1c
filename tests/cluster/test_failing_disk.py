"""Torture F12: a member whose disk fails under load, as a whole or in one file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.cluster.conftest import Builder
from tests.cluster.town import Town, id_of
from tests.cluster.visitor import Answer, Visitor
from tests.store.faults import Bench, database_error
from tests.support import success_of

PAYLOADS = [b"%d" % number * size for number in range(3) for size in (10, 100_000)]
LARGE = PAYLOADS[1]
IO_ERROR = 10
"""SQLITE_IOERR."""


class Disks:
    """A town whose members have disks that can be made to fail."""

    def __init__(self, build: Builder, directory: Path) -> None:
        self.benches = {name: Bench(directory / name) for name in "abc"}
        self.stores: list[ILocalReplica] = []
        self.town: Town = build(store_for=self._opened)
        assert {self.town.stored(payload) for payload in PAYLOADS} == {3}

    def _opened(self, name: str, clock: HybridClock) -> ILocalReplica:
        self.stores.append(self.benches[name].open())
        return self.stores[-1]

    def direct(self, name: str, payload: bytes) -> Answer:
        """Ask one member for some bytes."""
        visitor = Visitor("GET", f"/blob/{id_of(payload)}", {}, None)
        return self.town.answer_to(self.town._visit(self.town.members[name].front, visitor))

    def is_read_only(self, name: str) -> bool:
        """Whether a member has said that it takes no more writes."""
        return self.town.members[name].store.status().is_read_only

    def restart(self, name: str) -> None:
        """Start a member again, on a sound disk."""
        line = self.town.members[name].line
        success_of(self.town.members[name].store.close())
        fresh = self.town.add_member(name)
        line.server, fresh.line = fresh.front, line
        line.heal()
        self.town.pass_time(40)

    def check_all(self, *payloads: bytes) -> None:
        """A round makes all members hold all of it; nothing is left in staging."""
        running = self.town.api.replicate()
        self.town.seconds_until(lambda: running.called)
        assert success_of(running).is_complete
        assert {self.town.holders(payload) for payload in [*PAYLOADS, *payloads]} == {"abc"}
        assert [file for bench in self.benches.values() for file in bench.files("staging")] == []

    def close(self) -> None:
        """Close the stores."""
        for store in self.stores:
            success_of(store.close())


@pytest.fixture
def disks(build: Builder, tmp_path: Path) -> Iterator[Disks]:
    """Give the town."""
    made = Disks(build, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["sync", "sync_directory", "write", "COMMIT", "read-only"])
def test_a_disk_that_takes_nothing_more_costs_a_copy_and_no_read(disks: Disks, fault: str) -> None:
    """It is read-only until it is started again and acknowledges nothing; all is served; then a round heals it."""
    fs = disks.benches["a"].fs
    if fault == "COMMIT":
        fs.statements["COMMIT"] = database_error(IO_ERROR, "disk I/O error")
    elif fault == "read-only":
        fs.failing |= dict.fromkeys(("create", "write", "rename", "sync"), errno.EROFS)
    else:
        fs.failing[fault] = errno.EIO
    fresh = [payload + b"new" for payload in PAYLOADS]
    for payload in fresh[::-1]:
        visitors = [disks.town.upload(payload), disks.town.upload(payload, {"X-Colour": "red"})]
        assert {disks.town.answer_to(visitor).json["copies"] for visitor in visitors} <= {2, 3}
        assert {disks.town.fetched(known) for known in [*PAYLOADS, payload]} == {200}
    assert disks.is_read_only("a")
    fs.failing.clear()
    fs.statements.clear()
    assert disks.town.upload(b"more").answer.json["copies"] == 2  # the disk says that all is well, and is not believed
    assert "a" not in disks.town.holders(b"more")
    assert disks.direct("a", LARGE).body == LARGE
    assert disks.town.fetched(b"unknown") == 404
    disks.restart("a")
    assert disks.town.stored(b"last") == 3
    disks.check_all(*fresh, b"more", b"last")


def test_a_file_that_cannot_be_read_is_503_here_and_served_by_others(disks: Disks) -> None:
    """Never 404; the disk is not written to any more. Started again on a sound one, the member is whole."""
    (bad,) = [path for path in disks.benches["a"].files("blobs") if path.name.startswith(id_of(LARGE))]
    disks.benches["a"].fs.bad.add(str(bad.relative_to(disks.benches["a"].path)))
    for _ in range(3):
        answer = disks.direct("a", LARGE)
        assert (answer.status, b"disk fails" in answer.body) == (503, True)
        assert disks.town.fetched(LARGE) == 200
    assert disks.is_read_only("a")
    assert disks.town.upload(b"more").answer.json["copies"] == 2
    assert {disks.town.fetched(payload) for payload in PAYLOADS} == {200}
    bad.unlink()
    disks.restart("a")
    assert disks.direct("a", LARGE).status == 503  # its disk was changed for one without that file
    disks.check_all(b"more")


def test_when_all_members_have_lost_a_file_it_is_503_and_not_404(disks: Disks) -> None:
    """The object is known, and is not gone for good."""
    for bench in disks.benches.values():
        (bad,) = [path for path in bench.files("blobs") if path.name.startswith(id_of(LARGE))]
        bench.fs.bad.add(str(bad.relative_to(bench.path)))
    assert disks.town.fetched(LARGE) == 503
    assert disks.town.fetched(PAYLOADS[0]) == 200
    assert disks.town.upload(b"more").answer.status == 503
