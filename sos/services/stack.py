"""Services that stand on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred


class Stack(MultiService):
    """Starts its services in order, and ends them in reverse, each only after the one above it has ended.

    `MultiService` ends all of them at once: a store would be closed under the requests that still write to it.

    The services are built at the start and not before, because twistd forks between making a service and starting it, and
    neither locks nor threads nor databases survive that.
    """

    def __init__(self, build: Callable[[], Iterable[IService]]) -> None:
        """Hold the services that `build` gives, from the lowest up."""
        super().__init__()
        self._build: Callable[[], Iterable[IService]] | None = build

    def privilegedStartService(self) -> None:
        """Build the services and start each as far as it needs the rights of root. What fails here ends what had begun."""
        Service.privilegedStartService(self)
        if self._build is None:
            return
        build, self._build = self._build, None
        for service in build():
            service.setServiceParent(self)
            service.privilegedStartService()

    def startService(self) -> None:
        """Start all services."""
        self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """End all services; the Deferred fires when the lowest has ended."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        for service in reversed(list(self)):
            await maybeDeferred(service.stopService)
