"""Continuation: who goes on with a long object where a member breaks off in the middle of it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IBodyProducer

from sos.decisions.topology import Server
from sos.http.begun_body import begun
from sos.http.resumed_body import ResumedBody
from sos.usecases.cluster import Cluster
from sos.usecases.first_answer import GRACE, FirstAnswer, NoAnswer
from sos.words.blob import Entry, Span
from sos.words.errors import Unavailable


class Continuation:
    """Finds a member that holds the same SHA-256, and takes what is missing from it. Used for one download."""

    _log = Logger()

    def __init__(self, cluster: Cluster, clock: IReactorTime, entry: Entry, span: Span | None, first: Server) -> None:
        """Go on with the bytes of an entry, or with a span of them, that the member `first` gives."""
        self._cluster = cluster
        self._clock = clock
        self._entry = entry
        self._span = span if span is not None or entry.size is None else Span(0, entry.size)
        self._left: list[Server] | None = None
        self.givers = [first]
        """The members that have given bytes so far, each once: where the whole is wrong, nobody knows whose were."""

    def of(self, body: IBodyProducer) -> IBodyProducer:
        """Give a body that goes on where the one of the first member breaks off, if anybody can tell that it is the same."""
        span = self._span
        if self._entry.sha256 is None or span is None:
            return body
        return ResumedBody(body, lambda passed: self._rest(Span(span.start + passed, span.length - passed)))

    async def _rest(self, span: Span) -> IBodyProducer:
        """Open a span at the next member that has it. Raises `Unavailable` where there is none."""
        if self._left is None:
            (first,) = self.givers
            others = [server for server in self._cluster.readers_for(self._entry.id) if server != first]
            self._left = [*others, first]  # once more, for it may have been its connection that broke

        left = self._left
        return await self._cluster.asked(lambda: self._open_at_first(left, span))

    async def _open_at_first(self, left: Sequence[Server], span: Span) -> IBodyProducer:
        async def ask(server: Server) -> IBodyProducer:
            return await self._open_at(server, span)

        asking: FirstAnswer[IBodyProducer] = FirstAnswer(
            ask, self._clock, self._cluster.failed, _stop, lambda errors: False, GRACE
        )
        try:
            body = await asking.of(left)
        except NoAnswer:
            raise Unavailable(f"Nobody can go on with {self._entry.id} at byte {span.start}.") from None
        giver = asking.winner
        assert giver is not None
        self._left = [server for server in left if server != giver and server not in asking.errors]
        self.givers = list(dict.fromkeys([*self.givers, giver]))
        self._log.info("{server} goes on with {id} at byte {at}", server=giver.url, id=self._entry.id, at=span.start)
        return body

    async def _open_at(self, server: Server, span: Span) -> IBodyProducer:
        opened = await self._cluster.store_of(server).fetch(self._entry.id, span)
        if opened.entry.sha256 != self._entry.sha256 or not self._cluster.is_read_from(server):
            _stop(opened.body)
            raise Unavailable(f"{server} holds something else than what was begun with.")
        return await begun(opened.body)


def _stop(body: IBodyProducer) -> None:
    """Let go of a body that came too late, or is another's."""
    body.stopProducing()
