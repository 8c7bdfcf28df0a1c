"""An estate: a group of three and a group of two blob servers and two apis, real processes, each on a host of its own.

The apis listen on unix sockets, which are files and reach across the namespaces of networks: clients are never part of a
fault, and need no address.
"""

from __future__ import annotations

import http.client
import json
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import TypeVar

from attrs import define, field, frozen

from sos.decisions.placement import order
from sos.decisions.topology import Group
from sos.words.blob import blob_id
from tests.processes.group import id_of
from tests.processes.harness import SOS, Answer, Household, Process
from tests.torture.hosts import Network

GROUPS = {"one": ("a", "b", "c"), "two": ("d", "e")}
MEMBERS = tuple(name for names in GROUPS.values() for name in names)
APIS = ("north", "south")
HOSTS = (*MEMBERS, *APIS)
PORT = 3001
"""Of each blob server: it has its host for itself."""

CLIENT_PATIENCE = 45.0
"""Seconds after which a client gives up: longer than any deadline of the cluster."""

PAUSE = threading.Event()
"""Never set: what is waited for has no other sign than an answer that changes."""

T = TypeVar("T")

_DIRECT = """
import http.client, json, sys
method, host, path, key = sys.argv[1:]
connection = http.client.HTTPConnection(host, 3001, timeout=30)
connection.request(method, path, headers={"Authorization": "Bearer " + key})
answer = connection.getresponse()
body = answer.read()
print(json.dumps([answer.status, body.decode("latin-1")]))
"""


class _Unix(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@frozen
class Doors:
    """The two sockets of an api."""

    uploads: Path
    downloads: Path


@define
class Estate:
    """All of it; whatever was killed can be started again."""

    house: Household
    network: Network
    key: str = field(factory=lambda: secrets.token_hex(16))
    processes: dict[str, Process] = field(factory=dict)
    started: list[Process] = field(factory=list)
    """All that ever ran on these hosts."""
    environment_of: dict[str, Mapping[str, str]] = field(factory=dict)
    """What the process on a host has in its environment."""

    def __attrs_post_init__(self) -> None:
        """Write the configuration and the key."""
        directory = self.house.directory
        sections = (
            "\n".join([f"[{group}]", *(f"-: {self.url(name)}" for name in names)]) for group, names in GROUPS.items()
        )
        (directory / "sos.conf").write_text("\n".join([*sections, ""]))
        (directory / "key").write_text(self.key)
        (directory / "key").chmod(0o600)
        for member in MEMBERS:
            self.disk(member).mkdir()

    def url(self, member: str) -> str:
        """Give the URL of a member."""
        return f"http://{self.network.hosts[member].address}:{PORT}"

    def store(self, member: str) -> Path:
        """Give the directory of a member's store, as its own host sees it."""
        return self.disk(member) / "store"

    def disk(self, member: str) -> Path:
        """Give the directory that stands for the disk of a member."""
        return self.house.directory / f"disk-{member}"

    def seen(self, member: str) -> Path:
        """Give that directory as it is seen from outside, where a disk may be mounted that is not."""
        return Path(f"/proc/{self.network.bridge.pid}/root{self.store(member)}")

    def doors(self, api: str) -> Doors:
        """Give the sockets of an api."""
        return Doors(self.house.directory / f"{api}-up", self.house.directory / f"{api}-down")

    # Processes

    def begin(self, *api_options: str) -> None:
        """Start everything, and wait until it listens."""
        for name in MEMBERS:
            self.start(name)
        for name in APIS:
            self.start(name, *api_options)
        self.when_it_serves(*HOSTS)

    def start(self, name: str, *options: str) -> None:
        """Start what belongs on a host. An api has short rounds unless told otherwise."""
        if name in MEMBERS:
            store, port = str(self.store(name)), str(PORT)
            host = self.network.hosts[name].address
            words = ["blob-server", "-store", store, "-host", host, "-port", port, "--reserve=1M", *options]
        else:
            doors = self.doors(name)
            listen = [f"--upload-listen=unix:{doors.uploads}", f"--download-listen=unix:{doors.downloads}"]
            words = ["api-server", "--config=sos.conf", *listen, "--allow-delete", "--replicate-every=2", *options]
        self.processes[name] = self._run(name, *words)
        self.started.append(self.processes[name])

    def _run(self, host: str, *words: str) -> Process:
        self.house.environment = dict(self.environment_of.get(host, {}))
        inside = self.network.hosts[host].inside(sys.executable, "-c", SOS, words[0], "--cluster-key-file=key", *words[1:])
        try:
            return self.house.other(*inside)
        finally:
            self.house.environment = {}

    def when_it_serves(self, *names: str) -> None:
        """Wait until these processes listen."""
        for name in names:
            self.processes[name].when_it_says("Listening for blobs" if name in MEMBERS else "Listening for downloads")

    def kill(self, name: str) -> None:
        """End a process by kill -9."""
        self.processes[name].end(signal.SIGKILL)

    def end(self) -> None:
        """End all processes politely, apis first; none may have failed."""
        for name in reversed(HOSTS):
            process = self.processes[name]
            assert process.end() == 0, f"{name}: {process.output}"

    def command(self, *words: str) -> Process:
        """Run a command on the first api's host, to its end."""
        ran = self._run(APIS[0], words[0], "--config=sos.conf", *words[1:])
        ran.when_it_ends()
        return ran

    # Requests

    def ask(
        self,
        method: str,
        api: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] = {},
        patience: float = CLIENT_PATIENCE,
    ) -> Answer:
        """Make one request of an api, on a connection of its own. Raises `OSError` and `http.client.HTTPException`."""
        doors = self.doors(api)
        connection = _Unix(doors.downloads if path.startswith("/fetch/") else doors.uploads, patience)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def upload(self, payload: bytes, api: str = APIS[0]) -> Answer:
        """Upload."""
        return self.ask("POST", api, "/upload", payload)

    def upload_in_pieces(self, pieces: Iterable[bytes], api: str = APIS[0]) -> Answer:
        """Upload what comes piece by piece, without saying how much it is."""
        return self.ask("POST", api, "/upload", pieces)

    def copies_of_upload(self, payload: bytes, api: str = APIS[0]) -> int:
        """Upload, which must go well, and give the number of copies."""
        answer = self.upload(payload, api)
        assert answer.status == 200, answer.body
        return int(json.loads(answer.body)["copies"])

    def fetch(self, payload: bytes, api: str = APIS[0]) -> int:
        """Fetch the object with these bytes, and give the status; a 200 must have them."""
        answer = self.ask("GET", api, f"/fetch/{id_of(payload)}")
        assert answer.status != 200 or answer.body == payload
        return answer.status

    def direct(self, method: str, member: str, path: str) -> tuple[int, bytes]:
        """Make one request of a member, from its own host."""
        host = self.network.hosts[member]
        asking = self.house.other(*host.inside(sys.executable, "-c", _DIRECT, method, host.address, path, self.key))
        assert asking.when_it_ends() == 0, asking.output
        status, body = json.loads(asking.lines[-1])
        return status, body.encode("latin-1")

    def payload_of(self, group: str, text: str) -> bytes:
        """Make a small object whose home is a group."""
        payloads = (f"{text} {number}".encode() for number in count())
        return next(payload for payload in payloads if home_of(payload) == group)

    def holds(self, member: str, payload: bytes) -> bool:
        """Whether a member gives the bytes."""
        return self.direct("GET", member, f"/blob/{id_of(payload)}") == (200, payload)

    def staged(self, member: str) -> list[str]:
        """Give what lies in a member's staging directory."""
        return [path.name for path in (self.seen(member) / "staging").iterdir()]

    # Peace

    def when_well(self) -> None:
        """Wait until both apis know that all members are well: an upload has as many copies as its group has members."""
        for api in APIS:
            for group, names in GROUPS.items():
                eventually(lambda api=api, group=group: self._copies_now(api, group), len(names))  # type: ignore[misc]

    def _copies_now(self, api: str, group: str) -> int:
        answer = self.upload(self.payload_of(group, secrets.token_hex(8)), api)
        return int(json.loads(answer.body)["copies"]) if answer.status == 200 else 0

    def disagreements(self) -> list[str]:
        """Run two rounds, and say in what the members of a group are still unequal after them (I11)."""
        self.command("replicate")
        second, verifying = self.command("replicate"), self.command("verify")
        return [ran.output for ran in (second, verifying) if ran.when_it_ends()]


def home_of(payload: bytes) -> str:
    """Give the group in which an object has its home."""
    groups = [Group(name, ()) for name in GROUPS]
    return order(blob_id(id_of(payload).encode("ascii")), groups)[0].name


def eventually(ask: Callable[[], T], wanted: T, seconds: float = 60.0) -> None:
    """Ask again and again, with a pause, until the answer is what is wanted."""
    given_up = time.monotonic() + seconds
    while (answer := ask()) != wanted:
        assert time.monotonic() < given_up, f"after {seconds:g} s it is still {answer!r}, and not {wanted!r}"
        PAUSE.wait(0.1)
