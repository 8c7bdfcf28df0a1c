"""What the options of each role start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sos.options import Options
from sos.service import makeService
from sos.services.inherited import is_listening
from sos.services.stack import Stack
from sos.services.timer import RoundTimer
from tests.services.processes import FakeProcess


def service_of(reactor: MemoryReactorClock, *arguments: str) -> IService:
    """Make the service of a command line."""
    options = Options()
    options.parseOptions(list(arguments))
    service = makeService(options, reactor)
    verifyObject(IService, service)
    return service


def listening(reactor: MemoryReactorClock) -> list[tuple[str, int]]:
    """Give the interfaces and ports that are listened on."""
    return [(interface, port) for port, _, _, interface in reactor.tcpServers]


class ServiceTests(SynchronousTestCase):
    """Each role, on a reactor that only writes down what is asked of it."""

    def setUp(self) -> None:
        """Make the reactor."""
        self.reactor = MemoryReactorClock()

    def start(self, *arguments: str) -> IService:
        """Start a service and end it behind the test."""
        service = service_of(self.reactor, *arguments)
        self.assertEqual(listening(self.reactor), [], "nothing is opened before the start")
        service.privilegedStartService()
        service.startService()
        return service

    def test_an_api_listens_everywhere_on_its_two_ports(self) -> None:
        """Where the contract says, unless told otherwise; and its replication goes by the clock."""
        service = self.start("--role=api", "--blob-server=http://127.0.0.1:4001,http://127.0.0.1:4002")
        self.assertEqual(listening(self.reactor), [("0.0.0.0", 9991), ("0.0.0.0", 9992)])
        asked = {(host, port) for host, port, *_ in self.reactor.tcpClients}
        self.assertEqual(asked, {("127.0.0.1", 4001), ("127.0.0.1", 4002)}, "the first round comes at once")
        service.stopService()

    def test_an_api_without_a_timer_asks_nobody(self) -> None:
        """``--replicate-every=0``."""
        service = self.start("--role=api", "--blob-server=http://127.0.0.1:4001", "--replicate-every=0")
        self.assertEqual(self.reactor.tcpClients, [])
        self.successResultOf(service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_which_timers_an_api_has(self) -> None:
        """What readers find missing is brought where it is missing, unless nothing is to be replicated; sweeps are apart."""
        member = "--blob-server=http://127.0.0.1:4001"
        for more, expected in (
            ([], {"health", "replication", "read-repair", "sweep"}),
            (["--replicate-every=0"], {"health", "sweep"}),
            (["--sweep-every=0"], {"health", "replication", "read-repair"}),
        ):
            service = self.start("--role=api", member, *more)
            assert isinstance(service, Stack)
            timers = {part._name for part in service if isinstance(part, RoundTimer)}
            self.assertEqual(timers, expected)
            service.stopService()
            self.reactor = MemoryReactorClock()

    def test_endpoint_strings_say_where_to_listen(self) -> None:
        """Twisted's own strings, for what host and port cannot say."""
        self.start(
            "--role=api",
            "--blob-server=http://127.0.0.1:4001",
            "--replicate-every=0",
            "--upload-listen=tcp:8001:interface=127.0.0.2",
            "--download-listen=tcp:8002:interface=127.0.0.3",
        )
        self.assertEqual(listening(self.reactor), [("127.0.0.2", 8001), ("127.0.0.3", 8002)])


class Spawning(MemoryReactorClock):
    """A reactor that opens real ports, and writes down the processes that it is to start."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[tuple[FakeProcess, list[str], dict[int, Any]]] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Open a port."""
        opened: tcp.Port = tcp.Port(port, factory, backlog, interface, self)
        opened.startListening()
        return opened

    def spawnProcess(self, process: Any, executable: str, command: list[str], **more: Any) -> None:
        """Write it down."""
        self.spawned.append((FakeProcess(len(self.spawned), process), command, more["childFDs"]))


class WorkersTests(SynchronousTestCase):
    """An api of two workers, as its parent."""

    def setUp(self) -> None:
        """Start it."""
        self.reactor = Spawning()
        members = "--blob-server=http://127.0.0.1:4001,http://127.0.0.1:4002"
        ports = ["--api-host=127.0.0.1", "--upload-port=0", "--download-port=0"]
        self.service = service_of(self.reactor, "--role=api", members, "--workers=2", *ports)
        self.service.privilegedStartService()
        self.assertEqual(self.reactor.spawned, [], "root's rights are still there")
        self.service.startService()

    def stop(self) -> Deferred[None]:
        """Stop it; its workers do not end by themselves."""
        stopped: Deferred[None] | None = self.service.stopService()
        assert stopped is not None
        self.reactor.pump([0.0, 0.0, 0.0])
        return stopped

    def end_workers(self) -> None:
        """Let all workers end."""
        for process, _, _ in self.reactor.spawned:
            process.ends()

    def test_each_worker_inherits_both_ports(self) -> None:
        """The parent serves none of them, and asks no member for anything."""
        self.assertEqual([command[4] for _, command, _ in self.reactor.spawned], ["1", "2"])
        for _, _, descriptors in self.reactor.spawned:
            self.assertEqual(set(descriptors), {0, 1, 2, 3, 4})
            self.assertTrue(is_listening(descriptors[3]) and is_listening(descriptors[4]))
            self.assertNotEqual(descriptors[3], descriptors[4])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.tcpClients, [])
        self.stop()
        self.end_workers()

    def test_the_parent_lets_go_of_the_ports_before_the_workers_end(self) -> None:
        """So nobody connects to a port that nobody serves, once they have closed it."""
        descriptors = self.reactor.spawned[0][2]
        stopped = self.stop()
        self.assertFalse(is_listening(descriptors[3]) or is_listening(descriptors[4]))
        self.assertNoResult(stopped)
        self.end_workers()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


@pytest.mark.parametrize(
    ("arguments", "ports"),
    [
        (["--role=blob", "--store=one"], [("127.0.0.1", 3001)]),
        (["--role=blob", "--store=one", "--host=0.0.0.0", "--port=4001"], [("0.0.0.0", 4001)]),
        (["--role=all", "--store=one", "--store=two"], [("127.0.0.1", 9991), ("127.0.0.1", 9992)]),
    ],
)
def test_a_role_with_stores_opens_them_when_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], ports: list[tuple[str, int]]
) -> None:
    """Not before: twistd forks between making a service and starting it."""
    monkeypatch.chdir(tmp_path)
    reactor = MemoryReactorClock()
    service = service_of(reactor, *arguments)
    assert list(tmp_path.iterdir()) == []
    service.privilegedStartService()
    assert listening(reactor) == ports
    assert all((tmp_path / name / "store.json").is_file() for name in ("one", "two") if f"--store={name}" in arguments)


def test_what_cannot_start_ends_with_one_sentence(tmp_path: Path) -> None:
    """Twistd would print a traceback for anything but this."""
    (tmp_path / "letter.txt").write_text("Dear all")
    service = service_of(MemoryReactorClock(), "--role=blob", f"--store={tmp_path}")
    with pytest.raises(SystemExit, match=r"sos: .*letter\.txt"):
        service.privilegedStartService()


def test_twistd_finds_the_plugin() -> None:
    """Under the name that the README tells."""
    plugins: list[Any] = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "sos"]
    assert len(plugins) == 1
    assert plugins[0].options is Options
