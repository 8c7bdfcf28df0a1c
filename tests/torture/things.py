"""The objects of a nemesis run, and clients that do one thing after the other with them and write down what they saw."""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from attrs import define, field, frozen

from tests.processes.harness import Answer
from tests.simulation.history import Operation, Outcome, Verb
from tests.torture.estate import APIS, CLIENT_PATIENCE, PAUSE, Estate

MIB = 1024 * 1024
SIZES = (0, 1, 300, 5000, 65_536, 65_537, 200_000, 4 * MIB, 4 * MIB + 1, 9 * MIB)
"""Around what a database takes, and around a chunk; the last has three."""

SHARED = 14
"""Objects that all clients upload, fetch and delete again and again."""

OWN = 0.25
"""The share of uploads that are of an object which nobody had before: its first copies are all that there is of it."""

LAST_TRIES = 3

MARKS = ("red", "green", "blue")


@frozen
class Thing:
    """An object, by what it was made of: so that a thousand of them take no memory."""

    seed: int
    size: int
    id: str

    @property
    def payload(self) -> bytes:
        """Its bytes."""
        return Random(self.seed).randbytes(self.size)


def thing_of(seed: int, size: int) -> Thing:
    """Make an object."""
    return Thing(seed, size, hashlib.sha1(Random(seed).randbytes(size)).hexdigest())


@define
class Crowd:
    """Some clients, each in a thread, their objects, and the history of what they saw."""

    estate: Estate
    seed: int
    clients: int
    history: list[Operation] = field(factory=list)
    faults: list[str] = field(factory=list)
    """What no client should ever be answered."""
    statuses: Counter[str] = field(factory=Counter)
    things: list[Thing] = field(factory=list)
    asked_again: int = 0
    """How often a last fetch was in doubt."""
    began: float = field(factory=time.monotonic)
    _threads: list[threading.Thread] = field(factory=list)
    _lock: threading.Lock = field(factory=threading.Lock)
    _over: threading.Event = field(factory=threading.Event)

    def begin(self) -> None:
        """Let all clients begin."""
        chance = Random(f"{self.seed} things")
        seeds = [chance.getrandbits(48) for _ in range(SHARED)]
        self.things += [thing_of(seed, SIZES[number % len(SIZES)]) for number, seed in enumerate(seeds)]
        self.things = list({thing.id: thing for thing in self.things}.values())  # of no bytes there is one
        for number in range(self.clients):
            self._threads.append(threading.Thread(target=self._live, args=(number,), daemon=True))
            self._threads[-1].start()

    def end(self) -> None:
        """Let each client end what it does."""
        self._over.set()
        for thread in self._threads:
            thread.join(CLIENT_PATIENCE * 2)
            assert not thread.is_alive(), "a client still waits, long after its patience has ended"

    def _live(self, number: int) -> None:
        chance, shared = Random(f"{self.seed} client {number}"), list(self.things)
        while not self._over.wait(chance.random() * 0.2):
            verb = chance.choices((Verb.UPLOAD, Verb.FETCH, Verb.DELETE), (4, 6, 2))[0]
            thing = chance.choice(shared)
            if verb is Verb.UPLOAD and chance.random() < OWN:
                thing = thing_of(chance.getrandbits(48), chance.choice((*SIZES[1:7], *SIZES[1:])))
                with self._lock:
                    self.things.append(thing)
            elif verb is Verb.FETCH and chance.random() < 0.5:
                thing = chance.choice(self.things)
            if self.do(verb, thing, chance.choice(APIS), f"client{number}", chance).outcome is Outcome.REFUSED:
                self._over.wait(0.3)  # the api is away; to ask it a thousand times would show nothing

    def lines_about(self, problems: Sequence[str]) -> list[str]:
        """Give what was done to the objects that problems are about, for whoever reads a failure."""
        told = "\n".join(problems)
        return [
            f"{op.called - self.began:9.3f} {op.returned - self.began:9.3f} {op.client:8} {op.verb.value:6}"
            f" {op.object[:8]} {op.outcome.value}"
            for op in sorted(self.history, key=lambda op: op.called)
            if op.object[:8] in told
        ]

    def do(self, verb: Verb, thing: Thing, api: str, client: str, chance: Random) -> Operation:
        """Do one thing, and write it down."""
        return self._written(self._done(verb, thing, api, client, chance))

    def fetch_at_last(self, thing: Thing, api: str) -> None:
        """Fetch when all is well, and heed ``Retry-After``: an api is in doubt while a round of the other one ends."""
        chance = Random(0)
        operation = self._done(Verb.FETCH, thing, api, "final", chance, is_final=True)
        for _ in range(LAST_TRIES):
            if operation.outcome is not Outcome.UNKNOWN:
                break
            self.asked_again += 1
            PAUSE.wait(1)
            operation = self._done(Verb.FETCH, thing, api, "final", chance, is_final=True)
        self._written(operation)

    def _written(self, operation: Operation) -> Operation:
        with self._lock:
            self.history.append(operation)
        return operation

    def _done(self, verb: Verb, thing: Thing, api: str, client: str, chance: Random, *, is_final: bool = False) -> Operation:
        mark, span = chance.choice(MARKS), None
        if verb is Verb.FETCH and thing.size and not is_final and chance.random() < 0.3:
            first = chance.randrange(thing.size)
            span = (first, min(thing.size, first + chance.choice((1, 1000, MIB, 5 * MIB))))
        called = time.monotonic()
        answer = self._asked(verb, thing, api, mark, span)
        outcome, is_right = self._read(verb, thing, span, answer)
        # Whoever has heard nothing certain does not know when it ends.
        returned = math.inf if outcome is Outcome.UNKNOWN else time.monotonic()
        with self._lock:
            self.statuses[f"{verb.value} {'-' if answer is None else answer.status}"] += 1
        return Operation(
            verb=verb,
            object=thing.id,
            called=called,
            returned=returned,
            outcome=outcome,
            is_right=is_right,
            is_final=is_final,
            client=client,
        )

    def _asked(self, verb: Verb, thing: Thing, api: str, mark: str, span: tuple[int, int] | None) -> Answer | None:
        """Ask an api; None where there was no connection at all. An answer that is not whole has the status 0."""
        headers: Mapping[str, str] = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
        try:
            if verb is Verb.FETCH:
                return self.estate.ask("GET", api, f"/fetch/{thing.id}", None, headers)
            if verb is Verb.UPLOAD:
                return self.estate.ask("POST", api, "/upload", thing.payload, {"X-Is": mark})
            return self.estate.ask("DELETE", api, f"/upload/{thing.id}")
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except (OSError, http.client.HTTPException):
            return Answer(0, {}, b"")

    def _read(self, verb: Verb, thing: Thing, span: tuple[int, int] | None, answer: Answer | None) -> tuple[Outcome, bool]:
        """Say what a client knows after an answer, and whether a fetch gave what it should."""
        if answer is None:
            return Outcome.REFUSED, True
        if answer.status in (0, 503, 507):
            return Outcome.UNKNOWN, True
        if answer.status == 404 and verb is not Verb.UPLOAD:
            return Outcome.ABSENT, True
        expected = {Verb.UPLOAD: (200,), Verb.DELETE: (204, 202), Verb.FETCH: (200 if span is None else 206,)}[verb]
        if answer.status not in expected:
            self.faults.append(f"{verb.value} of {thing.id[:8]} is answered {answer.status}: {answer.body[:200]!r}")
            return Outcome.UNKNOWN, True
        if verb is Verb.UPLOAD and json.loads(answer.body)["id"] != thing.id:
            self.faults.append(f"an upload of {thing.id[:8]} got another ID: {answer.body!r}")
        if verb is Verb.FETCH:
            wanted = thing.payload if span is None else thing.payload[slice(*span)]
            return Outcome.DONE, answer.body == wanted and answer.headers.get("x-is") in MARKS
        return (Outcome.PARTLY if answer.status == 202 else Outcome.DONE), True
