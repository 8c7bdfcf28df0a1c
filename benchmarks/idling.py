"""Rounds that have nothing to do, as an api runs them: ``python -m benchmarks.idling URL,URL ROUNDS``.

It writes the seconds of each as JSON. The first, which makes the connections, is one more, and does not count: an api has
its connections from round to round.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import react

from benchmarks.figures import Wrong
from sos.http.client import Client
from sos.http.origins import tcp_connector
from sos.options import ReplicateOptions
from sos.service import remote_cluster
from sos.usecases.replication import Replication, SilentReporter


async def idle_rounds(reactor: Any, urls: str, count: int) -> None:
    """Run rounds, and write how long each took. Raises `Wrong` where one found something to do."""
    options = ReplicateOptions()
    options.parseOptions([f"--blob-server={urls}"])
    client = Client(tcp_connector(reactor), reactor)
    replication = Replication(remote_cluster(options.topology, client, options.cluster_key, reactor), SilentReporter())
    seconds: list[float] = []
    for _ in range(1 + count):
        started = time.perf_counter()
        outcome = await replication.round()
        seconds.append(time.perf_counter() - started)
        if not outcome.is_complete or outcome.behind or outcome.copied or outcome.renewed or outcome.buried:
            raise Wrong(f"A round over equal members was not idle: {outcome}.")
    await client.close()
    sys.stdout.write(json.dumps(seconds[1:]))


def main(arguments: Sequence[str]) -> None:
    """Run them in a reactor of their own."""
    urls, count = arguments
    react(idle_rounds, (urls, int(count)))


if __name__ == "__main__":
    main(sys.argv[1:])
