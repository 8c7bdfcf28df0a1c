"""Small writes to one server: which go alone, which together, and what comes of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sos.coalescing import LONGEST_WAIT, TOGETHER, Coalescer, parcel_of
from sos.decisions.batch import LARGEST, ROOM, check_batch, weight
from sos.http.bodies import BytesBody
from sos.words.blob import BlobID, Entry, Metadata, Parcel
from sos.words.errors import (
    BadInput,
    BlobConflict,
    Forbidden,
    ServerUnavailable,
    SOSError,
    StoreFull,
    Unauthorized,
    Unsupported,
)
from sos.words.interfaces import Received
from tests.http.client_case import ScriptedBody
from tests.support import failure_of, success_of


def parcel(name: str, payload: bytes = b"hello", **fields: Any) -> Parcel:
    """Make one."""
    digest = hashlib.sha256(payload).digest()
    return Parcel(Entry(id=BlobID(name), size=len(payload), sha256=digest, **fields), payload)


class Far:
    """A server whose answers come when the test says so; `sent` are the IDs of each request, in their order."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.waiting: list[Deferred[Any]] = []
        self.called_off = 0
        self.clock = Clock()
        self.coalescer = Coalescer(self.clock, self.write, self.write_some)

    async def write(self, one: Parcel) -> Received:
        """Take one."""
        return (await self._answer([one]))[0]  # type: ignore[no-any-return]

    async def write_some(self, parcels: Sequence[Parcel]) -> Sequence[Received | SOSError]:
        """Take several."""
        check_batch(parcels)
        assert len(parcels) > 1
        return await self._answer(parcels)  # type: ignore[no-any-return]

    async def _answer(self, parcels: Sequence[Parcel]) -> Any:
        answer: Deferred[Any] = Deferred(self._call_off)
        self.sent.append([one.entry.id for one in parcels])
        self.waiting.append(answer)
        answer.addCallback(lambda told: [Received(one.entry) for one in parcels] if told is None else told)
        return await answer

    def _call_off(self, answer: Deferred[Any]) -> None:
        self.called_off += 1
        self.waiting.remove(answer)

    def ask(self, *names: str) -> list[Deferred[Received]]:
        """Write blobs of these names."""
        return [Deferred.fromCoroutine(self.coalescer.write(parcel(name))) for name in names]

    def answer(self, told: Any = None) -> None:
        """Answer the oldest request: that all is well, or something else."""
        answer = self.waiting.pop(0)
        answer.errback(told) if isinstance(told, Exception) else answer.callback(told)


def busy(*names: str) -> tuple[Far, list[Deferred[Received]]]:
    """Make a server that is sent one blob, and then these."""
    far = Far()
    far.ask("first")
    asking = far.ask(*names)
    far.sent.clear()
    return far, asking


def test_one_after_the_other_goes_alone() -> None:
    """And at once."""
    far = Far()
    for name in "abc":
        (asking,) = far.ask(name)
        far.answer()
        assert success_of(asking).entry.id == name
    assert far.sent == [["a"], ["b"], ["c"]]


def test_those_that_come_meanwhile_go_together() -> None:
    """When the one that was under way has ended; each has its own outcome."""
    far, asking = busy("a", "b", "c")
    assert far.sent == []
    far.answer()
    assert far.sent == [["a", "b", "c"]]
    refused = BlobConflict("b", BlobConflict.OLDER, 9)
    far.answer([Received(parcel("a").entry), refused, Received(parcel("c").entry)])
    assert (success_of(asking[0]).entry.id, success_of(asking[2]).entry.id) == ("a", "c")
    assert failure_of(asking[1]) is refused


def test_one_that_has_waited_alone_goes_alone() -> None:
    """There is nothing to be gained."""
    far, (asking,) = busy("a")
    far.answer()
    assert far.sent == [["a"]]
    far.answer()
    assert success_of(asking).entry.id == "a"


def test_while_a_batch_is_under_way_others_wait_for_the_next() -> None:
    """It ends all at once."""
    far, asking = busy("a", "b")
    far.answer()
    asking += far.ask("c", "d")
    far.answer()
    assert far.sent == [["a", "b"], ["c", "d"]]
    far.answer()
    assert [success_of(one).entry.id for one in asking] == ["a", "b", "c", "d"]


def test_what_is_under_way_for_long_is_not_waited_for() -> None:
    """A server may be far away: then as much is under way as there is. No more of the clock is needed afterwards."""
    far, asking = busy("a", "b")
    far.clock.advance(LONGEST_WAIT / 2)
    asking += far.ask("c")
    far.clock.advance(LONGEST_WAIT / 2)
    assert far.sent == [["a", "b", "c"]]
    asking += far.ask("d")
    far.clock.advance(LONGEST_WAIT)
    assert far.sent[1:] == [["d"]]
    asking += far.ask("e", "f")
    for _ in range(4):
        far.answer()
    assert [success_of(one).entry.id for one in asking] == ["a", "b", "c", "d", "e", "f"]
    assert far.clock.getDelayedCalls() == []


def test_a_batch_has_a_limit() -> None:
    """Of blobs, and of bytes; they go in their order."""
    names = [f"n{number}" for number in range(TOGETHER + 2)]
    far, _ = busy(*names)
    far.answer()
    far.answer()
    assert far.sent == [names[:TOGETHER], names[TOGETHER:]]
    far, _ = busy()
    large = [parcel(f"n{number}", bytes(LARGEST)) for number in range(20)]
    for one in large:
        Deferred.fromCoroutine(far.coalescer.write(one))
    far.answer()
    assert len(far.sent[0]) == ROOM // weight(large[0].entry)


def test_one_id_comes_once_in_a_batch() -> None:
    """Two clients may upload the same at once: the second write goes later."""
    far, asking = busy("a", "b", "a", "b", "c")
    for _ in range(3):
        far.answer()
    assert far.sent == [["a", "b", "c"], ["a", "b"]]
    assert [success_of(one).entry.id for one in asking] == ["a", "b", "a", "b", "c"]


@pytest.mark.parametrize("error", [Unsupported("old"), Unauthorized("who?"), Forbidden("no")])
def test_a_server_that_takes_no_batches_is_not_sent_another(error: SOSError) -> None:
    """What was in it goes one by one, and so does all that waited behind it, and all that follows."""
    far, asking = busy("a", "b")
    far.answer()
    asking += far.ask("c")
    far.answer(error)
    asking += far.ask("d", "e")
    assert far.sent == [["a", "b"], ["a"], ["b"], ["c"], ["d"], ["e"]]
    for _ in list(far.waiting):
        far.answer()
    assert [success_of(one).entry.id for one in asking] == ["a", "b", "c", "d", "e"]


def test_where_something_in_a_batch_cannot_be_taken_they_go_one_by_one() -> None:
    """So each is told its own error. The next ones go together again."""
    far, asking = busy("a", "b")
    far.answer()
    far.answer(BadInput("one of them"))
    assert far.sent == [["a", "b"], ["a"], ["b"]]
    more = far.ask("c", "d")
    far.answer(StoreFull("full"))
    far.answer()
    assert isinstance(failure_of(asking[0]), StoreFull)
    assert success_of(asking[1]).entry.id == "b"
    assert far.sent[3:] == [["c", "d"]]
    far.answer()
    assert [success_of(one).entry.id for one in more] == ["c", "d"]


def test_a_server_that_is_gone_has_taken_none_of_them() -> None:
    """As far as anybody knows. The next is sent to it nevertheless: it may be back."""
    far, asking = busy("a", "b")
    far.answer()
    (more,) = far.ask("c")
    far.answer(ServerUnavailable("http://m:1", "gone"))
    assert [str(failure_of(one)) for one in asking] == ["http://m:1 is out of reach: gone"] * 2
    far.answer()
    assert success_of(more).entry.id == "c"
    assert far.sent == [["a", "b"], ["c"]]


def test_a_fault_of_ours_is_told_to_all() -> None:
    """Nobody waits for ever, and it does not count as under way."""
    far, asking = busy("a", "b")
    far.answer()
    far.answer(ZeroDivisionError())
    assert all(isinstance(failure_of(one), ZeroDivisionError) for one in asking)
    far.ask("c")
    assert far.sent == [["a", "b"], ["c"]]


def test_who_gives_up_leaves_the_others_alone() -> None:
    """While it waits, or while its batch is under way; when all have given up, so is the batch."""
    far, asking = busy("a", "b", "c", "d")
    asking[1].cancel()
    assert isinstance(failure_of(asking[1]), CancelledError)
    far.answer()
    assert far.sent == [["a", "c", "d"]]
    asking[0].cancel()
    assert isinstance(failure_of(asking[0]), CancelledError)
    asking[2].cancel()
    assert far.called_off == 0
    asking[3].cancel()
    assert far.called_off == 1
    assert all(isinstance(failure_of(one), CancelledError) for one in asking[2:])
    (more,) = far.ask("e")
    far.answer()
    assert success_of(more).entry.id == "e"


def test_who_gives_up_on_the_one_under_way_lets_the_others_go() -> None:
    """They go together."""
    far = Far()
    (first,) = far.ask("first")
    for one in far.ask("also", "this"):
        one.cancel()
        failure_of(one)
    assert far.clock.getDelayedCalls() == []
    asking = far.ask("a", "b")
    first.cancel()
    failure_of(first)
    assert far.sent == [["first"], ["a", "b"]]
    far.answer()
    assert [success_of(one).entry.id for one in asking] == ["a", "b"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3))), st.booleans())
def test_every_write_has_its_own_outcome(deeds: list[tuple[int, int]], is_able: bool) -> None:
    """Whatever comes when: asked for, answered, given up. Of nothing is there more under way than may be."""
    far = Far()
    asking: list[tuple[str, Deferred[Received]]] = []
    given_up: list[Deferred[Received]] = []
    is_late = False
    for deed, which in deeds:
        if deed < 3:
            asking.append((f"n{which}", far.ask(f"n{which}")[0]))
        elif deed == 3 and asking:
            _, one = asking[which % len(asking)]
            if not one.called:
                given_up.append(one)
                one.cancel()
        elif deed == 5 and which == 0:
            far.clock.advance(LONGEST_WAIT)
            is_late = True
        elif far.waiting:
            was_batch = len(far.sent[-1]) > 1 and len(far.waiting) == 1
            far.answer(Unsupported("old") if was_batch and not is_able else None)
        assert len(far.waiting) <= 1 or is_late or not is_able
    while far.waiting:
        far.answer()
    for name, one in asking:
        if one in given_up:
            assert isinstance(failure_of(one), CancelledError)
        else:
            assert success_of(one).entry.id == name
    assert far.clock.getDelayedCalls() == []


def test_a_parcel_is_small_and_in_memory_and_known() -> None:
    """All else goes alone, as it comes."""
    entry = parcel("a").entry
    made = parcel_of(entry, BytesBody(b"he", b"llo"))
    assert made == Parcel(entry, b"hello")
    described = parcel("a", metadata=Metadata.of([(b"x-is", b"it")])).entry
    assert parcel_of(described, BytesBody(b"hello")) == Parcel(described, b"hello")
    assert parcel_of(entry, BytesBody(b"hell")) is None
    assert parcel_of(entry, ScriptedBody(5)) is None
    assert parcel_of(Entry(id=BlobID("a"), size=5), BytesBody(b"hello")) is None
    assert parcel_of(parcel("a", bytes(LARGEST + 1)).entry, BytesBody(bytes(LARGEST + 1))) is None
