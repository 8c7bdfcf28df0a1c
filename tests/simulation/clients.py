"""Clients of the simulated cluster: each does one thing after another, or uploads several at once, and notes what it saw."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from random import Random

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from sos.concurrently import concurrently
from tests.cluster.visitor import Answer, Visitor
from tests.simulation.history import Operation, Outcome, Verb
from tests.simulation.world import APIS, World

PATIENCE = 45.0
"""Seconds after which a client gives up: longer than any deadline of the cluster."""

SIZES = (0, 1, 300, 5000, 65_536, 65_537, 70_001, 200_000)


@frozen
class Thing:
    """An object of the run: its bytes, and the headers that it may be uploaded with."""

    payload: bytes = field(repr=lambda payload: f"{len(payload)} bytes")
    marks: tuple[str, ...] = ("red", "green", "blue")

    @property
    def id(self) -> str:
        """Its ID."""
        return hashlib.sha1(self.payload).hexdigest()


def things_of(chance: Random, number: int, sizes: tuple[int, ...] = SIZES) -> list[Thing]:
    """Make objects of all sizes, none equal to another."""
    return [Thing(chance.randbytes(sizes[n % len(sizes)] + n // len(sizes))) for n in range(number)]


class Crowd:
    """Some clients, their objects, and the history of what they saw."""

    def __init__(self, world: World, things: list[Thing], clients: int, until: float, volley: int = 1) -> None:
        """Let clients live until a time; each uploads so many things at once."""
        self.history: list[Operation] = []
        self._world = world
        self._things = things
        self._until = until
        self._volley = volley
        self._working = [Deferred.fromCoroutine(self._live(f"client{n}")) for n in range(clients)]
        self._ended = 0
        for working in self._working:
            working.addBoth(self._one_ended)

    @property
    def is_over(self) -> bool:
        """Whether all have done their work."""
        return self._ended == len(self._working)

    def _one_ended(self, result: object) -> object:
        self._ended += 1
        return result

    def check(self) -> None:
        """Raise what a client failed of."""
        for working in self._working:
            working.addErrback(lambda failure: failure.raiseException())

    async def _live(self, client: str) -> None:
        """Do one thing after the other, with a pause between them."""
        world, chance = self._world, self._world.chance
        while world.clock.seconds() < self._until:
            pause: Deferred[None] = Deferred()
            world.clock.callLater(chance.random() * 0.6, pause.callback, None)
            await pause
            verb = chance.choices((Verb.UPLOAD, Verb.FETCH, Verb.DELETE), (4, 5, 2))[0]
            if verb is Verb.UPLOAD and self._volley > 1:
                api = chance.choice(APIS)
                things = chance.sample(self._things, self._volley)
                await concurrently(self.do(verb, thing, api, client) for thing in things)
            else:
                await self.do(verb, chance.choice(self._things), chance.choice(APIS), client)

    async def do(self, verb: Verb, thing: Thing, api: str, client: str, *, is_final: bool = False) -> Operation:
        """Do one thing, and write it down."""
        called = self._world.clock.seconds()
        headers = {"X-Is": self._world.chance.choice(thing.marks)} if verb is Verb.UPLOAD else {}
        answer = await self._asked(verb, thing, api, client, headers)
        outcome, is_right = _read(verb, thing, answer)
        # Whoever has heard nothing certain does not know when it ends.
        returned = math.inf if outcome is Outcome.UNKNOWN else self._world.clock.seconds()
        operation = Operation(
            verb=verb,
            object=thing.id,
            called=called,
            returned=returned,
            outcome=outcome,
            is_right=is_right,
            is_final=is_final,
            client=client,
        )
        self.history.append(operation)
        return operation

    async def _asked(self, verb: Verb, thing: Thing, api: str, client: str, headers: Mapping[str, str]) -> Answer | None:
        """Ask an api; None where there was no answer at all."""
        if verb is Verb.FETCH:
            host, visitor = f"{api}-down", Visitor("GET", f"/fetch/{thing.id}", headers, None)
        elif verb is Verb.UPLOAD:
            host, visitor = api, Visitor("POST", "/upload", headers, thing.payload)
        else:
            host, visitor = api, Visitor("DELETE", f"/upload/{thing.id}", headers, None)
        over: Deferred[None] = Deferred()
        visitor.when_over = lambda: None if over.called else over.callback(None)
        connecting = self._world.network.endpoint(client, host).connect(Factory.forProtocol(lambda: visitor))

        def give_up() -> None:
            connecting.cancel()
            if visitor.transport is not None:
                visitor.leave()

        giving_up = self._world.clock.callLater(PATIENCE, give_up)
        try:
            await connecting
            await over
        except Exception:  # no connection: whatever the reason, nothing was asked
            return None
        finally:
            if giving_up.active():
                giving_up.cancel()
        return visitor.answer


def _read(verb: Verb, thing: Thing, answer: Answer | None) -> tuple[Outcome, bool]:
    """Say what a client knows after an answer, and whether a fetch gave what it should."""
    if answer is None:
        return Outcome.REFUSED, True  # nothing was sent
    if not answer.is_whole or answer.status >= 500 or not answer.status:
        return Outcome.UNKNOWN, True
    if answer.status == 404:
        return Outcome.ABSENT, True
    if verb is Verb.FETCH:
        is_right = answer.status == 200 and answer.body == thing.payload and answer.headers.get("x-is") in thing.marks
        return Outcome.DONE, is_right
    if verb is Verb.DELETE:
        return {204: (Outcome.DONE, True), 202: (Outcome.PARTLY, True)}[answer.status]
    assert answer.status == 200, f"an upload was answered {answer.status}: {answer.body!r}"
    return Outcome.DONE, answer.json["id"] == thing.id
