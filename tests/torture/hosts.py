"""Hosts behind a bridge, each a network namespace of this test's own, and what can be done to the ways between them.

A namespace lives as long as the process that holds it, a ``cat`` that ends with its standard input. So nothing is left
however a test ends, even one that is killed, and neither an interface nor an address of the machine itself is touched. It
is done in a user namespace, so that root is not needed.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import field, frozen

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
"""Where ``ip`` and ``nft`` are; an ordinary user's path may not say so."""

NEEDED = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "nft": "nftables"}
"""The programs, and the packages that they come with."""

_HOLD = ("sh", "-c", "echo held; exec cat")
_NETWORK = "10.77.0"


class NoNamespaces(Exception):
    """Nobody can make namespaces here; the text says why, for a skip."""


def _found(program: str) -> str:
    path = shutil.which(program, path=PATH)
    if path is None:
        raise NoNamespaces(f"there is no {program} here; install {NEEDED[program]}")
    return path


class _Held:
    """A process that holds a namespace open."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [*command, *_HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        if not self._process.stdout.readline():
            why = self._process.stderr.read().strip()
            self.end()
            raise NoNamespaces(f"no namespace can be made here: {why}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@frozen
class Host:
    """One host; `rules` are those of its packet filter, by what they are there for."""

    name: str
    number: int
    pid: int
    """Of the process that holds its namespace."""
    directory: Path
    rules: dict[object, str] = field(factory=dict)

    @property
    def address(self) -> str:
        """Its address."""
        return f"{_NETWORK}.{self.number}"

    @property
    def link(self) -> str:
        """The name of its end of the wire at the bridge."""
        return f"link{self.number}"

    def inside(self, *command: str) -> list[str]:
        """Give the command that runs another one on this host, in the directory of the test."""
        entered = ("--user", "--mount", "--net", "--preserve-credentials", f"--wd={self.directory}")
        return [_found("nsenter"), f"--target={self.pid}", *entered, "--", *command]

    def run(self, *command: str, fed: str | None = None) -> None:
        """Run a command on this host. Raises `NoNamespaces` with what it complains of."""
        words = self.inside(_found(command[0]), *command[1:])
        ran = subprocess.run(words, input=fed, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise NoNamespaces(f"{' '.join(command)} says: {ran.stderr.strip()}")

    def filter(self) -> None:
        """Let the packet filter do what the rules say, and nothing else."""
        chain = "\n".join(["type filter hook input priority 0", *self.rules.values()])
        table = f"table inet faults {{\nchain arriving {{\n{chain}\n}}\n}}\n"
        self.run("nft", "-f", "-", fed=f"table inet faults\ndelete table inet faults\n{table}")


class Network:
    """Some hosts and the bridge between them."""

    def __init__(self, names: Sequence[str], directory: Path) -> None:
        """Make the hosts. Raises `NoNamespaces` where that is not possible."""
        self._held: list[_Held] = []
        self.hosts: dict[str, Host] = {}
        try:
            for program in NEEDED:
                _found(program)
            self.bridge = Host("bridge", 0, self._hold(_found("unshare"), "-rmn"), directory)
            self.bridge.run("ip", "link", "add", "name", "bridge", "type", "bridge")
            self.bridge.run("ip", "link", "set", "bridge", "up")
            for number, name in enumerate(names, 1):
                self.hosts[name] = self._host(name, number)
        except NoNamespaces:
            self.end()
            raise

    def _hold(self, *command: str) -> int:
        self._held.append(_Held(*command))
        return self._held[-1].pid

    def _host(self, name: str, number: int) -> Host:
        bridge = self.bridge
        host = Host(name, number, self._hold(*bridge.inside(_found("unshare"), "-n")), bridge.directory)
        bridge.run("ip", "link", "add", "name", host.link, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        bridge.run("ip", "link", "set", host.link, "master", "bridge", "up")
        host.run("ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
        for name_of_link in ("eth0", "lo"):
            host.run("ip", "link", "set", name_of_link, "up")
        host.filter()
        return host

    def end(self) -> None:
        """Let go of all namespaces; the kernel removes what was in them."""
        while self._held:
            self._held.pop().end()

    # What can be done to the ways between them

    @contextlib.contextmanager
    def filtered(self, source: str, target: str, verdict: str) -> Iterator[None]:
        """Do something, such as ``drop``, to all packets that come from one host to another: in this direction only."""
        host, mark = self.hosts[target], object()
        host.rules[mark] = f"ip saddr {self.hosts[source].address} {verdict}"
        host.filter()
        try:
            yield
        finally:
            del host.rules[mark]
            host.filter()

    @contextlib.contextmanager
    def apart(self, one: str, other: str) -> Iterator[None]:
        """Drop all packets between two hosts."""
        with self.filtered(one, other, "drop"), self.filtered(other, one, "drop"):
            yield

    @contextlib.contextmanager
    def without_answers(self, server: str, *clients: str) -> Iterator[None]:
        """Give a host no way back to some others: what they send arrives, and no answer leaves it."""
        host = self.hosts[server]
        routes = [f"{self.hosts[client].address}/32" for client in clients]
        for route in routes:
            host.run("ip", "route", "add", "blackhole", route)
        try:
            yield
        finally:
            for route in routes:
                host.run("ip", "route", "del", "blackhole", route)

    @contextlib.contextmanager
    def unplugged(self, name: str) -> Iterator[None]:
        """Take the wire of a host from the bridge; at its own end everything looks as before."""
        host = self.hosts[name]
        self.bridge.run("ip", "link", "set", host.link, "nomaster")
        try:
            yield
        finally:
            self.bridge.run("ip", "link", "set", host.link, "master", "bridge")

    @contextlib.contextmanager
    def down(self, name: str) -> Iterator[None]:
        """Take the link of a host down; it notices."""
        host = self.hosts[name]
        self.bridge.run("ip", "link", "set", host.link, "down")
        try:
            yield
        finally:
            self.bridge.run("ip", "link", "set", host.link, "up")


@contextlib.contextmanager
def network_of(names: Sequence[str], directory: Path) -> Iterator[Network]:
    """Have a network for a while. Raises `NoNamespaces`."""
    network = Network(names, directory)
    try:
        yield network
    finally:
        network.end()
