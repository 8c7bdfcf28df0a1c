"""Steps: what happens at once happens in an order that a test picks, one step at a time, and the same order every time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer

from sos.words.blob import Entry, Parcel
from sos.words.errors import SOSError
from sos.words.interfaces import ILocalReplica, Received
from tests.usecases.cluster_of import Flaky

T = TypeVar("T")


class Steps:
    """What may happen next: a request reaches a store, a thread does its work, an answer arrives."""

    def __init__(self) -> None:
        self.is_free = False
        """Whether everything happens at once, as in a test without steps."""
        self._waiting: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    async def turn(self) -> None:
        """Wait for a turn of one's own."""
        if self.is_free:
            return
        turn: Deferred[None] = Deferred()
        self._waiting.append(lambda: turn.callback(None))  # one whose turn was cancelled may get it all the same
        await turn

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """Stand in for a thread, whose work takes a turn."""
        await self.turn()
        return call(*arguments)

    def take(self, choice: int) -> None:
        """Let one of those that wait go on."""
        self._waiting.pop(choice % len(self._waiting))()

    def take_all(self, chance: random.Random, most: int | None = None) -> int:
        """Take steps by chance until nothing waits, or so many; give how many that were."""
        taken = 0
        while self._waiting and taken != most:
            self.take(chance.randrange(len(self._waiting)))
            taken += 1
        return taken

    def set_free(self) -> None:
        """Let everything happen at once from now on, first what waits."""
        self.is_free = True
        while self._waiting:
            self.take(0)

    def hold(self) -> None:
        """Take steps one by one again."""
        assert not self._waiting
        self.is_free = False


class Stepped(Flaky):
    """A member as one writer or replicator sees it: a request is a step, and so is its answer."""

    def __init__(self, store: ILocalReplica, steps: Steps) -> None:
        super().__init__(store)
        self.stored = 0
        """Writes that went well."""
        self.bytes_in = 0
        self._steps = steps

    async def _answer(self, verb: str, *arguments: Any, **named: Any) -> Any:
        await self._steps.turn()
        try:
            answer = await super()._answer(verb, *arguments, **named)
        except SOSError:
            await self._steps.turn()
            raise
        await self._steps.turn()
        return answer

    async def receive(self, entry: Entry, body: IBodyProducer) -> Received:
        received = await super().receive(entry, body)
        self.stored += 1
        self.bytes_in += received.entry.size or 0
        return received

    async def receive_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        outcomes = await super().receive_some(parcels)
        taken = [outcome for outcome in outcomes if isinstance(outcome, Received)]
        self.stored += len(taken)
        self.bytes_in += sum(received.entry.size or 0 for received in taken)
        return outcomes
