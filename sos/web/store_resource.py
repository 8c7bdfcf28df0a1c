"""What the resources of a blob server share: the store that they serve, and what each answer says of it."""

from __future__ import annotations

from sos.decisions import wire
from sos.http.request import Request
from sos.web.resource import AsyncResource
from sos.words.errors import SOSError
from sos.words.interfaces import ILocalReplica


class StoreResource(AsyncResource):
    """A resource of one store."""

    def __init__(self, store: ILocalReplica) -> None:
        """Serve a store."""
        super().__init__()
        self._store = store

    def always(self, request: Request, error: SOSError | None = None) -> list[tuple[bytes, bytes]]:
        """Tell our own client which store answers, how far its clock is, and how it stands in the rounds.

        With an error, also the version that is held.
        """
        if not is_ours(request):
            return []
        return [*store_headers(self._store), *(wire.internal_headers_of_error(error) if error is not None else ())]


def is_ours(request: Request) -> bool:
    """Whether our own client asks: one of the old contract sees the old contract and nothing else."""
    return request.header(wire.PROTOCOL) is not None


def store_headers(store: ILocalReplica) -> list[tuple[bytes, bytes]]:
    """Give the headers that tell of a store: UUID, incarnation, clock, last round, and whether it is partial since."""
    headers = [
        (b"X-Sos-Store", store.uuid.encode("ascii")),
        (b"X-Sos-Incarnation", store.incarnation.encode("ascii")),
        (b"X-Sos-Clock", b"%d" % store.clock.last),
        (b"X-Sos-Round", b"%d" % store.round),
    ]
    return [*headers, (b"X-Sos-Partial", b"1")] if store.is_partial else headers
