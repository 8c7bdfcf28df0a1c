"""A lender of memory: bytes that are held for clients are counted, and past the limit whoever needs some waits its turn.

Nobody is refused. Whoever waits holds nothing meanwhile, so that two can never wait for each other; who waits longest is
next, even where a smaller wish could be granted before. What would merely be good to have is taken with `Lender.if_free`.

A client that does not read holds its bytes for as long as it likes, and fifty of them would hold all there are. So a
holder that does not get rid of its bytes lets its share `rest`; when it has rested for `PATIENCE` and somebody waits, it is
asked to give up its bytes, which it can have again. Rejected: to refuse, or to drop, the slow client, which does nothing
wrong; and to take the bytes from those who rest at once, for a client that reads at full speed rests many times a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

PATIENCE = 1.0
"""Seconds for which a share may rest while others wait: a client on any line that is worth the name reads more often."""


class Share:
    """Bytes that were lent. Whoever has them gives them back, once they are used no more."""

    __slots__ = ("_lender", "size")

    def __init__(self, lender: Lender, size: int) -> None:
        """Be `size` bytes of what a lender has, who has counted them."""
        self.size = size
        self._lender: Lender | None = lender

    def rest(self, give_up: Callable[[], None]) -> None:
        """Say that the bytes cannot be used now; `give_up` is called, once, if they are needed more elsewhere.

        It gives the share back before it returns.
        """
        if self._lender is not None:
            self._lender.rests(self, give_up)

    def use(self) -> None:
        """Say that the bytes are used again."""
        if self._lender is not None:
            self._lender.is_used(self)

    def give_back(self) -> None:
        """Let others have it. Giving back twice is nothing."""
        lender, self._lender = self._lender, None
        if lender is not None:
            lender.returned(self)


class Lender:
    """Counts bytes, and lets those wait who want more than there are."""

    def __init__(self, limit: int, clock: IReactorTime) -> None:
        """Give out `limit` bytes. A single share may be larger: it is given out when it is the only one."""
        self.limit = limit
        self.used = 0
        self._clock = clock
        self._waiting: deque[tuple[int, Deferred[Share]]] = deque()
        self._resting: dict[Share, tuple[float, Callable[[], None]]] = {}  # in the order in which they began to
        self._call: IDelayedCall | None = None
        self._is_serving = False

    def take(self, size: int) -> Deferred[Share]:
        """Give so many bytes, as soon as all who asked before have theirs. Cancelling takes the wish back."""
        share = self.if_free(size)
        if share is not None:
            return succeed(share)
        waiting: Deferred[Share] = Deferred(self._withdraw)
        self._waiting.append((size, waiting))
        self._look()
        return waiting

    def if_free(self, size: int) -> Share | None:
        """Give so many bytes if nobody has to wait for that; else None."""
        if self._waiting or not self._fits(size):
            return None
        self.used += size
        return Share(self, size)

    # What shares tell

    def rests(self, share: Share, give_up: Callable[[], None]) -> None:
        """Note that a share rests."""
        self._resting.pop(share, None)
        self._resting[share] = self._clock.seconds(), give_up
        if self._waiting and self._call is None:
            self._look()

    def is_used(self, share: Share) -> None:
        """Note that a share does not rest."""
        self._resting.pop(share, None)

    def returned(self, share: Share) -> None:
        """Give what came back to those who wait for it."""
        self._resting.pop(share, None)
        self.used -= share.size
        self._serve()

    # Inside

    def _fits(self, size: int) -> bool:
        return self.used + size <= self.limit or not self.used

    def _serve(self) -> None:
        """Give those who wait what there is, in their order. They may give it back at once, which is seen here too."""
        if self._is_serving:
            return
        self._is_serving = True
        try:
            while self._waiting and self._fits(self._waiting[0][0]):
                size, waiting = self._waiting.popleft()
                self.used += size
                waiting.callback(Share(self, size))
        finally:
            self._is_serving = False
        if not self._waiting:
            self._stop_looking()

    def _withdraw(self, waiting: Deferred[Share]) -> None:
        self._waiting = deque(wish for wish in self._waiting if wish[1] is not waiting)
        self._serve()  # a smaller wish may have waited behind a larger one

    def _look(self) -> None:
        """Ask those for their bytes who have rested long enough, while somebody waits; then look again when more have."""
        self._stop_looking()
        while self._waiting and self._resting:
            share, (since, give_up) = next(iter(self._resting.items()))
            left = since + PATIENCE - self._clock.seconds()
            if left > 0:
                self._call = self._clock.callLater(left, self._look_again)
                return
            del self._resting[share]
            give_up()

    def _look_again(self) -> None:
        self._call = None
        self._look()

    def _stop_looking(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None


class NoRoom(Exception):
    """Something is about to come, and there is no memory for it now: let go of it, wait for the memory, and ask again."""

    def __init__(self, size: int) -> None:
        super().__init__(f"there is no memory for {size} bytes now")
        self.size = size


class Reservation:
    """Memory for something whose size shows only when it begins to come, when there is no time to wait for memory."""

    def __init__(self, lender: Lender) -> None:
        """Begin with nothing."""
        self._lender = lender
        self._share: Share | None = None

    def claim(self, size: int) -> Share:
        """Give so many bytes: of what was waited for, or of what is free; nobody waits for none. Raises `NoRoom`."""
        if not size:
            return Share(self._lender, 0)
        share, self._share = self._share, None
        if share is not None and share.size >= size:
            return share
        if share is not None:
            share.give_back()
        free = self._lender.if_free(size)
        if free is None:
            raise NoRoom(size)
        return free

    async def wait(self, size: int) -> None:
        """Wait until so many bytes can be claimed."""
        self.end()
        self._share = await self._lender.take(size)

    def end(self) -> None:
        """Let others have what was not claimed."""
        share, self._share = self._share, None
        if share is not None:
            share.give_back()
