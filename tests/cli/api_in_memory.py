"""An api for treq's client, in memory: the real agent speaks to the real front, or to a server that the test plays."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from typing import TypeVar

from hyperlink import DecodedURL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from sos.cli.api_client import ApiClient
from sos.decisions.tally import usual_min_copies
from sos.http.front import Front
from sos.usecases.copies import Copies
from sos.usecases.downloads import Downloads
from sos.usecases.uploads import Uploads
from sos.web.download import download_root
from sos.web.upload import upload_root
from sos.words.interfaces import IBlobStore
from tests.support import success_of
from tests.support_wire import MemoryEndpoint, Network
from tests.usecases.cluster_of import NOW, cluster_of

T = TypeVar("T")

URL = DecodedURL.from_text("http://api:9991")


@implementer(IAgentEndpointFactory)
class OneEndpoint:
    """Leads to one server, whatever the URL."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        """Lead to a server."""
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
        """Give the way to it."""
        return self._endpoint


class QueueingNetwork(Network):
    """A network that moves bytes only when it is told to: treq's agent cannot be answered before its write returns."""

    _is_open = False

    def pump(self) -> None:
        """Move bytes, while that is allowed."""
        if self._is_open:
            super().pump()

    def go(self) -> None:
        """Move bytes until everything is quiet."""
        self._is_open = True
        self.pump()
        self._is_open = False


class Api:
    """A client, and the server behind its URL; None refuses the connection."""

    def __init__(self, server: IProtocolFactory | None) -> None:
        """Join them."""
        self.network = QueueingNetwork()
        self.client = client_of(MemoryEndpoint(self.network, server), Clock())

    def result(self, doing: Awaitable[T]) -> T:
        """Give what a coroutine comes to, once everything is quiet; raises what it raises."""

        async def awaited() -> T:
            return await doing

        running = Deferred.fromCoroutine(awaited())
        self.network.go()
        return success_of(running)


def client_of(server: IStreamClientEndpoint, now: Clock) -> ApiClient:
    """Make a client of a server."""
    agent = Agent.usingEndpointFactory(now, OneEndpoint(server), HTTPConnectionPool(now, False))
    return ApiClient(agent, URL, now)


def uploads_to(store: IBlobStore, hash_name: str = "sha1", most: int = 10_000_000) -> Front:
    """Make the upload port of an api over one store."""
    cluster = cluster_of(one={"a": store})
    uploads = Uploads(Copies(cluster, Clock()), lambda: hashlib.new(hash_name), most)
    return Front(upload_root(uploads, lambda: NOW), Clock(), lambda: NOW)


def downloads_from(store: IBlobStore) -> Front:
    """Make the download port of an api over one store."""
    return Front(
        download_root(Downloads(cluster_of(one={"a": store}), usual_min_copies, Clock()), lambda: NOW), Clock(), lambda: NOW
    )
