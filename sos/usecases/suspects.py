"""Suspects: whoever finds the bytes of a copy wrong has the member look at it.

It is only a hint. The bytes may have been spoilt on their way, or by the one who says so; the member hashes its copy itself,
and sets it apart if it is damaged. A round then brings good bytes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sos.decisions.topology import Server
from sos.usecases.cluster import Cluster
from sos.words.blob import BlobID
from sos.words.errors import BlobDamaged, BlobNotFound, SOSError

MOST = 100
"""Copies that members look at for us at a time: each reads the whole of it. What is not named now is found again."""

Looked = Callable[[Server, BlobID], None]
"""Is told of a member, and of a blob that it lacks, or of which it may have lost the bytes."""


def tell_nobody(server: Server, blob_id: BlobID) -> None:
    """Stand for those who do not want to know."""


class Suspects:
    """Tells members of copies that turned out wrong: of each once at a time, whoever finds it."""

    _log = Logger()

    def __init__(self, cluster: Cluster, looked: Looked = tell_nobody) -> None:
        """Tell members of a cluster, and `looked` when one of them has looked at its copy."""
        self._cluster = cluster
        self._looked = looked
        self._under_way: set[tuple[Server, BlobID]] = set()

    def tell(self, server: Server, blob_id: BlobID) -> None:
        """Have a member look at its copy; nobody waits for that."""
        Deferred.fromCoroutine(self.ask(server, blob_id)).addErrback(self._log_fault)

    async def ask(self, server: Server, blob_id: BlobID) -> None:
        """Have a member look at its copy, and wait until it has. Where it cannot, that is logged."""
        digested = self._cluster.digested(server)
        copy = server, blob_id
        if digested is None or copy in self._under_way or len(self._under_way) >= MOST:
            return
        self._log.warn("Wrong bytes of {id} came from {server}: it is to look at its copy", server=server.url, id=blob_id)
        self._under_way.add(copy)
        try:
            await digested.suspect(blob_id)
        except SOSError as error:
            self._log.warn("{server} did not look at its copy of {id}: {error}", server=server.url, id=blob_id, error=error)
        else:
            self._looked(server, blob_id)
        finally:
            self._under_way.discard(copy)

    def name_those_without(self, blob_id: BlobID, holder: Server, errors: Mapping[Server, SOSError]) -> None:
        """Pass on who lacks what one of its own group has, or has damaged it: what is in another group may be a stray."""
        group = self._cluster.group_of(holder)
        for server, error in errors.items():
            if isinstance(error, BlobNotFound | BlobDamaged) and self._cluster.group_of(server) == group:
                self._looked(server, blob_id)

    def _log_fault(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # the store was closed meanwhile
            self._log.failure("A member was not told of a copy that is wrong", failure)
