"""Scrubbing members: a pass over everything is asked for at each, and watched to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from sos.concurrently import concurrently
from sos.decisions.scrubbed import Scrubbed
from sos.decisions.topology import Server, Topology
from sos.usecases.inspection import why_of
from sos.words.errors import SOSError, Unsupported
from sos.words.interfaces import IScrubbed

LOOK_EVERY = 1.0
"""Seconds between looks at how far a member is."""

Watch = Callable[[Server, float], None]
"""Is told the share, 0 to 1, that a member has done."""


async def scrub_all(
    topology: Topology, stores: Mapping[Server, IScrubbed], clock: IReactorTime, watch: Watch
) -> Sequence[Scrubbed]:
    """Have all members make a pass, side by side; one that cannot says why, and stops no other."""

    async def scrub_one(server: Server) -> Scrubbed:
        store = stores[server]
        try:
            number = await store.scrub()
            while True:
                standing = await store.scrub_standing()
                if standing.passes >= number:
                    watch(server, 1.0)
                    return Scrubbed(server, standing)
                watch(server, standing.share or 0.0)
                await deferLater(clock, LOOK_EVERY)
        except Unsupported:
            return Scrubbed(server, why_unknown="it does not know how")
        except SOSError as error:
            return Scrubbed(server, why_unknown=why_of(error))

    return await concurrently(scrub_one(server) for server in topology.servers)
