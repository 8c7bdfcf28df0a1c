"""What a connection needs of the front that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime

from sos.http.departures import Departures
from sos.http.limits import Limits
from sos.http.outgoing import Stamp
from sos.http.request import Request

if TYPE_CHECKING:
    from sos.http.channel import Channel


class ChannelOwner(Protocol):
    """Shared by all connections of a front; hears what becomes of them."""

    clock: IReactorTime
    limits: Limits
    stamp: Stamp
    departures: Departures
    is_draining: bool

    def dispatch(self, request: Request) -> None:
        """Answer a request, now or later."""

    def answered(self, request: Request) -> None:
        """Note that an answer has ended."""

    def closed(self, channel: Channel) -> None:
        """Note that a connection is gone."""
