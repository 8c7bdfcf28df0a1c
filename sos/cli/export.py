"""``sos export``: write all objects into a directory, each a file under its ID, with its metadata beside it in ``ID.json``.

From the members of the configuration, or, with ``--store``, from one store that nobody serves. Its exit status: 0 all
objects are there; 1 some are not, or may not be, which a sentence says. It can be run again: what is there is passed over.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from attrs import frozen
from twisted.python import usage

from sos.cli.backup import one_directory
from sos.cli.command_options import FreeOrder, flag
from sos.cli.finishing import complain, run_to_its_end
from sos.cli.foreground import FAILED
from sos.cli.own_store import own_store
from sos.cli.progress import IProgressShown, progress_of_objects
from sos.decisions.sizes import size_text
from sos.decisions.tally import usual_min_copies
from sos.decisions.topology import Server, Topology
from sos.http.client import Client
from sos.http.origins import tcp_connector
from sos.option_values import parameter, path_of
from sos.options import MemberOptions
from sos.service import cluster_of, remote_cluster
from sos.services.threads import Threads
from sos.settings import StoreSettings
from sos.store.flat_files import FlatDirectory
from sos.usecases.catalogue import Catalogue
from sos.usecases.cluster import Cluster
from sos.usecases.downloads import Downloads
from sos.usecases.export import AT_ONCE, Export, IObjectSource
from sos.usecases.inspection import why_of
from sos.words.errors import SOSError
from sos.words.interfaces import IBlobStore


class ExportOptions(FreeOrder, MemberOptions):
    """The options of ``sos export``; after parsing, `topology` and `cluster_key` are what they name, if it is members."""

    synopsis = "Usage: sos export DIR [options]"
    longdesc = "DIR is made where it is missing. The objects are those of the members, or of one store with --store."
    optFlags = [  # noqa: RUF012
        flag("verify", "Read what is in DIR already, and write again what has wrong bytes."),
        flag("quiet", "Show no progress.", "q"),
    ]
    optParameters = [  # noqa: RUF012
        parameter("store", "The directory of a store that nobody serves, instead of the members.", path_of)
    ]
    target: Path
    topology: Topology
    cluster_key: bytes | None

    def parseArgs(self, *arguments: str) -> None:
        """Take the directory."""
        self.target = one_directory(arguments)

    def postOptions(self) -> None:
        """Read what the options name. Raises `UsageError`."""
        members = [name for name in ("blob-server", "config", "cluster-key-file") if self[name] is not None]
        if self["store"] is not None and members:
            raise usage.UsageError(f"--store reads one store; leave --{members[0]} out.")
        if self["store"] is not None:
            return
        try:
            self.topology = self.read_topology()
            self.cluster_key = self.read_key()
        except SOSError as error:
            raise usage.UsageError(str(error)) from None


@frozen
class Origin:
    """Where objects come from: those that give them, and the stores whose names are listed."""

    objects: IObjectSource
    stores: Mapping[Server, IBlobStore]
    damaged: int = 0
    """Blobs of the store itself that are damaged: they are not listed."""


def export(arguments: Sequence[str]) -> NoReturn:
    """Write all objects into a directory, and exit."""
    options = ExportOptions()
    options.parseOptions(arguments)
    run_to_its_end(partial(work, options=options), bool(options["verbose"]))


async def work(reactor: Any, options: ExportOptions) -> int:
    """Write the objects, and give the exit status."""
    threads = Threads(reactor, AT_ONCE, "export")
    async with origin_of(options, reactor) as origin:
        options.target.mkdir(parents=True, exist_ok=True)
        threads.startService()
        try:
            progress = progress_of_objects(sys.stderr, not options["quiet"])
            directory = FlatDirectory(options.target)
            exported = Export(origin.objects, directory, threads, complain, progress.advance, bool(options["verify"]))
            return await written(exported, origin, progress)
        finally:
            threads.stopService()


@asynccontextmanager
async def origin_of(options: ExportOptions, reactor: Any) -> AsyncIterator[Origin]:
    """Reach what the options name, for as long as the context lasts."""
    if options["store"] is not None:
        async with own_store(options["store"], StoreSettings(must_exist=True), reactor) as store:
            only = Topology.of_servers([Server.of_store(str(options["store"]))])
            yield _origin_in(cluster_of(only, lambda server: store, reactor), reactor, store.status().damaged)
        return
    client = Client(tcp_connector(reactor), reactor)
    try:
        yield _origin_in(remote_cluster(options.topology, client, options.cluster_key, reactor), reactor)
    finally:
        await client.close()


def _origin_in(cluster: Cluster, reactor: Any, damaged: int = 0) -> Origin:
    stores = {server: cluster.store_of(server) for server in cluster.topology.servers}
    return Origin(Downloads(cluster, usual_min_copies, reactor), stores, damaged)


async def written(exported: Export, origin: Origin, progress: IProgressShown) -> int:
    """Write everything, say how much it was, and give the exit status; what is cut short is told of, too."""
    catalogue = Catalogue(origin.stores)
    progress.begin("export", None)
    try:
        await exported.run(catalogue.names())
    finally:
        progress.end()
        counts = exported.counts
        print(
            f"Exported {counts['written']} objects ({size_text(counts['bytes'])}); {counts['there']} were there already,"
            f" {counts['complaints']} complaints."
        )
    for server, error in catalogue.failures.items():
        complain(f"{server} is out of reach: {why_of(error)}; what it alone has is not exported.")
    if origin.damaged:
        complain(f"{origin.damaged} blobs of the store are damaged, and are not exported.")
    return FAILED if counts["complaints"] or catalogue.failures or origin.damaged else 0
