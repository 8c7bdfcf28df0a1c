"""Torture D4: kill -9 at any moment, under sixteen writers and two deleters, over and over on the same store."""

from __future__ import annotations

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from tests.torture.ledger import Ledger
from tests.torture.quick_server import QuickServer, serving
from tests.torture.remains import remains_of
from tests.torture.scale import CRASH_CYCLES, times
from tests.torture.tally import Tally
from tests.torture.writers import Client, Crowd

WRITERS, DELETERS = 16, 2
MOST_BYTES = 4 * 1024 * 1024
LONGEST = 0.5
"""Seconds after which the server is killed at the latest."""

A_STORE = 10
"""Cycles on one store: all that it ever acknowledged is read in each of them."""

READERS = 8


def lost(server: QuickServer, ledger: Ledger) -> list[str]:
    """Fetch all that was ever acknowledged, and ask for all that was deleted; say what is not as it was promised."""
    names = sorted(ledger.acknowledged.keys() - ledger.unanswered.keys())

    def ask(number: int) -> list[str]:
        client = Client(server.port, ledger)
        wrong = []
        for name in names[number::READERS]:
            status, body = client.fetch(name)
            promised = ledger.acknowledged[name]
            right = status == 200 and hashlib.sha256(body).digest() == promised.sha256 if promised.is_live else status == 404
            if not right:
                wrong.append(f"{name}: {status} with {len(body)} bytes, and {promised} was promised")
        client.close()
        return wrong

    with ThreadPoolExecutor(READERS) as threads:
        return [fault for faults in threads.map(ask, range(READERS)) for fault in faults]


def kills(tally: Tally, store: Path, cycles: range) -> int:
    """Write, kill, start again, read all; look at the store itself at the end. Gives the number of acknowledgements."""
    ledger = Ledger()
    for cycle in cycles:
        with serving(store) as server:
            wrong = lost(server, ledger)
            crowd = Crowd(server.port, ledger, cycle, WRITERS, DELETERS, MOST_BYTES)
            time.sleep(Random(cycle).uniform(0, LONGEST))  # the one wait of its kind: a kill comes at any moment
            server.end()
            crowd.join()
        tally.expect(not wrong, f"before kill {cycle}: {wrong[:5]}")
        tally.expect(not crowd.refusals, f"before kill {cycle} it refused with {crowd.refusals}")
    remains = remains_of(store, ledger)
    tally.expect(not remains.wrong, f"after the last kill of {cycles}: {remains.wrong[:5]}")
    shutil.rmtree(store)
    return ledger.acks


def play(tally: Tally, directory: Path, cycles: int, first: int = 0) -> None:
    """Kill so many servers, ten on a store; say what that bounds: with no loss in N kills, 3/N a kill at 95 %."""
    acks = 0
    for start in range(first, first + cycles, A_STORE):
        acks += kills(tally, directory / f"store{start}", range(start, min(start + A_STORE, first + cycles)))
    tally.note(f"{cycles} kills, {acks} acks, at most {300 / cycles:.2g} % of kills lose something (95 %)")


@pytest.mark.slow
def test_kill_9_loses_nothing(tmp_path: Path, tallies: list[Tally]) -> None:
    """Five kills: each acknowledged blob is there with its bytes, each deleted one is gone, and the store is sound."""
    take(tallies, tmp_path, 5)


@pytest.mark.torture
def test_kill_9_loses_nothing_however_often(tmp_path: Path, tallies: list[Tally]) -> None:
    """The same, with other moments."""
    take(tallies, tmp_path, times(CRASH_CYCLES), first=1000)


def take(tallies: list[Tally], directory: Path, cycles: int, first: int = 0) -> None:
    """Enter the row into the table; nothing may be violated."""
    tally = Tally("D4 kill -9 under 16 writers")
    play(tally, directory, cycles, first)
    tallies.append(tally)
    assert not tally.violations
    assert tally.cases
