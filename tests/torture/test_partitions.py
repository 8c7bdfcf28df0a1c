"""Torture F4, F5, F8 to F10 and F42 over real processes, each on a host of its own in a network of the test's own."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from threading import Event

import pytest

from tests.torture.estate import APIS, GROUPS, MEMBERS, PAUSE, Estate, eventually
from tests.torture.measures import descriptors_of
from tests.torture.tally import Tally

pytestmark = pytest.mark.torture

LARGE = hashlib.shake_256(b"large").digest(24 * 1024 * 1024)
"""Six chunks: when the first of them has come, most are still at the members."""

MOST_SECONDS = 30.0
"""No request takes longer, whatever has become of a connection (F4)."""

SLACK = 8.0
"""Seconds more until a member has noticed that a body has stopped: a sixth of its time, and what a busy machine takes."""

REFUSED_COST = 0.1
"""Seconds that a member may cost which refuses (F8)."""

FLAPPING = 24.0
"""Seconds of a link that goes up and down (F10)."""

STOPPED = 12.0
"""Seconds for which a process is stopped (F42)."""

_HALF = """
import socket, sys, threading
connection = socket.create_connection((sys.argv[1], 3001), timeout=10)
head = ["POST /blob/half HTTP/1.1", "Host: x", f"Authorization: Bearer {sys.argv[2]}", "Content-Length: 2000000", "", ""]
connection.sendall("\\r\\n".join(head).encode() + bytes(1_000_000))
print("half of it is sent", flush=True)
threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def _all_is_well(estate: Estate) -> Iterator[None]:
    """Begin each row with members that are known to be well, and end it with equal ones."""
    estate.when_well()
    yield
    assert estate.disagreements() == []
    for process in estate.processes.values():
        assert "Traceback" not in process.output, process.output


@pytest.fixture
def tally(request: pytest.FixtureRequest, tallies: list[Tally]) -> Iterator[Tally]:
    """The row of a test, which is named in its docstring; it is entered when the test has ended."""
    row = Tally(request.function.__doc__.partition(":")[0])
    tallies.append(row)
    yield row
    assert not row.violations, row.violations


def all_of(faults: Sequence[AbstractContextManager[None]]) -> ExitStack:
    """Begin several faults, and end them together."""
    with ExitStack() as stack:
        for fault in faults:
            stack.enter_context(fault)
        return stack.pop_all()


def test_half_open_connections_while_bytes_come(estate: Estate, tally: Tally) -> None:
    """F4 half-open connections, down: two members lose their wire in the middle; the third goes on, unseen by the client."""
    payload = b"down" + LARGE
    assert estate.copies_of_upload(payload)
    for group, names in GROUPS.items():
        began = time.monotonic()
        with ThreadPoolExecutor(1) as reading:
            with all_of([estate.network.unplugged(name) for name in names[1:]]):
                status = reading.submit(estate.fetch, payload).result(60)
            seconds = time.monotonic() - began
        tally.expect(status == 200 and seconds < MOST_SECONDS, f"{group}: {status} after {seconds:.1f} s")
        tally.note(f"{seconds:.1f} s")
        estate.when_well()


def test_half_open_connections_while_bytes_go(estate: Estate, tally: Tally) -> None:
    """F4 half-open connections, up: the others take the rest, and the member lets go of what it was sent by half."""
    host, half_way = estate.network.hosts["c"], Event()

    def pieces() -> Iterator[bytes]:
        yield LARGE[: len(LARGE) // 2]
        half_way.wait(30)
        yield LARGE[len(LARGE) // 2 :]

    sender = estate.house.other(*estate.network.hosts["north"].inside(sys.executable, "-c", _HALF, host.address, estate.key))
    sender.when_it_says("half of it is sent")
    eventually(lambda: len(estate.staged("c")), 1)
    began = time.monotonic()
    with estate.network.unplugged("c"):
        with ThreadPoolExecutor(1) as sending:
            answering = sending.submit(estate.upload_in_pieces, pieces())
            half_way.set()
            answer = answering.result(60)
        seconds = time.monotonic() - began
        tally.expect(answer.status == 200 and seconds < MOST_SECONDS, f"{answer} after {seconds:.1f} s")
        tally.note(f"upload {seconds:.1f} s")
        eventually(lambda: len(estate.staged("c")), 0)
        seconds = time.monotonic() - began
        tally.expect(seconds < MOST_SECONDS + SLACK, f"staged bytes were kept for {seconds:.1f} s")
        tally.note(f"staging empty after {seconds:.1f} s")
    sender.end(signal.SIGKILL)


@pytest.mark.parametrize("group", GROUPS)
def test_lost_answers_of_one_member(estate: Estate, tally: Tally, group: str) -> None:
    """F5 ack lost by one member: what it committed is not counted, the others answer, and a retry is no conflict."""
    silent, payload = GROUPS[group][0], estate.payload_of(group, "lost once")
    with estate.network.without_answers(silent, *APIS):
        for attempt in range(2):
            copies = estate.copies_of_upload(payload)
            tally.expect(copies == len(GROUPS[group]) - 1, f"{copies} copies, in attempt {attempt}")
        tally.expect(estate.holds(silent, payload), f"{silent} has not even got it: this showed nothing")
    tally.expect(estate.fetch(payload) == 200, "it cannot be fetched")


def test_lost_answers_of_all_members(estate: Estate, tally: Tally) -> None:
    """F5 ack lost by all: 503; whatever was committed, a retry is a 200, as soon as answers come again."""
    payloads = [estate.payload_of(group, "lost by all") for group in GROUPS]
    with all_of([estate.network.without_answers(name, *APIS) for name in MEMBERS]):
        for payload in payloads:
            began = time.monotonic()
            status = estate.upload(payload).status
            seconds = time.monotonic() - began
            tally.expect(status == 503 and seconds < MOST_SECONDS, f"{status} after {seconds:.1f} s")
            tally.note(f"503 after {seconds:.1f} s")
    for payload in payloads:
        statuses = [estate.upload(payload, api).status for api in APIS]
        tally.expect(statuses == [200, 200], f"retries: {statuses}")
        tally.expect(estate.fetch(payload) == 200, "it cannot be fetched")


WAYS = {"dropped": "drop", "refused": "tcp dport 3001 reject with tcp reset", "unreachable": "reject"}


@pytest.mark.parametrize("how", WAYS)
def test_an_api_and_a_member_apart(estate: Estate, tally: Tally, how: str) -> None:
    """F8 api and a member apart: the others answer; what nobody else can know is 503, and never 404."""
    known = {group: estate.payload_of(group, f"known to {how}") for group in GROUPS}
    for payload in known.values():
        estate.copies_of_upload(payload)
    for group, names in GROUPS.items():
        with estate.network.filtered("north", names[0], WAYS[how]):
            tally.expect(estate.fetch(known[group]) == 200, f"{group}: a known object is gone")
            copies = estate.copies_of_upload(estate.payload_of(group, f"while {how}"))
            tally.expect(copies == len(names) - 1, f"{group}: {copies} copies")
            unknown, may_be = estate.fetch(b"unknown"), {"one": 404, "two": 503}[group]
            tally.expect(unknown == may_be, f"{group}: an unknown object is {unknown}")
            tally.expect(estate.fetch(known[group], "south") == 200, f"{group}: the other api suffers")
        estate.when_well()
    with all_of([estate.network.filtered("north", name, WAYS[how]) for name in GROUPS["one"]]):
        for payload, status in ((known["one"], 503), (b"unknown", 503), (known["two"], 200)):
            tally.expect(estate.fetch(payload) == status, f"all of one group apart: {payload!r} is not {status}")
        answer = estate.upload(estate.payload_of("one", f"a stray while {how}"))
        tally.expect(answer.status == 200, f"the other group does not take it: {answer}")


def test_a_member_that_refuses_costs_little(estate: Estate, tally: Tally) -> None:
    """F8 cost of a refusal: the best of three first fetches, for the machine may have other things to do."""
    payload = estate.payload_of("one", "known")
    estate.copies_of_upload(payload)
    costs = []
    for _ in range(3):
        estate.when_well()
        usual = min(_seconds_of_fetch(estate, payload) for _ in range(5))
        with all_of([estate.network.filtered("north", name, WAYS["refused"]) for name in ("a", "b")]):
            costs.append(_seconds_of_fetch(estate, payload) - usual)
    tally.expect(min(costs) < REFUSED_COST, f"it costs {costs} s to be refused")
    tally.note(f"{min(costs) * 1000:.1f} ms")


def _seconds_of_fetch(estate: Estate, payload: bytes) -> float:
    began = time.monotonic()
    assert estate.fetch(payload) == 200
    return time.monotonic() - began


@pytest.mark.parametrize("to_member", [True, False])
def test_a_partition_in_one_direction(estate: Estate, tally: Tally, to_member: bool) -> None:
    """F9 one-way partition: as if the member were away, and it has nothing that a round would not make equal."""
    payload = estate.payload_of("one", f"one way {to_member}")
    ends = ("north", "b") if to_member else ("b", "north")
    with estate.network.filtered(*ends, "drop"):
        tally.expect(estate.copies_of_upload(payload) == 2, "not two copies")
        for api in APIS:
            tally.expect(estate.fetch(payload, api) == 200, f"{api} does not give it")
        tally.expect(estate.fetch(b"unknown") == 404, "an unknown object is no 404, though two of three have said no")


def test_members_apart(estate: Estate, tally: Tally) -> None:
    """F9 members apart: nothing of it shows, for they never talk to each other."""
    pairs = [(one, other) for one in MEMBERS for other in MEMBERS if one < other]
    with all_of([estate.network.apart(*pair) for pair in pairs]):
        for group, names in GROUPS.items():
            payload = estate.payload_of(group, "members apart")
            tally.expect(estate.copies_of_upload(payload) == len(names), f"{group} has not all copies")
            tally.expect(estate.fetch(payload, "south") == 200, f"{group} does not give it")
        tally.expect(estate.disagreements() == [], "a round fails")


def test_a_link_that_goes_up_and_down(estate: Estate, tally: Tally) -> None:
    """F10 flapping link: two of three up for a second, down for a second: right answers or errors, and no leak."""
    before = {name: descriptors_of(estate.processes[name].pid) for name in estate.processes}
    over = Event()

    def flap() -> None:
        while not over.is_set():
            with all_of([estate.network.down(name) for name in ("a", "b")]):
                over.wait(1)
            over.wait(1)

    with ThreadPoolExecutor(5) as threads:
        flapping = threads.submit(flap)
        ends = time.monotonic() + FLAPPING
        working = [threads.submit(_traffic, estate, APIS[number % 2], number, ends) for number in range(4)]
        outcomes = [outcome for work in working for outcome in work.result(FLAPPING + 60)]
        over.set()
        flapping.result(10)
    for fault, seconds in outcomes:
        tally.expect(not fault and seconds < MOST_SECONDS, f"{fault} after {seconds:.1f} s")
    tally.note(f"at most {max(seconds for _, seconds in outcomes):.1f} s")
    estate.when_well()
    for name, process in estate.processes.items():
        eventually(lambda name=name, pid=process.pid: descriptors_of(pid) <= before[name] + 16, True)  # type: ignore[misc]


def _traffic(estate: Estate, api: str, number: int, ends: float) -> list[tuple[str, float]]:
    """Upload and fetch until time is up; say of each request what was wrong, and how long it took."""
    outcomes = []
    for turn in range(1_000_000):
        if time.monotonic() > ends:
            break
        payload = f"{number} {turn} ".encode() * (1, 1000, 30_000)[turn % 3]
        began, fault = time.monotonic(), ""
        try:
            stored, fetched = estate.upload(payload, api).status, estate.fetch(payload, api)
            if stored not in (200, 503) or fetched not in (200, 503, 404) or (stored, fetched) == (200, 404):
                fault = f"an upload is {stored}, and then a fetch {fetched}"
        except AssertionError:
            fault = "wrong bytes"
        except (OSError, http.client.HTTPException):
            pass  # cut off, visibly
        outcomes.append((fault, time.monotonic() - began))
    return outcomes


def test_a_stopped_member(estate: Estate, tally: Tally) -> None:
    """F42 stopped member: the next one is asked at 2 s, and it is asked last from then on, until it lives again."""
    payload = estate.payload_of("one", "before it was stopped")
    estate.copies_of_upload(payload)
    apis = [estate.processes[name] for name in APIS]
    revivals = [process.output.count("is well again") for process in apis]
    estate.processes["a"].send(signal.SIGSTOP)
    try:
        ends = time.monotonic() + STOPPED
        times = []
        while time.monotonic() < ends:
            began = time.monotonic()
            tally.expect(estate.fetch(payload) == 200, "it is not served by the others")
            times.append(time.monotonic() - began)
            PAUSE.wait(0.02)
        slow = [seconds for seconds in times if seconds > 1]
        tally.expect(max(times) < 3 and len(slow) <= 1, f"fetches took {slow} s")
        tally.note(f"{len(times)} fetches, at most {max(times):.2f} s")
        copies = json.loads(estate.upload(estate.payload_of("one", "while it is stopped")).body)["copies"]
        tally.expect(copies == 2, f"{copies} copies")
    finally:
        estate.processes["a"].send(signal.SIGCONT)
    estate.when_well()
    known = [process.output.count("is well again") for process in apis]
    tally.expect(known[0] > revivals[0], f"nobody noticed that it lives: {revivals} {known}")
