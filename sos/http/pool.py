"""The pool: connections that wait for their next request, and an account of all that are open."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from sos.http.connection import Connection
from sos.http.origins import Origin


class Pool:
    """Keeps idle connections, by origin. The one used last goes out first: it is the least likely to be stale."""

    def __init__(self, most_idle: int) -> None:
        """Keep at most so many idle connections to each origin."""
        self._most_idle = most_idle
        self._idle: dict[Origin, dict[Connection, None]] = {}  # a dict is a set that keeps its order
        self._open: dict[Connection, None] = {}  # and so a run can be had again
        self._when_empty: list[Deferred[None]] = []
        self._is_closed = False

    def take(self, origin: Origin) -> Connection | None:
        """Give an idle connection to an origin, None where there is none."""
        idle = self._idle.get(origin)
        return idle.popitem()[0] if idle else None

    def enter(self, connection: Connection) -> None:
        """Keep account of a connection that was made."""
        self._open[connection] = None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request; the one that waited longest goes when there are too many."""
        idle = self._idle.setdefault(connection.origin, {})
        idle[connection] = None
        if self._is_closed or len(idle) > self._most_idle:
            next(iter(idle)).drop()

    def forget(self, connection: Connection) -> None:
        """Let a connection out that will serve no more requests."""
        self._idle.get(connection.origin, {}).pop(connection, None)

    def bury(self, connection: Connection) -> None:
        """Strike a connection that is gone off the account."""
        self._open.pop(connection, None)
        if not self._open:
            waiting, self._when_empty = self._when_empty, []
            for deferred in waiting:
                deferred.callback(None)

    def close(self) -> Deferred[None]:
        """Drop every connection, busy ones too; the Deferred fires when all are gone."""
        self._is_closed = True
        for connection in list(self._open):
            connection.fail("this client was closed")
        if not self._open:
            return succeed(None)
        when_empty: Deferred[None] = Deferred()
        self._when_empty.append(when_empty)
        return when_empty
