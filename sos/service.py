"""Where the parts become a service: the options of each role, and what they start. Everything else is handed its peers.

A service is a `Stack`: stores at the bottom, then timers, ports on top; it is built when it starts.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.web.resource import Resource

from sos.decisions.health import Health
from sos.decisions.topology import Server, Topology
from sos.http.client import Client
from sos.http.front import Front
from sos.http.limits import Limits
from sos.http.origins import tcp_connector
from sos.options import Options, ReplicateOptions, installed_version
from sos.remote_replica import RemoteReplica
from sos.services.descriptors import connections_within, limit_raised_for
from sos.services.disk import DiskService
from sos.services.heap import keep_freed_memory, look_less_for_cycles
from sos.services.inherited import inherited_endpoint
from sos.services.listener import ListeningService
from sos.services.reload import Reload
from sos.services.shared_port import SharedPort
from sos.services.stack import Stack
from sos.services.steady_time import go_by_steady_time
from sos.services.threads import Threads, take_short_turns
from sos.services.timer import RoundTimer
from sos.services.worker_process import WorkerProcess
from sos.services.worker_program import WorkerProgram
from sos.services.workers import Workers
from sos.settings import (
    DOWNLOAD_DESCRIPTOR,
    MOST_OBJECT,
    UPLOAD_DESCRIPTOR,
    AllSettings,
    ApiSettings,
    BlobSettings,
    ListenAddress,
    StoreSettings,
)
from sos.store.name_set import NameSet
from sos.usecases.cluster import Cluster
from sos.usecases.copies import Copies
from sos.usecases.copying import Round
from sos.usecases.deletes import Deletes
from sos.usecases.downloads import Downloads
from sos.usecases.read_repair import ReadRepair
from sos.usecases.replication import Replication, SilentReporter
from sos.usecases.suspects import tell_nobody
from sos.usecases.sweep import Sweep, SweepReport
from sos.usecases.uploads import Uploads
from sos.web.blobs import blob_server_root
from sos.web.download import CACHE_CONTROL, CACHE_CONTROL_WITH_DELETES, download_root
from sos.web.guards import ClusterGuard
from sos.web.upload import upload_root
from sos.words.blob import BlobID
from sos.words.errors import SOSError
from sos.words.interfaces import IBlobStore, IRoundReporter
from sos.words.versions import HybridClock

DIGESTING = 2
"""Threads of an api that hash what is downloaded: with one, a large chunk would keep all others waiting."""

REAP_EVERY = 3600.0
"""Seconds between rounds of the reaper: it tidies up what expired a day ago, so nobody waits for it."""

FIRST_SWEEP = 3600.0
"""Seconds before the first sweep of an api: one that is started again and again should not sweep each time."""

SCRUB_EVERY = 1.0
"""Seconds between looks at whether a pass of the scrub is due, or was asked for; within one it keeps its own pace."""

PROBE_EVERY = 1.0
"""Seconds between looks at which resting members are due to be probed."""

REPAIR_EVERY = 1.0
"""Seconds between looks at what downloads found missing: what many of them find within one is one repair."""

T = TypeVar("T")

_log = Logger()


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make the service of a role. Nothing is opened before it starts: twistd forks in between."""
    if reactor is None:
        from twisted.internet import reactor
    go_by_steady_time(reactor)
    look_less_for_cycles()
    take_short_turns()
    settings = options.settings
    if isinstance(settings, BlobSettings):
        return Daemon(lambda: _blob_server(settings, reactor))
    if isinstance(settings, AllSettings):
        return Daemon(lambda: _all_in_one(settings, reactor))
    if settings.workers > 1:
        return Daemon(lambda: _api_of_workers(settings, options, reactor))
    return Daemon(lambda: _api_server(settings, options, reactor))


async def replicate_once(options: ReplicateOptions, reporter: IRoundReporter, reactor: Any) -> Round:
    """Run one round of replication over the servers that the options name."""
    go_by_steady_time(reactor)
    client = Client(tcp_connector(reactor), reactor)
    cluster = remote_cluster(options.topology, client, options.cluster_key, reactor)
    try:
        return await Replication(cluster, reporter).round()
    finally:
        await client.close()


async def sweep_once(
    options: ReplicateOptions, min_copies: int | None, ignored: Collection[BlobID], is_rehearsal: bool, reactor: Any
) -> SweepReport:
    """Sweep once over the servers that the options name; `min_copies` is that of their apis, None for the usual."""
    client = Client(tcp_connector(reactor), reactor)
    cluster = remote_cluster(options.topology, client, options.cluster_key, reactor)
    needed_in = Copies(cluster, reactor, min_copies).needed_in
    try:
        return await Sweep(cluster, needed_in, lambda: NameSet(_at_once)).run(ignored, is_rehearsal)
    finally:
        await client.close()


class Daemon(Stack):
    """A whole service of sos: what it cannot start with ends the process with one sentence and exit status 1."""

    def privilegedStartService(self) -> None:
        """Build and prepare all parts. Raises `SystemExit` with the sentence: twistd would print a traceback."""
        try:
            super().privilegedStartService()
        except SOSError as error:
            raise SystemExit(f"sos: {error}") from None


def _blob_server(settings: BlobSettings, reactor: Any) -> Iterator[IService]:
    for warning in settings.warnings:
        _log.warn("{warning}", warning=warning)
    disk = disk_service(settings.path, settings.stores, reactor, settings.adopt)
    yield disk
    yield _reaper(disk, reactor)
    yield _scrub(disk, reactor)
    root = blob_server_root(disk.store, ClusterGuard(settings.cluster_key), time.time, installed_version())
    yield _port("blobs", settings.listen, root, MOST_OBJECT, reactor)


def _api_server(settings: ApiSettings, options: Options, reactor: Any) -> Iterator[IService]:
    client = Client(tcp_connector(reactor), reactor)
    cluster = remote_cluster(settings.topology, client, settings.cluster_key, reactor)
    yield RoundTimer("health", PROBE_EVERY, cluster.probe, reactor)
    yield Reload(lambda: cluster.change(options.read_topology()), reactor)
    yield from _api(settings, cluster, reactor)


def _api_of_workers(settings: ApiSettings, options: Options, reactor: Any) -> Iterator[IService]:
    """Give the parent of an api's workers. It lets go of the ports first, so that the last worker's end closes them."""
    ports = {
        UPLOAD_DESCRIPTOR: _shared_port("uploads", settings.upload, reactor),
        DOWNLOAD_DESCRIPTOR: _shared_port("downloads", settings.download, reactor),
    }
    program = WorkerProgram(options.arguments, options.directory)

    def spawn(number: int, process: WorkerProcess) -> None:
        program.spawn(reactor, number, process, {theirs: port.descriptor for theirs, port in ports.items()})

    workers = Workers(settings.workers, spawn, reactor, random.random)

    def reload() -> None:
        options.read_topology()  # a mistake in it is named once, and no worker hears of it
        workers.reload()

    yield Reload(reload, reactor)
    yield workers
    yield from ports.values()


def _all_in_one(settings: AllSettings, reactor: Any) -> Iterator[IService]:
    disks = {server: disk_service(path, settings.stores, reactor) for server, path in settings.path_of.items()}
    yield from disks.values()
    yield from [timer(disk, reactor) for disk in disks.values() for timer in (_reaper, _scrub)]
    cluster = cluster_of(settings.api.topology, lambda server: disks[server].store, reactor)
    yield from _api(settings.api, cluster, reactor)


def _api(settings: ApiSettings, cluster: Cluster, reactor: Any) -> Iterable[IService]:
    """Give what an api consists of: replication, and its two ports."""
    if settings.has_timers and settings.replicate_every:
        replication = Replication(cluster, SilentReporter())
        yield RoundTimer("replication", settings.replicate_every, replication.round, reactor)
    read_repair = ReadRepair(cluster, reactor.seconds)
    if settings.replicate_every:  # in every worker: each has readers of its own
        yield RoundTimer("read-repair", REPAIR_EVERY, read_repair.round, reactor)
    copies = Copies(cluster, reactor, settings.min_copies)
    if settings.has_timers and settings.sweep_every:
        reading = Threads(reactor, 1, "sweeping")
        yield reading
        sweep = Sweep(cluster, copies.needed_in, lambda: NameSet(reading))
        yield RoundTimer("sweep", settings.sweep_every, sweep.run, reactor, min(settings.sweep_every, FIRST_SWEEP))
    deletes = Deletes(cluster, copies.needed_in, reactor) if settings.allow_delete else None
    uploads = Uploads(
        copies,
        lambda: hashlib.new(settings.hash_name),
        settings.max_object,
        settings.chunk_size,
        settings.upload_memory,
    )
    yield _port("uploads", settings.upload, upload_root(uploads, time.time, deletes), settings.max_object, reactor)
    usual = CACHE_CONTROL_WITH_DELETES if settings.allow_delete else CACHE_CONTROL
    cache_control = usual if settings.cache_control is None else settings.cache_control
    keep_freed_memory()
    digesting = Threads(reactor, DIGESTING, "digests")
    yield digesting
    missed = read_repair.look_into if settings.replicate_every else tell_nobody
    downloads = Downloads(cluster, copies.needed_in, reactor, missed, digesting, settings.download_memory)
    root = download_root(downloads, time.time, cache_control)
    yield _port("downloads", settings.download, root, settings.max_object, reactor)


async def _at_once(call: Callable[..., T], *arguments: Any) -> T:
    """Run a call here and now: a command that does nothing else has nobody to keep waiting."""
    return call(*arguments)


def disk_service(path: Path, settings: StoreSettings, reactor: Any, adopt: str | None = None) -> DiskService:
    """Make the service that has the store in a directory; `adopt` names the group that it is to be a member of."""
    return DiskService(
        path,
        reserve=settings.reserve,
        must_exist=settings.must_exist,
        tombstone_age=settings.tombstone_age,
        sweep_age=settings.sweep_age,
        adopt=adopt,
        scrub_rate=settings.scrub_rate,
        wall=time.time,
        reactor=reactor,
    )


def _reaper(disk: DiskService, reactor: Any) -> RoundTimer:
    return RoundTimer("reaper", REAP_EVERY, disk.reap, reactor)


def _scrub(disk: DiskService, reactor: Any) -> RoundTimer:
    return RoundTimer("scrub", SCRUB_EVERY, disk.scrub, reactor)


def _port(what: str, address: ListenAddress, root: Resource, most: int, reactor: Any) -> ListeningService:
    """Serve a tree of resources; no body on this port has more than `most` bytes."""
    usual = Limits().connections
    connections = connections_within(limit_raised_for(usual), usual)
    front = Front(root, reactor, time.time, Limits(most_body=most, connections=connections))
    if address.inherited_as is not None:
        endpoint = inherited_endpoint(reactor, address.endpoint, address.inherited_as)
        return ListeningService(what, address.address, endpoint, front, reactor, is_shared=True)
    return ListeningService(what, address.address, serverFromString(reactor, address.endpoint), front, reactor)


def _shared_port(what: str, address: ListenAddress, reactor: Any) -> SharedPort:
    return SharedPort(what, address.address, serverFromString(reactor, address.endpoint))


def remote_cluster(topology: Topology, client: Client, cluster_key: bytes | None, reactor: Any) -> Cluster:
    """Make a cluster of blob servers, each at the far end of a connection."""

    def store_for(server: Server) -> IBlobStore:
        return RemoteReplica(client, server.url, cluster_key, lambda *said: cluster.heard(server, *said))

    cluster = cluster_of(topology, store_for, reactor)
    return cluster


def cluster_of(topology: Topology, store_for: Callable[[Server], IBlobStore], reactor: Any) -> Cluster:
    """Make a cluster of stores, wherever they are."""
    return Cluster(topology, store_for, Health(random.random), reactor, random.shuffle, HybridClock(time.time))
