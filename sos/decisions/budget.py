"""A budget of memory: whose buffers may grow, so that all of them together never pass a limit, and all come to their end.

What is counted are bytes that are there, not bytes that may come: thousands of slow clients cost what they have sent. But
buffers that are all half full would wait for each other for ever, so the limit has two halves. In the first one everybody
may grow. Once it is used up, the oldest shares go on alone: the second half is set aside for them, each with all that it
may still come to, so each of them can be filled, used and released, and then it is the turn of the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Budget:
    """Counts the bytes of all shares. Whoever is told that it may grow may change everything from within that call."""

    def __init__(self, limit: int, piece: int) -> None:
        """Keep to `limit` bytes; no share grows by more than `piece` at once, or comes to more than half the limit."""
        self.piece = piece
        self._for_all = limit - limit // 2
        self._used = 0
        self._set_aside = 0
        self._most_set_aside = limit // 2
        self._waiting: dict[Share, None] = {}  # for their turn, in the order in which they were opened
        self._is_full = False
        self._to_tell: deque[Share] = deque()
        self._is_telling = False

    @property
    def used(self) -> int:
        """Bytes that are there, or set aside for a share that may grow to the end."""
        return self._used + self._set_aside

    def open(self, most: int, changed: Callable[[], None]) -> Share:
        """Begin a share of `most` bytes at most; `changed` is called when `Share.may_grow` may have become another."""
        share = Share(self, most, changed)
        self._waiting[share] = None
        self._let_the_oldest_go_on()
        return share

    def take(self, count: int) -> bool:
        """Count bytes that are all there; do not, and say so, where everybody has to wait. `count` is a piece at most."""
        if self._is_full:
            return False
        self._grow(count)
        return True

    def give_back(self, count: int) -> None:
        """Count bytes no more that were taken."""
        self._used -= count
        self._look_again()

    # What shares call

    def may_grow(self, share: Share) -> bool:
        """Whether a share may take a piece now."""
        return not share.is_sealed and (share.is_chosen or not self._is_full)

    def grown(self, share: Share, count: int) -> None:
        """Count the bytes of a piece."""
        if not share.is_chosen:  # else they were counted when it was chosen
            self._grow(count)

    def sealed(self, share: Share) -> None:
        """Let a share grow no more."""
        self._waiting.pop(share, None)
        if share.is_chosen:
            self._set_aside -= share.most - share.size
        self._look_again()

    def released(self, ordinary: int, chosen: int) -> None:
        """Take back the bytes of a share, which were counted as these."""
        self._set_aside -= chosen
        self.give_back(ordinary)

    # Inside

    def _grow(self, count: int) -> None:
        self._used += count
        if not self._is_full and self._for_all - self._used < self.piece:
            self._is_full = True
            for share in list(self._waiting):  # now, not when their next piece comes: there may be thousands
                share.changed()
            self._let_the_oldest_go_on()

    def _look_again(self) -> None:
        """Let all grow again when a quarter of their half is free: near the brim they would be told at every piece."""
        if self._is_full and self._used <= max(0, self._for_all - max(self.piece, self._for_all // 4)):
            self._is_full = False
            self._tell(*self._waiting)
        self._let_the_oldest_go_on()

    def _let_the_oldest_go_on(self) -> None:
        """Choose shares in their order, as long as all that they may come to can be set aside."""
        if not self._is_full:
            return
        chosen = []
        for share in self._waiting:
            rest = share.most - share.size
            if rest > self._most_set_aside - self._set_aside:
                break
            self._set_aside += rest
            share.is_chosen = True
            chosen.append(share)
        for share in chosen:
            del self._waiting[share]
        self._tell(*chosen)

    def _tell(self, *shares: Share) -> None:
        """Tell shares that they may grow. One loop does it, whoever calls whom: a stack has an end, and a queue has not."""
        self._to_tell.extend(shares)
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._to_tell:
                share = self._to_tell.popleft()
                if self.may_grow(share):
                    share.changed()
        finally:
            self._is_telling = False


class Share:
    """What one buffer has of the budget, until it is dropped."""

    def __init__(self, budget: Budget, most: int, changed: Callable[[], None]) -> None:
        """Be empty."""
        self.most = most
        self.size = 0
        self.changed = changed
        self.is_chosen = False
        """Whether it may grow to its end: all that it may still come to is set aside."""
        self.is_sealed = False
        self._budget = budget
        self._ordinary = 0

    @property
    def may_grow(self) -> bool:
        """Whether it may take a piece now."""
        return self._budget.may_grow(self)

    def grow(self, count: int) -> None:
        """Take so many bytes more. To be called only while it may grow."""
        self.size += count
        if not self.is_chosen:
            self._ordinary += count
        self._budget.grown(self, count)

    def seal(self) -> None:
        """Grow no more: what was set aside and is not needed is for others."""
        if not self.is_sealed:
            self.is_sealed = True
            self._budget.sealed(self)

    def drop(self) -> None:
        """Let go of the bytes. To be called once."""
        self.seal()
        self._budget.released(self._ordinary, self.size - self._ordinary)
