"""Coalescing: small blobs that are to be written while another is on its way to the same server go there together.

To make a blob durable costs a blob server little beside the request that brings it, and so it does whoever sends it. So a
write goes at once and alone while none is under way; what comes meanwhile waits for its end, and then goes in one batch.
Nobody waits for company that might not come, and a store that is busy with one sync would not begin the next earlier. Where
the one under way takes longer than `LONGEST_WAIT`, the others are sent beside it.

Who gives up on a write that is in a batch leaves the others alone; when all have, the batch is given up. A batch that cannot
be taken as a batch, by a server that knows of none or for what is in it, goes one by one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from sos.decisions.batch import cut, is_small, weight
from sos.http.bodies import BytesBody
from sos.words.blob import BlobID, Entry, Parcel
from sos.words.errors import Forbidden, SOSError, Unauthorized, Unavailable, Unsupported
from sos.words.interfaces import Received

TOGETHER = 32
"""Blobs in a batch: the most of what batching saves is saved then, and whoever reads from the server waits a moment only."""

LONGEST_WAIT = 0.005
"""Seconds that a write waits at most: a server may be far away, or hang, and is not to be sent one thing at a time."""

Waiting = Deferred[Received | SOSError | None]


class Coalescer:
    """Writes small blobs to one server."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        write: Callable[[Parcel], Awaitable[Received]],
        write_some: Callable[[Sequence[Parcel]], Awaitable[Sequence[Received | SOSError]]],
    ) -> None:
        """Write one blob by `write`, as `IBlobReceiver.receive` does, and several by `write_some`, as `IDigested` has it."""
        self._clock = clock
        self._write = write
        self._write_some = write_some
        self._under_way = 0
        self._timer: IDelayedCall | None = None
        self._waiting: dict[Waiting, Parcel] = {}
        self._batches: list[_Batch] = []
        self._is_able = True

    async def write(self, parcel: Parcel) -> Received:
        """Write a blob, alone or with others. Raises what `IBlobReceiver.receive` raises."""
        outcome = None
        if self._is_able and self._under_way:
            outcome = await self._place(parcel)
        if outcome is None:
            return await self._alone(parcel)
        if isinstance(outcome, SOSError):
            raise outcome
        return outcome

    def _place(self, parcel: Parcel) -> Waiting:
        """Give a blob a place among those that wait."""
        waiting: Waiting = Deferred(self._withdraw)
        self._waiting[waiting] = parcel
        if self._timer is None:
            self._timer = self._clock.callLater(LONGEST_WAIT, self._time_is_up)
        return waiting

    async def _alone(self, parcel: Parcel) -> Received:
        self._under_way += 1
        try:
            return await self._write(parcel)
        finally:
            self._ended()

    def _ended(self) -> None:
        """Let those go that have waited for the end of one write, or of one batch."""
        self._under_way -= 1
        while self._waiting and not (self._under_way and self._is_able):
            self._let_go()
        self._stop_timer()

    def _time_is_up(self) -> None:
        self._timer = None
        while self._waiting:
            self._let_go()

    def _let_go(self) -> None:
        """Send the next ones; one that would go alone is told to."""
        batch = self._next_batch()
        if batch.is_worth_it and self._is_able:
            self._under_way += 1
            self._batches.append(batch)
            batch.send(self._sent(batch))
        else:
            batch.scatter()

    def _stop_timer(self) -> None:
        """Wait for no time where nobody waits."""
        if self._timer is not None and not self._waiting:
            self._timer.cancel()
            self._timer = None

    def _next_batch(self) -> _Batch:
        """Take as many as fit, in their order; of one ID only the first."""
        batch = _Batch(next(cut(self._one_of_each(), lambda item: weight(item[1].entry), TOGETHER)))
        for waiting in batch.parcels:
            del self._waiting[waiting]
        return batch

    def _one_of_each(self) -> Iterator[tuple[Waiting, Parcel]]:
        names: set[BlobID] = set()
        for waiting, parcel in self._waiting.items():
            if parcel.entry.id not in names:
                names.add(parcel.entry.id)
                yield waiting, parcel

    async def _sent(self, batch: _Batch) -> None:
        """Send a batch, and say what came of each: in their order, before those that came later may go."""
        sent = dict(batch.parcels)
        try:
            try:
                outcomes = await self._outcomes(list(sent.values()))
            finally:
                self._batches.remove(batch)
            for waiting, outcome in zip(sent, outcomes, strict=True):
                batch.tell(waiting, outcome)
        finally:
            self._ended()

    async def _outcomes(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError | None]:
        """Send several; None is the outcome of those that have to go one by one."""
        try:
            return await self._write_some(parcels)
        except Unavailable as error:
            return [error] * len(parcels)
        except SOSError as error:
            self._log.info("Small blobs go one by one: {error}", error=error)
            self._is_able = self._is_able and not isinstance(error, Unsupported | Unauthorized | Forbidden)
            return [None] * len(parcels)

    def _withdraw(self, waiting: Waiting) -> None:
        """Nobody waits for this one any more."""
        self._waiting.pop(waiting, None)
        self._stop_timer()
        for batch in list(self._batches):
            batch.withdraw(waiting)


class _Batch:
    """Blobs that go together, and who waits for each."""

    def __init__(self, items: Iterable[tuple[Waiting, Parcel]]) -> None:
        self.parcels = dict(items)
        self._sending: Deferred[None] | None = None

    @property
    def is_worth_it(self) -> bool:
        """Whether there is more than one."""
        return len(self.parcels) > 1

    def send(self, sent: Coroutine[Any, Any, None]) -> None:
        """Be sent; a fault of ours is told to all who wait."""
        self._sending = Deferred.fromCoroutine(sent)
        self._sending.addErrback(self._break)

    def tell(self, waiting: Waiting, outcome: Received | SOSError | None) -> None:
        """Say what came of one, if anybody still wants to know."""
        if self.parcels.pop(waiting, None) is not None:
            waiting.callback(outcome)

    def scatter(self) -> None:
        """Have each go alone."""
        for waiting in list(self.parcels):
            self.tell(waiting, None)

    def withdraw(self, waiting: Waiting) -> None:
        """Forget who waits for one; give everything up when nobody waits for any."""
        if self.parcels.pop(waiting, None) is not None and not self.parcels and self._sending is not None:
            self._sending.cancel()

    def _break(self, failure: Failure) -> None:
        for waiting in list(self.parcels):
            del self.parcels[waiting]
            waiting.errback(failure)


def parcel_of(entry: Entry, body: IBodyProducer) -> Parcel | None:
    """Take a blob for a parcel, if it is small, its bytes are in memory, and it is said which they are; else None."""
    if not isinstance(body, BytesBody) or not is_small(entry) or body.length != entry.size:
        return None
    body.stopProducing()
    return Parcel(entry, b"".join(body.pieces))
