"""Torture D3, D6, F12: a real blob server whose disk fails, or is full; strace says so in the kernel's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle, product

import pytest

from tests.processes.failing_disk import failing, paths_of
from tests.processes.group import start_trio
from tests.processes.harness import Answer, Household, Process, ask

SMALL = b"hello"
LARGE = bytes(range(250)) * 1200
FIRST_STAGED = f"staging/{(1 << 32) + 1}"
"""The first file that the first opening of a store stages."""


class Server:
    """One blob server, on a store that may be opened again."""

    def __init__(self, house: Household) -> None:
        self.house = house
        self.store = house.directory / "data"
        self.process: Process
        self.start()

    def start(self) -> None:
        """Start it, again."""
        self.process = self.house.sos("blob-server", "-store", "data", "-port", "0", "--reserve=1M")
        self.process.port("blobs")

    def restart(self) -> None:
        """End it in an orderly way, and start it again."""
        self.process.end()
        self.start()

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Make one request."""
        return ask(method, self.process.port("blobs"), path, body)

    def put(self, name: str, payload: bytes) -> int:
        """Store a blob, and give the status."""
        return self.ask("POST", f"/blob/{name}", payload).status

    def get(self, name: str) -> tuple[int, bytes]:
        """Fetch a blob: status, and body."""
        answer = self.ask("GET", f"/blob/{name}")
        return answer.status, answer.body

    @property
    def is_read_only(self) -> bool:
        """What its status says."""
        return bool(json.loads(self.ask("GET", "/status").body)["read_only"])


@pytest.fixture
def server(house: Household) -> Server:
    """Start a blob server."""
    return Server(house)


@pytest.mark.slow
def test_a_failed_fsync_of_the_log_is_no_ack(server: Server) -> None:
    """503, and no write is taken before a restart, which heals: the next fsync would have said OK. Reads go on."""
    assert server.put("before", SMALL) == 200
    with failing(server.process, "fdatasync", "error=EIO:when=1", [server.store / "sos.db-wal"]):
        assert server.put("lost", SMALL) == 503
        assert server.put("next", SMALL) == 503
    assert server.is_read_only
    assert server.put("later", LARGE) == 503
    assert server.ask("DELETE", "/blob/before").status == 503
    assert server.get("before") == (200, SMALL)
    assert server.ask("GET", "/alive").status == 200
    server.process.when_it_says("takes no more writes")
    server.restart()
    assert not server.is_read_only
    assert server.get("lost") in ((200, SMALL), (404, server.get("lost")[1]))
    assert server.put("lost", SMALL) == 200
    assert server.get("before") == (200, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("payload", "calls", "error", "path"),
    [
        (SMALL, "pwrite64", "ENOSPC", "sos.db-wal"),
        (LARGE, "pwrite64", "ENOSPC", "sos.db-wal"),
        (LARGE, "write", "ENOSPC", FIRST_STAGED),
        (LARGE, "write", "EDQUOT", FIRST_STAGED),
    ],
)
def test_a_disk_that_is_full_for_a_while_is_507_for_a_while(
    server: Server, payload: bytes, calls: str, error: str, path: str
) -> None:
    """Nothing is left behind, what is there is served, and then it works again, without a restart."""
    assert server.put("before", SMALL) == 200
    with failing(server.process, calls, f"error={error}:when=1+", [server.store / path]):
        assert server.put("abc", payload) == 507
        assert server.get("before") == (200, SMALL)
    assert list((server.store / "staging").iterdir()) == []
    assert server.get("abc")[0] == 404
    assert server.put("abc", payload) == 200
    assert server.get("abc") == (200, payload)
    assert len(list((server.store / "blobs").rglob("abc.*"))) == (payload is LARGE)
    assert not server.is_read_only


@pytest.mark.slow
def test_a_quota_that_is_used_up_is_a_full_disk_for_the_database_as_well(server: Server) -> None:
    """SQLite calls it an I/O error; the store asks the disk itself."""
    assert server.put("before", SMALL) == 200
    paths = [server.store / "sos.db-wal", server.store / "staging" / "trial"]
    with failing(server.process, "pwrite64,write", "error=EDQUOT:when=1+", paths):
        assert server.put("abc", SMALL) == 507
    assert not server.is_read_only
    assert server.put("abc", SMALL) == 200


@pytest.mark.slow
def test_a_disk_that_is_gone_is_503_and_never_404(server: Server) -> None:
    """Torture D6: nothing is written any more; what SQLite still has in memory is right, all else is unavailable."""
    assert server.put("small", SMALL) == 200
    assert server.put("large", LARGE) == 200
    calls = "openat,read,pread64,write,pwrite64,fsync,fdatasync,fstatfs,sendfile"
    with failing(server.process, calls, "error=EIO:when=1+", paths_of(server.store)):
        assert server.get("large")[0] == 503
        assert server.get("small") in ((200, SMALL), (503, server.get("small")[1]))
        assert [server.put("abc", payload) for payload in (SMALL, LARGE)] == [503, 503]
        assert server.ask("DELETE", "/blob/small").status == 503
        assert server.is_read_only
        assert server.ask("GET", "/alive").status == 200
    server.restart()
    assert (server.get("small"), server.get("large")) == ((200, SMALL), (200, LARGE))
    assert server.put("abc", LARGE) == 200


@pytest.mark.torture
def test_another_member_serves_while_a_disk_is_gone(house: Household) -> None:
    """Torture F12: uploads have a copy less, nothing is lost, and a restart on a sound disk and a round make all equal."""
    trio = start_trio(house, "--reserve=1M")
    before = [b"%d" % number * 100_000 for number in range(6)]
    assert {trio.copies_of_upload(payload) for payload in before} == {3}
    calls = "openat,read,pread64,write,pwrite64,fsync,fdatasync,fstatfs,sendfile"
    paths = paths_of(house.directory / "data0")
    after = [b"after %d" % number * (1 + 20_000 * number) for number in range(6)]
    with failing(trio.members[0], calls, "error=EIO:when=1+", paths):
        assert {trio.copies_of_upload(payload) for payload in after} == {2}
        assert {trio.fetch(payload).status for payload in [*before, *after]} == {200}
        assert trio.replicate().end() == 1
    trio.restart(0)
    assert trio.replicate().end() == 0
    assert {tuple(trio.holders(payload)) for payload in [*before, *after]} == {(0, 1, 2)}
    assert trio.staged() == []


def faults() -> Iterator[tuple[str, str]]:
    """Give calls and what becomes of them: the first three of each, once and for good, the errnos by turns."""
    errors = cycle(("EIO", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENOMEM"))  # one fewer than calls
    calls = ("openat", "write", "pwrite64", "fsync", "fdatasync", "?rename,?renameat,?renameat2", "?unlink,unlinkat")
    for turn, more, call in product((1, 2, 3), ("", "+"), calls):
        yield call, f"error={next(errors)}:when={turn}{more}"


@pytest.mark.torture
def test_no_error_of_the_disk_makes_a_promise_that_is_not_kept(house: Household) -> None:
    """Torture D3: whatever call fails, what was acknowledged is there after a restart, and nothing staged."""
    server = Server(house)
    promised: dict[str, bytes] = {}
    for number, (calls, fault) in enumerate(faults()):
        with failing(server.process, calls, fault, paths_of(server.store)):
            for kind, payload in (("s", SMALL), ("l", LARGE), ("t", SMALL), ("m", LARGE)):
                name = f"{kind}{number}"
                status = server.put(name, payload)
                assert status in (200, 503, 507), (calls, fault)
                if status == 200:
                    promised[name] = payload
            status = server.ask("DELETE", f"/blob/s{number}").status
            assert status in (204, 404, 503, 507), (calls, fault)
            gone = promised.pop(f"s{number}", None)
            assert gone is None or status != 404, (calls, fault)
        server.restart()
        assert list((server.store / "staging").iterdir()) == []
        if status == 204:
            assert server.get(f"s{number}")[0] == 404
        recent = [name for name in promised if int(name[1:]) >= number - 3]
        for name in recent:
            assert server.get(name) == (200, promised[name]), (calls, fault)
    for name, payload in promised.items():
        assert server.get(name) == (200, payload)
