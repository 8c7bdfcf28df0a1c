"""The arrival of one request's body: its framing, its stream, and how fast it comes."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from sos.http.bodies import BytesBody
from sos.http.framing import Chunked, Counted, Framing
from sos.http.head import CHUNKED
from sos.http.intake import Intake
from sos.http.limits import Limits
from sos.http.request_body import RequestBody
from sos.words.errors import BlobTruncated, SOSError

if TYPE_CHECKING:
    from sos.http.request import Request

LOOKS = 6
"""How often the time of `Limits.body_rate_seconds` is looked at: a body that stops is over by at most a sixth."""


def arrival_of(request: Request, arrived: bytes, limits: Limits, transport: Any) -> tuple[Arrival | None, bytes]:
    """Give what will bring a request its body, and the bytes that arrived and are not the request's yet.

    Where all of a body with a length is here, as it is with most small uploads, the request has it at once: a stream would
    cost as much as all that is done with it.
    """
    length = request.head.length
    if 0 < length <= len(arrived):
        request.body = BytesBody(arrived[:length])
        return None, arrived[length:]
    request.body = stream = RequestBody(request.channel, None if length == CHUNKED else length)
    return Arrival(stream, length, limits, transport), arrived


class Arrival:
    """A body that has not arrived whole. The connection keeps it until it has, or until nobody wants it any more."""

    __slots__ = ("_body", "_counts", "_framing", "_intake", "_limits")

    def __init__(self, body: RequestBody, length: int, limits: Limits, transport: Any) -> None:
        """Bring `length` bytes, or a chunked body, to `body`; of a long one `transport` reads more at a time."""
        self._body = body
        self._limits = limits
        self._intake = Intake(transport)
        self._framing: Framing = Chunked(limits) if length == CHUNKED else Counted(length)
        self._counts = [0]

    @property
    def is_wanted(self) -> bool:
        """Whether bytes may be taken now."""
        return self._body.is_wanted

    @property
    def is_paused(self) -> bool:
        """Whether whoever reads the body has enough for now."""
        return self._body.is_paused

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are here."""
        return self._framing.is_complete

    def cut(self, arrived: bytes) -> tuple[bytes, bytes]:
        """Give the body's bytes among those that arrived, and what is behind the body.

        Raises `BadInput` and `BlobTooLarge`.
        """
        data, rest = self._framing.feed(arrived)
        self._counts[-1] += len(data)
        self._intake.moved(len(data))
        if self._framing.is_complete:
            self._intake.narrow()
        return data, rest

    def deliver(self, data: bytes) -> None:
        """Hand over what was cut."""
        if data:
            self._body.deliver(data)
        if self._framing.is_complete:
            self._body.complete()

    def rest_behind(self, arrived: bytes) -> bytes | None:
        """Give what is behind the body, if all of that is here; it is only looked at, for it may still be read."""
        try:
            framing = copy(self._framing)
            _, rest = framing.feed(arrived)
        except SOSError:
            return None
        return rest if framing.is_complete else None

    def give_up(self, error: Exception | None = None) -> None:
        """Say that the rest will not come."""
        self._intake.narrow()
        self._body.fail(error or BlobTruncated("The request was answered before its body was read."))

    def begin_period(self) -> None:
        """Measure from now on, whatever came before."""
        self._counts = [0]

    def look(self) -> bool:
        """Whether too few bytes came in the time that ends now; called `LOOKS` times in it.

        The time slides: one that began anew when it is over would bear with a body that stopped for nearly twice as long.
        """
        is_slow = len(self._counts) == LOOKS and sum(self._counts) < self._limits.body_rate * self._limits.body_rate_seconds
        self._counts = [*self._counts[1 - LOOKS :], 0]
        return is_slow
