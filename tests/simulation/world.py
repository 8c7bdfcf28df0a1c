"""A simulated cluster: two groups of blob servers, two apis, and one clock. Everything but wires and disks is real."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from sos.decisions.health import Health
from sos.decisions.topology import Group, Server, Topology
from sos.http.client import Client
from sos.http.front import Front
from sos.http.origins import Origin
from sos.remote_replica import RemoteReplica
from sos.service import PROBE_EVERY, REPAIR_EVERY
from sos.services.timer import RoundTimer
from sos.store.name_set import NameSet
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.copying import Round
from sos.usecases.deletes import Deletes
from sos.usecases.downloads import Downloads
from sos.usecases.read_repair import ReadRepair
from sos.usecases.replication import Replication, SilentReporter
from sos.usecases.sweep import Sweep
from sos.usecases.uploads import Uploads
from sos.web.blobs import blob_server_root
from sos.web.download import download_root
from sos.web.guards import ClusterGuard
from sos.web.upload import upload_root
from sos.words.versions import HybridClock
from tests.simulation.disks import LONGEST_SWEEP, Disk, SimStore
from tests.simulation.network import Network
from tests.simulation.time import SimClock
from tests.support import immediately

NOW = 1_700_000_000.0
GROUPS = {"one": ("a", "b", "c"), "two": ("d", "e")}
APIS = ("p", "q")
MOST_UPLOAD = 16 * 1024 * 1024
CHUNK_SIZE = 70_000
UPLOAD_MEMORY = 8 * CHUNK_SIZE
ROUND_EVERY = 5.0
"""Seconds between rounds: so short that several fall within a run."""

SWEEP_EVERY = 7.0


class MemberHost:
    """A blob server and its disk."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.disk = Disk(f"store-{name}")
        self.skew = 0.0
        self.store: SimStore | None = None
        self.away_until = 0.0
        """Nobody can start the process before."""
        self._world = world

    def wall(self) -> float:
        """Give what this host takes for unix seconds."""
        return NOW + self._world.clock.seconds() + self.skew

    def start(self) -> None:
        """Start the process, as soon as it can be."""
        if self.store is not None:
            return
        world = self._world
        away = self.away_until - world.clock.seconds()
        if away > 0:
            world.clock.callLater(away, self.start)
            return
        self.store = SimStore(self.disk, HybridClock(self.wall, self.disk.highest), world.clock, world.chance)
        root = blob_server_root(self.store, ClusterGuard(None), self.wall, "1.0")
        host = world.network.host(self.name)
        host.factory, host.is_powered = Front(root, world.clock, self.wall), True

    def kill(self, *, says_so: bool = True) -> None:
        """End the process at this very moment; without a word where its power goes with it."""
        if self.store is not None:
            self.store.die()
            self.store = None
            self._world.network.kill(self.name, says_so=says_so)


class ApiHost:
    """An api: its two ports are two hosts of the network, ``p`` and ``p-down``, and its client speaks from the first."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.skew = 0.0
        self.is_running = False
        self._world = world
        self._timers: list[RoundTimer] = []

    def wall(self) -> float:
        """Give what this host takes for unix seconds."""
        return NOW + self._world.clock.seconds() + self.skew

    def start(self) -> None:
        """Start the process."""
        if self.is_running:
            return
        self.is_running = True
        world = self._world
        self.client = Client(lambda origin: self._endpoint(origin), world.clock)
        health = Health(world.chance.random)
        versions = HybridClock(self.wall)
        self.cluster = Cluster(world.topology, self._store_for, health, world.clock, world.chance.shuffle, versions)
        copies = Copies(self.cluster, world.clock, world.min_copies)
        deletes = Deletes(self.cluster, copies.needed_in, world.clock)
        uploads = upload_root(Uploads(copies, hashlib.sha1, MOST_UPLOAD, CHUNK_SIZE, UPLOAD_MEMORY), self.wall, deletes)
        self.replication = Replication(self.cluster, SilentReporter())
        self.sweep = Sweep(self.cluster, copies.needed_in, lambda: NameSet(immediately), longest=LONGEST_SWEEP)
        repair = ReadRepair(self.cluster, world.clock.seconds)
        downloads = download_root(Downloads(self.cluster, copies.needed_in, world.clock, repair.look_into), self.wall)
        self._timers = [
            RoundTimer("health", PROBE_EVERY, self.cluster.probe, world.clock),
            RoundTimer("replication", ROUND_EVERY, self.replication.round, world.clock),
            RoundTimer("read-repair", REPAIR_EVERY, repair.round, world.clock),
            RoundTimer("sweep", SWEEP_EVERY, self.sweep.run, world.clock),
        ]
        for name, root in ((self.name, uploads), (f"{self.name}-down", downloads)):
            host = world.network.host(name)
            host.factory, host.is_powered = Front(root, world.clock, self.wall), True
        for timer in self._timers:
            timer.startService()

    def kill(self) -> None:
        """End the process; what its code would still do reaches nobody."""
        if not self.is_running:
            return
        self.is_running = False
        network = self._world.network
        fronts = [network.host(name).factory for name in (self.name, f"{self.name}-down")]
        for name in (self.name, f"{self.name}-down"):
            network.kill(name)
            network.host(name).is_powered = False
        for timer in self._timers:
            timer.stopService()
        for front in fronts:
            assert isinstance(front, Front)
            front.drop()
        self.client.close()

    def _endpoint(self, origin: Origin) -> IStreamClientEndpoint:
        return self._world.network.endpoint(self.name, origin.host)

    def _store_for(self, server: Server) -> RemoteReplica:
        cluster = lambda: self.cluster  # noqa: E731 - it is made a moment later
        return RemoteReplica(self.client, server.url, hear=lambda *said: cluster().heard(server, *said))


class World:
    """All of it, made from a seed."""

    def __init__(self, chance: Random, min_copies: int | None) -> None:
        self.clock = SimClock()
        self.chance = chance
        self.min_copies = min_copies
        self.network = Network(self.clock, chance)
        self.topology = Topology(
            tuple(
                Group(name, tuple(Server(f"http://{member}:3001") for member in members)) for name, members in GROUPS.items()
            )
        )
        self.members = {name: MemberHost(self, name) for members in GROUPS.values() for name in members}
        self.apis = {name: ApiHost(self, name) for name in APIS}
        for member in self.members.values():
            member.start()
        for api in self.apis.values():
            api.start()

    def run_until(self, happened: Callable[[], bool], limit: float) -> bool:
        """Let events happen one after the other until something has happened; no longer than `limit` seconds."""
        deadline = self.clock.seconds() + limit
        while not happened():
            left = deadline - self.clock.seconds()
            if self.clock.until_next() > left:
                self.clock.advance(max(0.0, left))
                return happened()
            self.clock.advance(self.clock.until_next())
        return True

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds)

    def result_of(self, waiting: Deferred[Any], limit: float = 300.0) -> Any:
        """Let time pass until a Deferred has fired; give its result."""
        results: list[Any] = []
        waiting.addBoth(results.append)
        assert self.run_until(lambda: bool(results), limit), f"nothing within {limit:g} s"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def heal(self) -> None:
        """End all faults, and start whatever does not run."""
        self.network.heal()
        for member in self.members.values():
            if member.disk.is_read_only or member.disk.is_failing:
                member.kill()  # a store that latched is well again after a restart on a sound disk
            member.disk.heal()
            member.start()
        for api in self.apis.values():
            api.start()

    def replicate(self, name: str = "p") -> Round:
        """Run a round, to its end."""
        outcome: Round = self.result_of(Deferred.fromCoroutine(self.apis[name].replication.round()))
        return outcome

    def stores(self, group: str) -> Sequence[SimStore]:
        """Give the stores of a group, all of which run."""
        stores = [self.members[name].store for name in GROUPS[group]]
        return [store for store in stores if store is not None]

    def end(self) -> None:
        """End everything."""
        for api in self.apis.values():
            api.kill()
        for member in self.members.values():
            member.kill()
