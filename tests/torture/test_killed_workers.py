"""Torture F45: the workers of an api, killed one after the other while they serve."""

from __future__ import annotations

import os
import signal

import pytest

from sos.settings import WITH_TIMERS
from tests.processes.crew import SERVES, crew_of, wait_for_all, watched
from tests.processes.group import id_of, start_trio
from tests.processes.harness import Household, ask
from tests.torture.estate import eventually
from tests.torture.tally import Tally

pytestmark = pytest.mark.torture

WORKERS = 4
ROUNDS = 2
PAYLOAD = b"the same bytes, again and again"


def test_killed_workers(house: Household, tallies: list[Tally]) -> None:
    """F45 killed workers: the others serve, each comes back, what was asked later wins, and rounds go on as before."""
    tally = Tally("F45 killed workers")
    tallies.append(tally)
    trio = start_trio(house, workers=WORKERS, replicate_every=1)
    uploads, downloads = trio.api.port("uploads"), trio.api.port("downloads")
    begun = WORKERS
    for turn in range(WORKERS * ROUNDS):
        crew, number = crew_of(trio.api, begun), turn % WORKERS + 1
        with watched([crew[number]]) as ends:
            os.kill(crew[number], signal.SIGKILL)
            wait_for_all(ends, 1)
        for colour in ("red", f"blue{turn}"):
            answer = ask("POST", uploads, "/upload", PAYLOAD, {"X-Colour": colour})
            tally.expect(answer.status == 200, f"without worker {number}: {answer}")
        fetched = ask("GET", downloads, f"/fetch/{id_of(PAYLOAD)}")
        is_right = (fetched.status, fetched.body, fetched.headers.get("x-colour")) == (200, PAYLOAD, f"blue{turn}")
        tally.expect(is_right, f"without worker {number}: {fetched}, and not blue{turn}")
        begun += 1
        crew_of(trio.api, begun)
        if number == WITH_TIMERS:
            trio.members[1].end(signal.SIGKILL)
            missed = b"missed %d" % turn
            tally.expect(trio.copies_of_upload(missed) == 2, "not two copies")
            trio.restart(1)
            eventually(lambda missed=missed: trio.holders(missed), [0, 1, 2])  # type: ignore[misc]
    tally.expect(len(trio.api.when_lines_match(SERVES)) == begun, "workers were started that nobody had missed")
    tally.expect("Traceback" not in trio.api.output, "a traceback")
    assert not tally.violations, tally.violations
