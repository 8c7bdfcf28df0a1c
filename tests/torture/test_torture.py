"""The rows that time things. Those that wait are all begun first, and their outcomes taken last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.corpus.rows import Port, request
from tests.processes.harness import Household
from tests.sockets.cast import Cast
from tests.sockets.raw import converse
from tests.torture import crowds, large, patience
from tests.torture.tally import Tally

pytestmark = pytest.mark.torture

LARGE = b"0123456789abcdef" * (100_000_000 // 16)


@pytest.fixture(scope="session")
def waiting(patient: Cast) -> Iterator[dict[str, Future[Tally]]]:
    """Begin all that waits."""
    deaf = hashlib.sha1(LARGE).hexdigest().encode()
    stored = request(b"PUT", b"/blob/" + deaf, b"Content-Length: %d" % len(LARGE), b"Connection: close", body=LARGE)
    (answer,) = converse(patient.ports[Port.BLOB], stored).answers()
    assert answer.status == 200
    with ThreadPoolExecutor(3) as threads:
        yield {
            "silence": threads.submit(patience.silence, patient),
            "slow bodies": threads.submit(patience.slow_bodies, patient),
            "deaf readers": threads.submit(patience.deaf_readers, patient, deaf),
        }


@pytest.mark.parametrize("play", [crowds.tiny_chunks, crowds.pipelines, crowds.slow_crowd])
def test_crowds(waiting: dict[str, Future[Tally]], busy: Cast, tallies: list[Tally], play: Callable[[Cast], Tally]) -> None:
    """Many at once, on servers of their own."""
    take(play(busy), tallies)


def test_exhaustion(waiting: dict[str, Future[Tally]], house: Household, tallies: list[Tally]) -> None:
    """Servers of their own, with few descriptors."""
    take(crowds.exhaustion(house), tallies)


@pytest.mark.parametrize("play", [large.one, large.crowd])
def test_large(
    waiting: dict[str, Future[Tally]], house: Household, tallies: list[Tally], play: Callable[..., Tally]
) -> None:
    """Servers of their own, whose memory is watched."""
    take(play(house), tallies)


@pytest.mark.parametrize("name", ["silence", "slow bodies", "deaf readers"])
def test_patience(waiting: dict[str, Future[Tally]], tallies: list[Tally], name: str) -> None:
    """Deadlines, for real."""
    take(waiting[name].result(timeout=150), tallies)


def take(tally: Tally, tallies: list[Tally]) -> None:
    """Enter a row into the table; nothing may be violated."""
    tallies.append(tally)
    assert not tally.violations
