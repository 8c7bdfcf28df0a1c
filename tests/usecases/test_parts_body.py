"""The body of an object in parts: what it pours, when it waits, and what it holds meanwhile."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.usecases.lender import PATIENCE, Lender
from sos.usecases.parts_body import AHEAD, PartsBody, cut
from sos.usecases.whole_blobs import Part, Pieces
from sos.words.blob import BlobID, Kind, Span
from sos.words.errors import Unavailable
from tests.support import ScriptedConsumer, failure_of, success_of

PART = 10


def part_of(number: int, span: Span = Span(0, PART)) -> Part:
    """Name a part of ten bytes."""
    return Part(BlobID(f"part{number}"), Kind.CHUNK, PART, None, span)


def bytes_of(number: int) -> bytes:
    """Give the bytes of a part."""
    return b"%03dabcdefg" % number


class Source:
    """Gives parts in pieces of three bytes: at once, or when it is told to."""

    def __init__(self, is_slow: bool = False) -> None:
        self.asked: list[BlobID] = []
        self.coming: list[Deferred[Pieces]] = []
        self._is_slow = is_slow

    async def fetch(self, part: Part) -> Pieces:
        """Give a part."""
        self.asked.append(part.id)
        if self._is_slow:
            self.coming.append(Deferred())
            return await self.coming[-1]
        return self.pieces_of(part.id)

    def pieces_of(self, name: str) -> Pieces:
        """Give the pieces of a part."""
        payload = bytes_of(int(name.removeprefix("part")))
        return [payload[at : at + 3] for at in range(0, PART, 3)]

    def give(self) -> None:
        """Let the part come that was asked for first."""
        self.coming.pop(0).callback(self.pieces_of(self.asked[-1 - len(self.coming)]))


class Reader:
    """A body of so many parts, and its consumer."""

    def __init__(self, lender: Lender, source: Source, parts: int = 3, pause_after: int | None = None) -> None:
        self.body = PartsBody(map(part_of, range(parts)), parts * PART, source.fetch, lender)
        self.consumer = ScriptedConsumer(pause_after)
        self.expected = b"".join(map(bytes_of, range(parts)))

    def start(self) -> Deferred[None]:
        """Begin to pour."""
        self.consumer.registerProducer(self.body, True)
        return self.body.startProducing(self.consumer)


@given(st.lists(st.integers(1, 5), max_size=8), st.data())
def test_pieces_are_cut_to_the_byte(sizes: list[int], data: st.DataObject) -> None:
    """What is put together again is the slice, and no piece is empty."""
    payload = bytes(range(sum(sizes)))
    pieces = [payload[stop - size : stop] for size, stop in zip(sizes, accumulate(sizes), strict=True)]
    start = data.draw(st.integers(0, len(payload)))
    stop = data.draw(st.integers(start, len(payload)))
    wanted = cut(pieces, start, stop)
    assert b"".join(wanted) == payload[start:stop]
    assert all(wanted)


def test_all_parts_are_poured_in_their_order_and_nothing_is_kept() -> None:
    """Memory is given back at the end."""
    lender = Lender(100, Clock())
    reader = Reader(lender, Source())
    success_of(reader.body.begin())
    success_of(reader.start())
    assert reader.consumer.payload == reader.expected
    assert lender.used == 0


def test_a_body_of_nothing_is_over_at_once() -> None:
    """A span of no bytes touches no part."""
    reader = Reader(Lender(100, Clock()), Source(), parts=0)
    success_of(reader.body.begin())
    success_of(reader.start())


def test_a_few_parts_are_fetched_ahead_while_the_consumer_drains() -> None:
    """So many, and not all."""
    source = Source()
    names = [f"part{number}" for number in range(AHEAD + 3)]
    reader = Reader(Lender(1000, Clock()), source, parts=len(names), pause_after=4)
    success_of(reader.body.begin())
    assert source.asked == names[:1]
    pouring = reader.start()
    assert source.asked == names[: AHEAD + 1]
    reader.consumer.go_on(pause_after=14)
    assert source.asked == names[: AHEAD + 2]
    reader.consumer.go_on()
    success_of(pouring)
    assert reader.consumer.payload == reader.expected


def test_nothing_is_fetched_ahead_where_memory_is_short() -> None:
    """The part that is poured comes first."""
    source = Source()
    lender = Lender(PART + 1, Clock())
    reader = Reader(lender, source, pause_after=4)
    success_of(reader.body.begin())
    reader.start()
    assert source.asked == ["part0"]
    reader.consumer.go_on()
    assert source.asked == ["part0", "part1", "part2"]
    assert reader.consumer.payload == reader.expected and lender.used == 0


def test_a_consumer_that_pauses_gets_nothing_and_loses_nothing() -> None:
    """Paused from the first byte on, and after each piece."""
    reader = Reader(Lender(100, Clock()), Source())
    success_of(reader.body.begin())
    reader.body.pauseProducing()
    pouring = reader.start()
    assert reader.consumer.payload == b""
    while not pouring.called:
        before = len(reader.consumer.payload)
        reader.consumer.go_on(pause_after=before + 1)
        assert len(reader.consumer.payload) <= before + 3
    success_of(pouring)
    assert reader.consumer.payload == reader.expected


def test_a_slow_consumer_gives_its_memory_to_others_and_goes_on_where_it_was() -> None:
    """Neither is refused, and neither sees that there are others (torture F6)."""
    clock = Clock()
    lender = Lender(2 * PART, clock)
    source = Source()
    slow, other = Reader(lender, source, pause_after=4), Reader(lender, source, parts=1)
    success_of(slow.body.begin())
    pouring = slow.start()
    assert lender.used == 2 * PART
    beginning = Deferred.fromCoroutine(other.body.begin())
    assert not beginning.called
    clock.advance(PATIENCE)
    success_of(beginning)
    assert lender.used == 2 * PART, "what was fetched ahead was given up, and no more than that"
    third = Reader(lender, source, parts=1)
    success_of(third.body.begin())
    assert lender.used == 2 * PART, "now all of it"
    slow.consumer.go_on()
    assert not pouring.called, "it waits for its turn"
    for reader in (other, third):
        success_of(reader.start())
        assert reader.consumer.payload == reader.expected
    success_of(pouring)
    assert slow.consumer.payload == slow.expected
    assert lender.used == 0
    assert not clock.getDelayedCalls()


def test_fifty_slow_readers_share_what_two_can_hold() -> None:
    """Each gets all of its bytes, piece by piece, and the memory never goes beyond its limit."""
    clock = Clock()
    lender = Lender(2 * PART, clock)
    readers = [Reader(lender, Source(), pause_after=1) for _ in range(50)]
    pouring: list[Deferred[None]] = []

    async def read(reader: Reader) -> None:
        await reader.body.begin()
        await reader.start()

    for reader in readers:
        pouring.append(Deferred.fromCoroutine(read(reader)))
    for _ in range(1000):
        clock.advance(PATIENCE)
        assert lender.used <= 2 * PART
        for reader in readers:
            if reader.consumer.producer is not None:
                reader.consumer.go_on(pause_after=len(reader.consumer.payload) + 1)
        if all(one.called for one in pouring):
            break
    for reader, one in zip(readers, pouring, strict=True):
        success_of(one)
        assert reader.consumer.payload == reader.expected
    assert lender.used == 0
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("stop_after", [0, 1, 9, 10, 11, 29])
@pytest.mark.parametrize("is_within_write", [True, False])
def test_a_body_that_is_stopped_lets_go_of_everything(stop_after: int, is_within_write: bool) -> None:
    """Wherever it is, and whoever stops it: the one who waits is not told that all is well."""

    class Leaving(ScriptedConsumer):
        def write(self, data: bytes) -> None:
            super().write(data)
            if is_within_write and len(self.payload) >= stop_after:
                reader.body.stopProducing()

    lender = Lender(100, Clock())
    reader = Reader(lender, Source())
    reader.consumer = Leaving(max(1, stop_after))
    success_of(reader.body.begin())
    if not stop_after and not is_within_write:
        reader.body.stopProducing()
    pouring = reader.start()
    reader.body.stopProducing()
    reader.body.stopProducing()
    assert lender.used == 0
    assert not pouring.called
    reader.body.resumeProducing()
    assert len(reader.consumer.payload) < max(1, stop_after) + 3
    pouring.addErrback(lambda failure: None).cancel()


@pytest.mark.parametrize("given_before", [0, 1, 2, 3])
def test_whoever_waits_for_a_part_can_be_cancelled(given_before: int) -> None:
    """A client that leaves while the part is on its way, the first or one that is fetched ahead."""
    source, lender = Source(is_slow=True), Lender(100, Clock())
    reader = Reader(lender, source)

    async def read() -> None:
        await reader.body.begin()
        await reader.start()

    reading = Deferred.fromCoroutine(read())
    for _ in range(given_before):
        source.give()
    if given_before < 3:
        reading.cancel()
        reading.addErrback(lambda failure: None)
        assert not source.coming or all(coming.called for coming in source.coming)
    assert reading.called
    assert lender.used == 0


def test_whoever_waits_for_memory_can_be_cancelled() -> None:
    """Then the next in the row has it."""
    lender = Lender(PART, Clock())
    first, second, third = (Reader(lender, Source(), parts=1) for _ in range(3))
    success_of(first.body.begin())
    waiting = Deferred.fromCoroutine(second.body.begin())
    behind = Deferred.fromCoroutine(third.body.begin())
    waiting.cancel()
    waiting.addErrback(lambda failure: None)
    first.body.stopProducing()
    success_of(behind)
    third.body.stopProducing()
    assert lender.used == 0


def test_a_part_that_nobody_has_fails_the_body() -> None:
    """Behind all that came before it; and one that could not be fetched ahead is asked for once more when it is wanted."""

    class Failing(Source):
        def __init__(self, failures: int) -> None:
            super().__init__()
            self._failures = failures

        async def fetch(self, part: Part) -> Pieces:
            pieces = await super().fetch(part)
            if part.id == "part1" and self.asked.count(part.id) <= self._failures:
                raise Unavailable("nobody has it")
            return pieces

    for failures, is_whole in ((1, True), (2, False)):
        lender = Lender(100, Clock())
        reader = Reader(lender, Failing(failures))
        success_of(reader.body.begin())
        pouring = reader.start()
        if is_whole:
            success_of(pouring)
        else:
            assert isinstance(failure_of(pouring), Unavailable)
        assert reader.consumer.payload == (reader.expected if is_whole else bytes_of(0))
        assert lender.used == 0
