"""The options of ``twistd sos``, of ``sos blob-server`` and of ``sos api-server``: one class for all of them.

Each value is checked where it is read, so what is wrong is said before anything starts, with the name of the option.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from twisted.python import usage

from sos.cluster_key import read_cluster_key
from sos.config_files import PERSONAL_FILE, SYSTEM_FILE, read_default, read_named
from sos.decisions.arguments import with_two_dashes
from sos.decisions.config import server_list
from sos.decisions.printouts import server_table
from sos.decisions.sizes import size_of, size_text
from sos.decisions.topology import Server, Topology
from sos.option_values import (
    can_be_shared,
    chunk_size_of,
    coerced,
    count_of,
    endpoint_of,
    group_of,
    header_value_of,
    host_of,
    memory_of,
    object_size_of,
    one_of,
    parameter,
    path_of,
    port_of,
    rate_of,
    reserve_of,
    seconds_of,
    worker_count_of,
)
from sos.settings import (
    BLOB_PORT,
    CHUNK_SIZE,
    CHUNKS_IN_MEMORY,
    DEFAULT_ROUND,
    DEFAULT_SWEEP,
    DOWNLOAD_MEMORY,
    DOWNLOAD_PORT,
    EVERYWHERE,
    LOOPBACK,
    MOST_OBJECT,
    SWEEP_AGE,
    TOMBSTONE_AGE,
    UPLOAD_MEMORY,
    UPLOAD_PORT,
    AllSettings,
    ApiSettings,
    BlobSettings,
    ListenAddress,
    Settings,
    StoreSettings,
)
from sos.store.room import Reserve
from sos.words.errors import BadConfig, SOSError

T = TypeVar("T")

ROLES = ("blob", "api", "all")
HASHES = ("sha1", "sha256")

_COMMON = frozenset({"role", "verbose"})
_STORE = frozenset({"store", "must-exist", "reserve", "tombstone-age", "sweep-age", "scrub-rate"})
_BLOB = frozenset({"host", "port", "listen", "adopt"})
_MEMBERS = frozenset({"blob-server", "config", "dump"})
_KEY = frozenset({"cluster-key-file"})
_PORTS = frozenset({"api-host", "upload-port", "download-port", "upload-listen", "download-listen"})
_UPLOADS = frozenset({"hash", "max-object", "chunk-size", "upload-memory", "min-copies", "allow-delete"})
_DOWNLOADS = frozenset({"cache-control", "download-memory"})
_API = _PORTS | _UPLOADS | _DOWNLOADS | {"replicate-every", "sweep-every"}
_OF_ROLE = {
    "blob": _COMMON | _STORE | _BLOB | _KEY,
    "api": _COMMON | _MEMBERS | _API | _KEY | {"workers"},
    "all": _COMMON | _STORE | _API,
}
"""The options that mean something to each role."""


class SOSOptions(usage.Options):
    """What the options of all commands share: one dash or two, help, and the version of sos."""

    longdesc = ""
    arguments: Sequence[str] = ()
    """What was parsed, as it was typed but for the dashes."""
    directory: Path
    """Where it was parsed: the names of files are relative to it."""
    synopsis: str = "[options]"
    optFlags: list[list[str | None]] = [["verbose", "v", "Say more of what is done."]]  # noqa: RUF012 - usage.Options wants it

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line; long options have one dash or two."""
        arguments = sys.argv[1:] if options is None else options
        self.arguments = tuple(with_two_dashes(arguments, self.longOpt, self.shortOpt))
        self.directory = Path.cwd()
        super().parseOptions(list(self.arguments))

    def opt_version(self) -> None:
        """Show the version of sos and exit."""
        sys.stdout.write(f"{version_line()}\n")
        sys.exit(0)

    def opt_help(self) -> None:
        """Show this help and exit."""
        super().opt_help()

    opt_h = opt_help

    def parseArgs(self, *arguments: str) -> None:
        """Refuse what is no option."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is no option; see --help.")

    @property
    def given(self) -> frozenset[str]:
        """The names of the options that were given: a parameter is None otherwise, a flag 0, a list empty."""
        return frozenset(
            name for name, value in self.items() if value not in (None, []) and (value or f"{name}=" in self.longOpt)
        )

    def value(self, name: str, fallback: T) -> T:
        """Give what was given for an option, or else the fallback."""
        value: T | None = self[name]
        return fallback if value is None else value


class MemberOptions(SOSOptions):
    """The options that say which blob servers there are."""

    optParameters: list[list[Any]] = [  # noqa: RUF012
        parameter("blob-server", "Blob servers, separated by commas, instead of those in the files.", server_list),
        parameter("config", f"The configuration file, instead of {SYSTEM_FILE} and {PERSONAL_FILE}.", path_of),
        parameter("cluster-key-file", "The file with the key that all servers of a cluster share.", path_of),
    ]

    def read_topology(self) -> Topology:
        """Read which servers there are, now: from the command line, or else from the files. Raises `BadConfig`."""
        config: Path | None = self["config"]
        topology: Topology = self["blob-server"] or (read_default() if config is None else read_named(config))
        if topology.is_empty:
            raise BadConfig(
                "No blob servers are known: name them with --blob-server=http://HOST:PORT,http://HOST:PORT, "
                f"or write one URL a line into {config or SYSTEM_FILE}."
            )
        return topology

    def read_key(self) -> bytes | None:
        """Read the key file, if one was given. Raises `BadConfig`."""
        path: Path | None = self["cluster-key-file"]
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        return None if path is None else read_cluster_key(path, Path(credentials) if credentials else None)


class TopologyOptions(MemberOptions):
    """The options of a command that works on the members; after parsing, `topology` and `cluster_key` are what they name."""

    topology: Topology
    cluster_key: bytes | None

    def postOptions(self) -> None:
        """Read what the options name. Raises `UsageError`."""
        try:
            self.topology = self.read_topology()
            self.cluster_key = self.read_key()
        except SOSError as error:
            raise usage.UsageError(str(error)) from None


class ReplicateOptions(TopologyOptions):
    """The options of a round."""

    synopsis = "Usage: sos replicate [options]"


class Options(MemberOptions):
    """The options of the services. After parsing, `settings` is what they come to."""

    settings: Settings
    optFlags = [  # noqa: RUF012
        ["allow-delete", None, "Let whoever may upload delete, too: DELETE /upload/ID."],
        ["must-exist", None, "Refuse to start where there is no store yet: an unmounted disk is not an empty one."],
        ["dump", None, "Show the blob servers and exit."],
    ]
    optParameters: list[list[Any]] = [  # noqa: RUF012
        parameter("role", "blob, api, or all: an api with stores of its own (all).", one_of(ROLES)),
        parameter("host", f"The interface of the blob server ({LOOPBACK}).", host_of),
        parameter("port", f"The port of the blob server ({BLOB_PORT}).", port_of),
        parameter("listen", "An endpoint string instead of --host and --port.", str),
        parameter("reserve", "Room on the disk that uploads may not use: 2%, 10GiB (1%, at least 64MiB).", reserve_of),
        parameter("api-host", f"The interface of the api ({EVERYWHERE}; {LOOPBACK} for --role=all).", host_of),
        parameter("upload-port", f"The port for uploads ({UPLOAD_PORT}).", port_of),
        parameter("download-port", f"The port for downloads ({DOWNLOAD_PORT}).", port_of),
        parameter("upload-listen", "An endpoint string instead of --upload-port.", str),
        parameter("download-listen", "An endpoint string instead of --download-port.", str),
        parameter("tombstone-age", "Seconds for which a deleted blob is remembered at least (604800, 7 days).", seconds_of),
        parameter("sweep-age", "Seconds for which an unneeded chunk is kept at least (604800, 7 days).", seconds_of),
        parameter("scrub-rate", "MB/s at which what is stored is read again (all of it within 30 days); 0: never.", rate_of),
        parameter("adopt", "Make the store a member of this group, whatever group it belonged to.", group_of),
        parameter("min-copies", "Durable copies that acknowledge an upload (2 in groups of 3 or more, else 1).", count_of),
        parameter("replicate-every", f"Seconds between rounds of replication ({DEFAULT_ROUND:.0f}); 0: none.", seconds_of),
        parameter("sweep-every", f"Seconds between sweeps for unneeded chunks ({DEFAULT_SWEEP:.0f}); 0: none.", seconds_of),
        parameter("hash", "The digest that names objects, sha1 or sha256 (sha1); the same for all apis.", one_of(HASHES)),
        parameter("max-object", "The size of the largest object that is taken (1TiB).", object_size_of),
        parameter("chunk-size", "Larger objects are cut into chunks of this size (4MiB; 64KiB to 64MiB).", chunk_size_of),
        parameter("upload-memory", "Memory of uploads under way, of each process (256MiB); beyond it they wait.", size_of),
        parameter("workers", "Processes of the api that share its ports (1); one a core is plenty.", worker_count_of),
        parameter("download-memory", "Memory for what is verified on its way to clients (128MiB a process).", memory_of),
        parameter("cache-control", "The Cache-Control of downloads (they keep for a year).", header_value_of),
    ]

    def __init__(self, fixed_role: str | None = None) -> None:
        """Begin with nothing given; a command that is one role's own fixes it."""
        super().__init__()
        self["store"] = []
        self["role"] = self._fixed_role = fixed_role

    def opt_store(self, path: str) -> None:
        """The directory of a store (data); with --role=all, once for each store."""
        self["store"].append(coerced("store", path_of)(path))

    def opt_help(self) -> None:
        """Show this help and exit."""
        meant = _OF_ROLE.get(self["role"])
        if meant is not None:  # a role was given: what means nothing to it need not be read
            self.longOpt = [option for option in self.longOpt if option.rstrip("=") in meant | {"help", "version"}]
        super().opt_help()

    opt_h = opt_help

    def postOptions(self) -> None:
        """Put the options together; whatever they name is read now. Raises `UsageError`."""
        role: str = self.value("role", "all")
        if self._fixed_role not in (None, role):
            raise usage.UsageError(f"--role: this command has the role {self._fixed_role}; twistd sos runs any.")
        foreign = sorted(self.given - _OF_ROLE[role])
        if foreign:
            raise usage.UsageError(f"--{foreign[0]} means nothing to --role={role}.")
        try:
            self.settings = self._settings_of(role)
        except SOSError as error:
            raise usage.UsageError(str(error)) from None

    def _settings_of(self, role: str) -> Settings:
        if role == "blob":
            return self._blob_settings()
        if role == "all":
            return self._all_settings()
        topology = self.read_topology()
        if self["dump"]:
            sys.stdout.write(server_table(topology))
            sys.exit(0)
        return self._api_settings(topology, EVERYWHERE)

    def _blob_settings(self) -> BlobSettings:
        paths = self._store_paths()
        if len(paths) > 1:
            raise BadConfig("--store: a blob server has one store; start one for each.")
        return BlobSettings(
            path=paths[0],
            listen=self._listen_address("listen", "port", BLOB_PORT, "host", LOOPBACK),
            stores=self._store_settings(),
            adopt=self["adopt"],
            cluster_key=self.read_key(),
            verbose=bool(self["verbose"]),
        )

    def _all_settings(self) -> AllSettings:
        paths = self._store_paths()
        topology = Topology.of_servers(Server.of_store(str(path)) for path in paths)
        return AllSettings(paths=paths, api=self._api_settings(topology, LOOPBACK), stores=self._store_settings())

    def _api_settings(self, topology: Topology, host: str) -> ApiSettings:
        workers = self.value("workers", 1)
        if workers > 1:
            self._check_can_be_shared("upload-listen")
            self._check_can_be_shared("download-listen")
        return ApiSettings(
            upload=self._listen_address("upload-listen", "upload-port", UPLOAD_PORT, "api-host", host),
            download=self._listen_address("download-listen", "download-port", DOWNLOAD_PORT, "api-host", host),
            workers=workers,
            topology=topology,
            replicate_every=self.value("replicate-every", DEFAULT_ROUND),
            sweep_every=self.value("sweep-every", DEFAULT_SWEEP),
            hash_name=self.value("hash", "sha1"),
            max_object=self.value("max-object", MOST_OBJECT),
            chunk_size=self.value("chunk-size", CHUNK_SIZE),
            upload_memory=self._upload_memory(),
            download_memory=self.value("download-memory", DOWNLOAD_MEMORY),
            cache_control=self["cache-control"],
            min_copies=self._min_copies(topology),
            allow_delete=bool(self["allow-delete"]),
            cluster_key=self.read_key(),
            verbose=bool(self["verbose"]),
        )

    def _store_settings(self) -> StoreSettings:
        return StoreSettings(
            must_exist=bool(self["must-exist"]),
            reserve=self.value("reserve", Reserve()),
            tombstone_age=self.value("tombstone-age", TOMBSTONE_AGE),
            sweep_age=self.value("sweep-age", SWEEP_AGE),
            scrub_rate=self["scrub-rate"],
        )

    def _min_copies(self, topology: Topology) -> int | None:
        """Give the copies that an acknowledgement needs. Raises `BadConfig` where a group can never have so many."""
        copies: int | None = self["min-copies"]
        for group in topology.groups:
            if copies is not None and copies > len(group.members):
                raise BadConfig(f"--min-copies: group {group.name} has {len(group.members)} members, which is too few.")
        return copies

    def _upload_memory(self) -> int:
        """Give the memory of uploads. Raises `BadConfig` where it has no room for the chunks of a few."""
        memory = self.value("upload-memory", UPLOAD_MEMORY)
        least = CHUNKS_IN_MEMORY * self.value("chunk-size", CHUNK_SIZE)
        if memory < least:
            raise BadConfig(f"--upload-memory: {CHUNKS_IN_MEMORY} chunks have to fit into it, which are {size_text(least)}.")
        return memory

    def _store_paths(self) -> tuple[Path, ...]:
        paths: tuple[Path, ...] = tuple(self["store"]) or (Path("data"),)
        if len({path.absolute() for path in paths}) < len(paths):
            raise BadConfig("--store: a directory was given twice; each store has its own.")
        return paths

    def _listen_address(self, listen: str, port: str, usual_port: int, host: str, usual_host: str) -> ListenAddress:
        """Listen as the endpoint string says, or else on the TCP port."""
        endpoint: str | None = self[listen]
        if endpoint is None:
            return ListenAddress.of_tcp(self.value(host, usual_host), self.value(port, usual_port))
        if self[port] is not None:
            raise BadConfig(f"--{listen} and --{port} both say where to listen; give one of them.")
        return ListenAddress.of_endpoint(coerced(listen, self.read_endpoint)(endpoint))

    def read_endpoint(self, text: str) -> str:
        """Read an endpoint string. Raises `BadInput`."""
        return endpoint_of(text)

    def _check_can_be_shared(self, listen: str) -> None:
        endpoint: str | None = self[listen]
        if endpoint is not None and not can_be_shared(endpoint):
            raise BadConfig(f"--{listen}: workers can share tcp:, ssl:, unix: and systemd: endpoints, and not {endpoint!r}.")


class WorkerOptions(Options):
    """The options of a worker: those of its parent, who has opened the ports that they name."""

    def __init__(self, number: int) -> None:
        """Begin with nothing given; a worker's number says which timers it has."""
        super().__init__("api")
        self._number = number

    def postOptions(self) -> None:
        """Put the options together. Raises `UsageError`."""
        super().postOptions()
        assert isinstance(self.settings, ApiSettings), "its role is fixed"
        self.settings = self.settings.of_worker(self._number)

    def read_endpoint(self, text: str) -> str:
        """Read an endpoint string. The descriptors of ``systemd:`` were the parent's, and cannot be looked for here."""
        return text if text.startswith("systemd:") else super().read_endpoint(text)


def installed_version() -> str:
    """Give the version of the installed distribution."""
    try:
        return metadata.version("sos")
    except metadata.PackageNotFoundError:
        return "0 (not installed)"


def version_line() -> str:
    """Name the program and its version."""
    return f"sos {installed_version()}"
