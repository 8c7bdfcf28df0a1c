"""Coalescing: small blobs that are to be written while others are on their way to the same group go there together.

To make a blob durable costs a member little beside the request that brings it, and to wait for the members and count their
answers costs whoever sends it as much for one as for many. So a write goes at once and alone while none is under way; what
comes meanwhile waits for its end, and then goes in one batch. Nobody waits for company that might not come, and a member
that is busy with one sync would not begin the next earlier. The next batch leaves before anybody hears what came of the
last: so the members work while those are answered. Where the one under way takes longer than `LONGEST_WAIT`, the others are
sent beside it. So they are where few write: then a batch saves little, and a wait is as long as the write itself.

Who gives up on a write that is in a batch leaves the others alone; when all have, the batch is given up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from sos.begun import Running, begun
from sos.decisions.batch import cut, weight
from sos.decisions.tally import CopyTally
from sos.usecases.load import Load
from sos.words.blob import BlobID, Parcel

TOGETHER = 32
"""Blobs in a batch: the most of what batching saves is saved then, and whoever reads from a member waits a moment only."""

FEW = 2
"""Blobs in the last batch, and under way, as long as few write. Where more do, smaller batches cost more than they gain: 16
clients took a sixth more processor time for an upload (measured)."""

LONGEST_WAIT = 0.005
"""Seconds that a write waits at most: a member may be far away, or hang, and is not to be sent one thing at a time."""


@frozen(eq=False)
class Consignment:
    """A small blob that is to be written, and the load that its bytes are of."""

    parcel: Parcel
    load: Load


Waiting = Deferred[CopyTally]


class Coalescer:
    """Writes small blobs to one group."""

    def __init__(
        self, clock: IReactorTime, write: Callable[[Sequence[Consignment]], Awaitable[Sequence[CopyTally]]]
    ) -> None:
        """Write one or several by `write`, which gives the tally of each."""
        self._clock = clock
        self._write = write
        self._is_going_on = False
        self._timer: IDelayedCall | None = None
        self._waiting: dict[Waiting, Consignment] = {}
        self._batches: dict[_Batch, None] = {}  # those under way, and those that those who wait hear about just now
        self._under_way = 0  # blobs
        self._last = TOGETHER  # blobs in the batch that ended last; until one has, nobody knows how many write

    def write(self, consignment: Consignment) -> Waiting:
        """Write a blob, alone or with others, and give its tally."""
        waiting: Waiting = Deferred(self._withdraw)
        self._waiting[waiting] = consignment
        self._go_on()
        if self._waiting and self._timer is None:
            self._timer = self._clock.callLater(LONGEST_WAIT, self._time_is_up)
        return waiting

    def _go_on(self) -> None:
        """Send what waits and may go. One loop does it, whatever ends at once: a stack has an end."""
        if self._is_going_on:
            return
        self._is_going_on = True
        try:
            while self._waiting and self._may_go():
                self._let_go()
        finally:
            self._is_going_on = False
        self._stop_timer()

    def _may_go(self) -> bool:
        """Whether nothing is under way, or little, and as much waits."""
        return not self._under_way or (self._last <= FEW and self._under_way <= min(FEW, len(self._waiting)))

    def _let_go(self) -> None:
        """Send the next ones: as many as fit, in their order; of one ID only the first."""
        batch = _Batch(dict(next(cut(self._one_of_each(), lambda item: weight(item[1].parcel.entry), TOGETHER))))
        for waiting in batch.waiting:
            del self._waiting[waiting]
        self._batches[batch] = None
        self._under_way += batch.size
        batch.sending = begun(self._sent(batch))

    def _one_of_each(self) -> Iterator[tuple[Waiting, Consignment]]:
        names: set[BlobID] = set()
        for waiting, consignment in self._waiting.items():
            name = consignment.parcel.entry.id
            if name not in names:
                names.add(name)
                yield waiting, consignment

    async def _sent(self, batch: _Batch) -> None:
        """Send a batch, let the next one go, and say what came of each."""
        sent = dict(batch.waiting)
        tallies: Sequence[CopyTally | Failure]
        try:
            tallies = await self._write(list(sent.values()))
        except Exception:  # a fault of ours, or all have given up: whoever waits has to know
            tallies = [Failure()] * len(sent)
        self._under_way -= batch.size
        self._last = batch.size
        self._go_on()
        was_going_on, self._is_going_on = self._is_going_on, True  # who writes again when he hears goes with the others
        for waiting, tally in zip(sent, tallies, strict=True):
            batch.tell(waiting, tally)
        self._is_going_on = was_going_on
        del self._batches[batch]
        self._go_on()

    def _time_is_up(self) -> None:
        self._timer = None
        while self._waiting:
            self._let_go()

    def _stop_timer(self) -> None:
        """Wait for no time where nobody waits."""
        if self._timer is not None and not self._waiting:
            self._timer.cancel()
            self._timer = None

    def _withdraw(self, waiting: Waiting) -> None:
        """Nobody waits for this one any more."""
        self._waiting.pop(waiting, None)
        self._stop_timer()
        for batch in list(self._batches):
            batch.withdraw(waiting)


class _Batch:
    """Blobs that go together, and who waits for each."""

    def __init__(self, waiting: dict[Waiting, Consignment]) -> None:
        self.waiting = waiting
        self.size = len(waiting)
        self.sending: Running | None = None

    def tell(self, waiting: Waiting, result: CopyTally | Failure) -> None:
        """Say what came of one, if anybody still wants to know."""
        if self.waiting.pop(waiting, None) is not None:
            waiting.callback(result)

    def withdraw(self, waiting: Waiting) -> None:
        """Forget who waits for one; give everything up when nobody waits for any."""
        if self.waiting.pop(waiting, None) is not None and not self.waiting and self.sending is not None:
            self.sending.cancel()
