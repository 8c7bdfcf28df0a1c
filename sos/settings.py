"""Settings: what the options of each role come to, checked and typed, for whoever makes the services."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from attrs import evolve, field, frozen
from twisted.internet.endpoints import quoteStringArgument

from sos.decisions.sizes import KIB, MIB, TIB
from sos.decisions.topology import Server, Topology
from sos.store.room import Reserve

BLOB_PORT = 3001
UPLOAD_PORT = 9991
DOWNLOAD_PORT = 9992
LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # the api is what the outside world talks to; blob servers keep to the loopback

BACKLOG = 1024
"""Connections that wait to be accepted: with Twisted's usual 50 a burst of clients waits a second for its next try."""

DEFAULT_ROUND = 60.0
"""Seconds between rounds of replication (design, section 6)."""

TOMBSTONE_AGE = 7 * 86_400.0
"""Seconds: a member that was away for longer than a week is set apart (design, section 6)."""

MOST_OBJECT = TIB
"""Bytes of one object unless told (design, section 2)."""

CHUNK_SIZE = 4 * MIB
UPLOAD_MEMORY = 256 * MIB
"""Bytes of a chunk, and of all uploads of a process that are in memory, unless told (design, section 7)."""

SMALLEST_CHUNK = 64 * KIB
"""Bytes of the smallest chunk that may be asked for: what is smaller lives in a database, and is better whole."""

CHUNKS_IN_MEMORY = 4
"""Chunks that the memory of uploads has room for at least: two are always there for the oldest uploads."""

DOWNLOAD_MEMORY = 128 * MIB
"""Bytes that a process holds for clients that download (design, section 7)."""

LEAST_MEMORY = 16 * MIB
"""The least that can be allowed: two chunks, and what is read ahead of them."""

SWEEP_AGE = 7 * 86_400.0
"""Seconds for which a chunk that no manifest names is kept (design, section 7)."""

DEFAULT_SWEEP = 86_400.0
"""Seconds between sweeps: garbage has time, and a sweep reads all manifests (design, section 7)."""

MOST_WORKERS = 64
"""Processes of one api: more than there are cores in most machines, few enough that a typing mistake starts no thousand."""

UPLOAD_DESCRIPTOR = 3
DOWNLOAD_DESCRIPTOR = 4
"""The sockets that a worker inherits: the first numbers behind the standard ones, as service managers have it."""

WITH_TIMERS = 1
"""The number of the worker that runs the timers."""

_CLOSED_ENDPOINT = re.compile(r"\A(?:unix|systemd):|:interface=(?:127\.|localhost|\\:\\:1(?:\Z|:))")
"""Endpoint strings that only this host can connect to, and sockets that the service manager opened as it was told."""


@frozen
class ListenAddress:
    """Where a port listens: a Twisted endpoint string, and how people are told of it."""

    endpoint: str
    address: str
    host: str | None = None
    """The interface, None where an endpoint string says it in its own way."""
    inherited_as: int | None = None
    """The descriptor of the socket, where the parent has opened it."""

    @classmethod
    def of_tcp(cls, host: str, port: int) -> ListenAddress:
        """Listen on a TCP port of one interface."""
        shown = f"[{host}]" if ":" in host else host
        return cls(f"tcp:{port}:interface={quoteStringArgument(host)}:backlog={BACKLOG}", f"http://{shown}:{port}", host)

    @classmethod
    def of_endpoint(cls, endpoint: str) -> ListenAddress:
        """Listen as a Twisted endpoint string says."""
        return cls(endpoint, endpoint)

    def url(self, path: str) -> str:
        """Give the URL of a path there; an endpoint that is more than a TCP port is shown as it was written."""
        return self.address if self.host is None else self.address + path

    @property
    def is_open(self) -> bool:
        """Whether other hosts can connect, as far as the options tell."""
        if self.host is None:
            return _CLOSED_ENDPOINT.search(self.endpoint) is None
        return not _is_loopback(self.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@frozen(kw_only=True)
class StoreSettings:
    """How the directories of stores are treated."""

    must_exist: bool = False
    reserve: Reserve = field(factory=Reserve)
    tombstone_age: float = TOMBSTONE_AGE
    """Seconds for which a deleted blob is remembered at least."""
    sweep_age: float = SWEEP_AGE
    """Seconds for which a chunk that no manifest names is kept at least."""
    scrub_rate: float | None = None
    """Bytes a second that the scrub reads, None for what is usual, 0 for no passes but those that are asked for."""


@frozen(kw_only=True)
class BlobSettings:
    """What a blob server needs to know."""

    path: Path
    listen: ListenAddress
    stores: StoreSettings = field(factory=StoreSettings)
    adopt: str | None = None
    """The group that the store is to be a member of, None where it stays what it is."""
    cluster_key: bytes | None = field(default=None, repr=False)
    verbose: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should hear when it starts."""
        if not self.listen.is_open or self.cluster_key is not None:
            return ()
        return (
            f"The blob server at {self.listen.address} has no cluster key: whoever can connect reads and adds blobs, and "
            "an api on another host is refused. Give --cluster-key-file to both.",
        )


@frozen(kw_only=True)
class ApiSettings:
    """What an api server needs to know; the topology is that of the start, `Options.read_topology` gives a newer one."""

    upload: ListenAddress
    download: ListenAddress
    topology: Topology
    replicate_every: float = DEFAULT_ROUND
    """Seconds between rounds of replication, 0 for none."""
    sweep_every: float = DEFAULT_SWEEP
    """Seconds between sweeps, 0 for none."""
    hash_name: str = "sha1"
    """The digest that makes an ID, by its name in `hashlib`."""
    max_object: int = MOST_OBJECT
    chunk_size: int = CHUNK_SIZE
    upload_memory: int = UPLOAD_MEMORY
    """Bytes of uploads in memory, at most, of each process."""
    download_memory: int = DOWNLOAD_MEMORY
    """Bytes that are held for clients that download, at most, of each process."""
    cache_control: bytes | None = None
    """The value of every download's ``Cache-Control``, None for the usual one."""
    min_copies: int | None = None
    """Durable copies that an acknowledgement needs, None for what is usual for each group."""
    allow_delete: bool = False
    """Whether the upload port takes deletes."""
    cluster_key: bytes | None = field(default=None, repr=False)
    verbose: bool = False
    workers: int = 1
    """Processes that share the ports; with 1 the service's own is the only one."""
    has_timers: bool = True
    """Whether rounds are run here: of several workers, one runs them."""

    def of_worker(self, number: int) -> ApiSettings:
        """Give what one of the workers needs to know."""
        return evolve(
            self,
            upload=evolve(self.upload, inherited_as=UPLOAD_DESCRIPTOR),
            download=evolve(self.download, inherited_as=DOWNLOAD_DESCRIPTOR),
            workers=1,
            has_timers=number == WITH_TIMERS,
        )


@frozen(kw_only=True)
class AllSettings:
    """What an api with stores of its own needs to know: the servers of its topology are those stores, in their order."""

    paths: tuple[Path, ...]
    api: ApiSettings
    stores: StoreSettings = field(factory=StoreSettings)

    @property
    def path_of(self) -> dict[Server, Path]:
        """The directory of each server of the topology."""
        return dict(zip(self.api.topology.servers, self.paths, strict=True))


Settings = BlobSettings | ApiSettings | AllSettings
"""What the options come to: each role has its own."""
