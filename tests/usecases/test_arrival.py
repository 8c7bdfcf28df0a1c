"""The arrival of an upload: parts of one size, and a body that waits when it has to."""

from __future__ import annotations

import hashlib

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sos.decisions.budget import Budget
from sos.http.bodies import BytesBody, collect
from sos.usecases.arrival import Arrival, Part
from sos.words.errors import BlobTooLarge, BlobTruncated, StoreFull
from tests.store.test_staging import PushingBody
from tests.support import failure_of, success_of

PART = 10


def arrival_of(body: PushingBody | BytesBody, most: int = 1000, budget: Budget | None = None) -> Arrival:
    """Take a body in parts of ten bytes."""
    return Arrival(body, most, PART, budget or Budget(1000, PART), hashlib.sha1())


def payload_of(part: Part | None) -> bytes:
    """Give the bytes of a part, which must have their digest."""
    assert part is not None
    sha256 = part.sha256
    payload = success_of(collect(part.source().body(), PART))
    assert hashlib.sha256(payload).digest() == sha256
    return payload


def next_of(arrival: Arrival) -> Deferred[Part | None]:
    """Ask for the next part."""
    return Deferred.fromCoroutine(arrival.next_part())


def test_a_full_part_waits_until_it_is_clear_whether_there_is_more() -> None:
    """Or whoever stores it would not know whether it is the object or a chunk of it."""
    body = PushingBody()
    arrival = arrival_of(body)
    first = next_of(arrival)
    body.write(b"0123456789")
    assert not first.called and not body.is_paused
    body.write(b"a")
    assert payload_of(success_of(first)) == b"0123456789"
    assert not arrival.is_complete
    second = next_of(arrival)
    body.done.callback(None)
    assert payload_of(success_of(second)) == b"a"
    assert arrival.is_complete
    assert success_of(arrival.next_part()) is None


def test_where_the_length_is_known_it_is_clear_at_once() -> None:
    """A slow client need not send one byte more first."""
    body = PushingBody(length=11)
    arrival = arrival_of(body)
    first = next_of(arrival)
    body.write(b"0123456789")
    assert payload_of(success_of(first)) == b"0123456789"


def test_a_body_waits_while_nobody_fetches_its_part() -> None:
    """What had come by then waits beside the part."""
    body = PushingBody(length=25)
    arrival = arrival_of(body)
    assert payload_of(success_of_begun(arrival, body, b"0123456789")) == b"0123456789"
    body.write(b"abcdefgh")
    assert not body.is_paused
    body.write(b"ijklm")
    assert body.is_paused
    assert payload_of(success_of(arrival.next_part())) == b"abcdefghij"
    assert not body.is_paused


def success_of_begun(arrival: Arrival, body: PushingBody, payload: bytes) -> Part | None:
    """Ask for the first part, and let it come."""
    first = next_of(arrival)
    body.write(payload)
    return success_of(first)


def test_a_body_waits_while_there_is_no_memory_and_goes_on_when_there_is() -> None:
    """Before its first byte, too: a client that waits for ``100 Continue`` waits for memory."""
    budget = Budget(40, 2)
    used = budget.open(20, lambda: None)
    used.grow(2)
    for _ in range(9):
        used.grow(2)
    blocking = budget.open(20, lambda: None)  # the oldest: the other half is set aside for it
    body = PushingBody()
    arrival = arrival_of(body, budget=budget)
    first = next_of(arrival)
    assert body.is_paused
    body.write(b"0")  # it was on its way
    assert budget.used == 40
    blocking.drop()
    assert not body.is_paused
    body.done.callback(None)
    assert payload_of(success_of(first)) == b"0"


def test_a_large_piece_is_taken_in_small_ones() -> None:
    """The budget is asked before each."""
    budget = Budget(40, 2)
    arrival = arrival_of(BytesBody(b"x" * 500), budget=budget)
    sizes = []
    while (part := success_of(arrival.next_part())) is not None:
        assert budget.used <= 40
        sizes.append(part.size)
        part.drop()
    assert sizes == [PART] * 50
    assert budget.used == 0


@pytest.mark.parametrize("is_fetched", [True, False])
def test_whoever_stops_lets_go_of_the_body_and_of_its_bytes(is_fetched: bool) -> None:
    """A part that was fetched is its owner's."""
    budget = Budget(1000, PART)
    body = PushingBody(length=30)
    arrival = arrival_of(body, budget=budget)
    first = next_of(arrival)
    body.write(b"0123456789abc" if is_fetched else b"012")
    arrival.stop()
    assert body.is_stopped
    assert budget.used == (PART if is_fetched else 0)
    if is_fetched:
        part = success_of(first)
        assert part is not None
        part.drop()
    assert budget.used == 0


def test_a_body_that_is_too_long_is_stopped_and_said_so() -> None:
    """Before its first byte where it says its length."""
    body = PushingBody(length=1001)
    assert isinstance(failure_of(arrival_of(body).next_part()), BlobTooLarge)
    assert body.is_stopped and body.consumer is None
    body = PushingBody()
    first = next_of(arrival_of(body, most=9))
    body.write(b"0123456789")
    assert isinstance(failure_of(first), BlobTooLarge)
    assert body.is_stopped


def test_whoever_waits_hears_what_the_body_failed_with_and_what_became_of_another_part() -> None:
    """Whichever is first; what comes later is no news."""
    body = PushingBody()
    first = next_of(arrival_of(body))
    body.done.errback(BlobTruncated("cut"))
    assert isinstance(failure_of(first), BlobTruncated)
    assert not body.is_stopped
    body = PushingBody()
    arrival = arrival_of(body)
    first = next_of(arrival)
    arrival.fail(Failure(StoreFull("full")))
    arrival.fail(Failure(BlobTruncated("later")))
    assert isinstance(failure_of(first), StoreFull)
    assert isinstance(failure_of(arrival.next_part()), StoreFull)
    assert body.is_stopped
    body.write(b"on its way")
    arrival.stop()
