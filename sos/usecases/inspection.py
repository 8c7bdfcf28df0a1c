"""Inspection: ask every member what it knows, and leave it to `sos.decisions` to say what that means."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from sos.concurrently import concurrently
from sos.decisions import placement
from sos.decisions.agreement import Agreement, GroupAgreement, Statement
from sos.decisions.topology import Group, Server, Topology
from sos.decisions.whereabouts import Knowledge, Whereabouts
from sos.usecases.object_names import manifest_at
from sos.words.blob import BlobID, Kind
from sos.words.errors import BlobNotFound, Forbidden, ServerUnavailable, SOSError, Unauthorized, Unsupported
from sos.words.interfaces import IBlobFetcher, IDigested


async def whereabouts_of(object_id: BlobID, topology: Topology, stores: Mapping[Server, IBlobFetcher]) -> Whereabouts:
    """Ask all members of all groups for an object, side by side."""

    async def ask(server: Server) -> Knowledge:
        try:
            entry = await stores[server].stat(object_id)
            if entry.kind is not Kind.MANIFEST:
                return Knowledge(server, entry)
            manifest = await manifest_at(stores[server], object_id)
            return Knowledge(server, evolve(entry, size=manifest.size), chunks=len(manifest.chunks))
        except BlobNotFound:
            return Knowledge(server)
        except SOSError as error:
            return Knowledge(server, why_unknown=why_of(error))

    async def ask_all(group: Group) -> tuple[Group, tuple[Knowledge, ...]]:
        return group, tuple(await concurrently(ask(server) for server in group.members))

    groups = placement.order(object_id, topology.groups)
    return Whereabouts(object_id, tuple(await concurrently(ask_all(group) for group in groups)))


async def agreement_of(topology: Topology, stores: Mapping[Server, IDigested]) -> Agreement:
    """Ask all members for one digest of all that they hold, side by side."""

    async def ask(server: Server) -> Statement:
        try:
            return Statement(server, await stores[server].summary())
        except Unsupported:
            return Statement(server, why_unknown="it speaks the old contract, and keeps no digests")
        except SOSError as error:
            return Statement(server, why_unknown=why_of(error))

    async def ask_all(group: Group) -> GroupAgreement:
        return GroupAgreement(group, tuple(await concurrently(ask(server) for server in group.members)))

    return Agreement(tuple(await concurrently(ask_all(group) for group in topology.groups)))


def why_of(error: SOSError) -> str:
    """Say why a member gave no answer that can be used, without naming it: whoever asks names it."""
    if isinstance(error, ServerUnavailable):
        return error.why
    if isinstance(error, Unauthorized):
        return "it asks for another cluster key: --cluster-key-file"
    if isinstance(error, Forbidden):
        return "it takes no orders from other hosts without a cluster key: --cluster-key-file"
    return str(error).rstrip(".")
