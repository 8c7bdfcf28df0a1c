"""The members of the configuration, each asked directly, with the cluster key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sos.cli.command_options import InspectionOptions
from sos.decisions.topology import Server
from sos.http.client import Client
from sos.http.deadlines import Deadlines
from sos.http.origins import tcp_connector
from sos.remote_replica import RemoteReplica

DEADLINES = Deadlines(first_byte=10.0, silence=10.0)
"""A member that says nothing for so long is out of reach, to a person who waits for the answer."""


@asynccontextmanager
async def members_of(options: InspectionOptions, reactor: Any) -> AsyncIterator[Mapping[Server, RemoteReplica]]:
    """Reach the members that the options name, for as long as the context lasts."""
    client = Client(tcp_connector(reactor), reactor, DEADLINES)
    try:
        yield {server: RemoteReplica(client, server.url, options.cluster_key) for server in options.topology.servers}
    finally:
        await client.close()
