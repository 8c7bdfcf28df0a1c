"""A town: blob servers in groups, apis before them, one network and one clock. Everything but the sockets is real."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock

from sos.decisions.health import Health
from sos.decisions.topology import Group, Server, Topology
from sos.http.client import Client
from sos.http.front import Front
from sos.http.origins import Origin
from sos.remote_replica import RemoteReplica
from sos.service import PROBE_EVERY, REPAIR_EVERY
from sos.services.timer import RoundTimer
from sos.store.memory import MemoryStore
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.copying import Round
from sos.usecases.deletes import Deletes
from sos.usecases.downloads import Downloads
from sos.usecases.read_repair import ReadRepair
from sos.usecases.replication import Replication, SilentReporter
from sos.usecases.uploads import Uploads
from sos.web.blobs import blob_server_root
from sos.web.download import download_root
from sos.web.guards import ClusterGuard
from sos.web.upload import upload_root
from sos.words.blob import BlobID, Entry
from sos.words.interfaces import ILocalReplica
from sos.words.versions import HybridClock
from tests.cluster.lines import ADDRESS, Line
from tests.cluster.visitor import Answer, Visitor
from tests.support import success_of
from tests.support_wire import Network

NOW = 1_700_000_000.0
STEP = 0.05
"""Seconds that the clock moves at a time: what is set off by one deadline sets its own from there."""

MOST_UPLOAD = 64 * 1024 * 1024
"""Bytes of an upload, and of a chunk: what is large here is one blob, of which much is under way when something happens."""
LONGEST_WAIT = 300.0
"""Seconds on the clock after which an answer that has not come fails its test."""

Groups = Mapping[str, Sequence[str]]
StoreFor = Callable[[str, HybridClock], ILocalReplica]


def id_of(payload: bytes) -> BlobID:
    """Give the ID of an object."""
    return BlobID(hashlib.sha1(payload).hexdigest())


def server(name: str) -> Server:
    """Name a member."""
    return Server(f"http://{name}:3001")


def topology_of(groups: Groups, weights: Mapping[str, int] = {}) -> Topology:
    """Make a topology of groups, each with the names of its members."""
    named = ((name, tuple(map(server, members))) for name, members in groups.items())
    return Topology(tuple(Group(name, members, weights.get(name, 1)) for name, members in named))


class Member:
    """A blob server, and the line to it."""

    def __init__(self, name: str, store: ILocalReplica, network: Network, clock: Clock, wall: Callable[[], float]) -> None:
        self.server = server(name)
        self.store = store
        self.front = Front(blob_server_root(store, ClusterGuard(None), wall, "1.0"), clock, wall)
        self.line = Line(network, self.front)

    def entry_of(self, payload: bytes) -> Entry | None:
        """Give what it holds under the ID of some bytes, None where it holds nothing. What it holds must be those bytes."""
        if id_of(payload) not in success_of(self.store.enumerate()):
            return None
        entry = success_of(self.store.stat(id_of(payload)))
        assert entry.sha256 == hashlib.sha256(payload).digest()
        return entry


class Api:
    """An api of its own: no state but what it has heard of the members."""

    def __init__(self, town: Town, topology: Topology, min_copies: int | None) -> None:
        self.client = Client(town.connect, town.clock)
        self.cluster = Cluster(
            topology, self._store_for, Health(lambda: 0.5), town.clock, lambda servers: None, HybridClock(town.wall)
        )
        copies = Copies(self.cluster, town.clock, min_copies)
        deletes = Deletes(self.cluster, copies.needed_in, town.clock)
        uploads = upload_root(Uploads(copies, hashlib.sha1, MOST_UPLOAD, MOST_UPLOAD), town.wall, deletes)
        self._clock = town.clock
        self._read_repair = ReadRepair(self.cluster, town.clock.seconds)
        downloads = Downloads(self.cluster, copies.needed_in, town.clock, self._read_repair.look_into)
        self.uploads = Front(uploads, town.clock, town.wall)
        self.downloads = Front(download_root(downloads, town.wall), town.clock, town.wall)
        self._timers: list[RoundTimer] = []
        self._repeat("health", PROBE_EVERY, self.cluster.probe)

    def begin_read_repair(self) -> None:
        """Repair what downloads find missing; until then most tests want to see what is missing."""
        self._repeat("read-repair", REPAIR_EVERY, self._read_repair.round)

    def _repeat(self, name: str, every: float, round_: Callable[[], Awaitable[object]]) -> None:
        self._timers.append(RoundTimer(name, every, round_, self._clock))
        self._timers[-1].startService()

    def _store_for(self, wanted: Server) -> RemoteReplica:
        return RemoteReplica(self.client, wanted.url, hear=lambda *said: self.cluster.heard(wanted, *said))

    def replicate(self) -> Deferred[Round]:
        """Begin a round."""
        return Deferred.fromCoroutine(Replication(self.cluster, SilentReporter()).round())

    def end(self) -> None:
        """Stop, as a whole."""
        for timer in self._timers:
            success_of(timer.stopService())
        self.uploads.drop()
        self.downloads.drop()
        success_of(self.client.close())


class Town:
    """A cluster in memory."""

    def __init__(self, min_copies: int | None = None, store_for: StoreFor | None = None, **groups: Sequence[str]) -> None:
        """Build groups, each with the names of its members, of one letter; a group ``one`` of a, b and c unless told."""
        self.clock = Clock()
        self.network = Network()
        self.members: dict[str, Member] = {}
        self._store_for = store_for or (lambda name, clock: MemoryStore(f"store-{name}", clock))
        self._min_copies = min_copies
        groups = groups or {"one": "abc"}
        for name in "".join(map("".join, groups.values())):
            self.add_member(name)
        self.apis: list[Api] = []
        self.api = self.add_api(topology_of(groups))

    def wall(self) -> float:
        """Give unix seconds."""
        return NOW + self.clock.seconds()

    def connect(self, origin: Origin) -> IStreamClientEndpoint:
        """Give the line to a member."""
        return self.members[origin.host].line

    def add_member(self, name: str) -> Member:
        """Build a blob server; no api knows of it yet."""
        self.members[name] = Member(name, self._store_for(name, HybridClock(self.wall)), self.network, self.clock, self.wall)
        return self.members[name]

    def add_api(self, topology: Topology) -> Api:
        """Build another api, which has asked all members for their clocks."""
        api = Api(self, topology, self._min_copies)
        self.apis.append(api)
        success_of(api.cluster.greeted())
        for member in self.members.values():
            member.line.heal()  # what it opened for that is no part of any test
        return api

    def lines(self, names: str) -> list[Line]:
        """Give the lines to some members."""
        return [self.members[name].line for name in names]

    # What clients do

    def upload(self, payload: bytes, headers: Mapping[str, str] = {}, api: Api | None = None) -> Visitor:
        """Begin an upload."""
        return self._visit((api or self.api).uploads, Visitor("POST", "/upload", headers, payload))

    def fetch(self, payload: bytes, method: str = "GET", headers: Mapping[str, str] = {}, api: Api | None = None) -> Visitor:
        """Begin a fetch of the object with these bytes."""
        return self._visit((api or self.api).downloads, Visitor(method, f"/fetch/{id_of(payload)}", headers, None))

    def delete(self, payload: bytes, api: Api | None = None) -> Visitor:
        """Begin the delete of the object with these bytes."""
        return self._visit((api or self.api).uploads, Visitor("DELETE", f"/upload/{id_of(payload)}", {}, None))

    def _visit(self, front: IProtocolFactory, visitor: Visitor) -> Visitor:
        channel = front.buildProtocol(ADDRESS)
        assert channel is not None
        self.network.join(visitor, channel)
        self.network.pump()
        return visitor

    def answer_to(self, visitor: Visitor) -> Answer:
        """Let time pass until an answer is there."""
        self.seconds_until(lambda: visitor.is_over)
        return visitor.answer

    def seconds_until(self, happened: Callable[[], bool]) -> float:
        """Let time pass until something has happened, and say how long that took."""
        before = self.clock.seconds()
        while not happened():
            assert self.clock.seconds() < before + LONGEST_WAIT, f"it has not happened within {LONGEST_WAIT} s"
            self.clock.advance(STEP)
        return self.clock.seconds() - before

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        until = self.clock.seconds() + seconds
        self.seconds_until(lambda: self.clock.seconds() >= until)

    def stored(self, payload: bytes) -> int:
        """Upload, and give the number of copies; the upload must go well at once."""
        answer = self.upload(payload).answer
        assert (answer.status, answer.json["id"]) == (200, id_of(payload))
        return int(answer.json["copies"])

    def fetched(self, payload: bytes) -> int:
        """Fetch to the end, and give the status; a 200 must have the bytes."""
        answer = self.answer_to(self.fetch(payload))
        assert answer.status != 200 or (answer.is_whole and answer.body == payload)
        return answer.status

    # What must hold

    def strays(self) -> str:
        """Give the names of the members that hold strays."""
        return "".join(name for name, member in self.members.items() if member.store.status().strays)

    def holders(self, payload: bytes) -> str:
        """Give the names of the members that hold some bytes. No member may list anything partial."""
        return "".join(name for name, member in self.members.items() if member.entry_of(payload) is not None)

    def entries(self, payload: bytes) -> set[Entry]:
        """Give the different entries that members hold under the ID of some bytes: one, where they agree."""
        return {entry for member in self.members.values() if (entry := member.entry_of(payload)) is not None}

    def end(self) -> None:
        """End everything; nothing may be left on the clock, and no connection at any server."""
        for member in self.members.values():
            member.line.heal()
        for api in self.apis:
            api.end()
            assert (api.uploads.connections, api.downloads.connections) == (0, 0)
        for member in self.members.values():
            assert member.front.connections == 0
        assert self.clock.getDelayedCalls() == []
