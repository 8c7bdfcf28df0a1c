"""Small writes to one group: which go alone, which together, and what comes of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sos.decisions.batch import LARGEST, ROOM, weight
from sos.decisions.tally import Copied, CopyTally
from sos.http.bodies import BytesSource
from sos.usecases.coalescing import FEW, LONGEST_WAIT, TOGETHER, Coalescer, Consignment
from sos.usecases.load import Load
from sos.words.blob import BlobID, Entry, Parcel
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import server

Writing = Deferred[CopyTally]


def consignment(name: str, payload: bytes = b"hello") -> Consignment:
    """Make one."""
    entry = Entry(id=BlobID(name), size=len(payload), sha256=hashlib.sha256(payload).digest())
    return Consignment(Parcel(entry, payload), Load(BytesSource([payload])))


def tally_of(name: str) -> CopyTally:
    """Make a tally that tells of which blob it is."""
    return CopyTally(1, (Copied(server("a"), name),))


def name_in(tally: CopyTally) -> str | None:
    """Say of which blob a tally is."""
    (copied,) = tally.outcomes
    assert isinstance(copied, Copied)
    return copied.store


class Members:
    """A group whose answers come when the test says so; `sent` are the IDs of each write, in their order."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.waiting: list[Deferred[Any]] = []
        self.called_off = 0
        self.clock = Clock()
        self.coalescer = Coalescer(self.clock, self.write)

    async def write(self, consignments: Sequence[Consignment]) -> Sequence[CopyTally]:
        """Take one or several."""
        answer: Deferred[Any] = Deferred(self._call_off)
        names = [consignment.parcel.entry.id for consignment in consignments]
        assert names and len(set(names)) == len(names)
        self.sent.append([*names])
        self.waiting.append(answer)
        await answer
        return [tally_of(name) for name in names]

    def _call_off(self, answer: Deferred[Any]) -> None:
        self.called_off += 1
        self.waiting.remove(answer)

    def ask(self, *names: str) -> list[Writing]:
        """Write blobs of these names."""
        return [self.coalescer.write(consignment(name)) for name in names]

    def answer(self, error: Exception | None = None) -> None:
        """Let the oldest write end, well or with a fault of ours."""
        answer = self.waiting.pop(0)
        answer.callback(None) if error is None else answer.errback(error)


def busy(*names: str) -> tuple[Members, list[Writing]]:
    """Make a group that is sent one blob, and then these."""
    members = Members()
    members.ask("first")
    asking = members.ask(*names)
    members.sent.clear()
    return members, asking


def test_one_after_the_other_goes_alone() -> None:
    """And at once."""
    members = Members()
    for name in "abc":
        (asking,) = members.ask(name)
        members.answer()
        assert name_in(success_of(asking)) == name
    assert members.sent == [["a"], ["b"], ["c"]]


def test_those_that_come_meanwhile_go_together() -> None:
    """When the one that was under way has ended; each has its own tally."""
    members, asking = busy("a", "b", "c")
    assert members.sent == []
    members.answer()
    assert members.sent == [["a", "b", "c"]]
    members.answer()
    assert [name_in(success_of(one)) for one in asking] == ["a", "b", "c"]


def test_while_a_batch_is_under_way_others_wait_for_the_next() -> None:
    """It ends all at once."""
    members, asking = busy("a", "b")
    members.answer()
    asking += members.ask("c", "d")
    members.answer()
    assert members.sent == [["a", "b"], ["c", "d"]]
    members.answer()
    assert [name_in(success_of(one)) for one in asking] == ["a", "b", "c", "d"]


def test_the_next_batch_leaves_before_anybody_hears_of_the_last() -> None:
    """The members need not wait for the answers to those who wait."""
    members, (first, *_) = busy("a", "b")
    members.answer()
    members.ask("c", "d")
    heard: list[list[list[str]]] = []
    first.addCallback(lambda tally: heard.append([*members.sent]))
    members.answer()
    assert heard == [[["a", "b"], ["c", "d"]]]


def test_those_that_come_while_others_are_told_go_together() -> None:
    """Who writes again as soon as he hears does not leave alone, before those that hear next."""
    members, asking = busy("a", "b", "c")
    members.answer()
    again = iter("def")

    def write_again(tally: CopyTally) -> CopyTally:
        members.ask(next(again))
        return tally

    for one in asking:
        one.addCallback(write_again)
    members.answer()
    assert members.sent == [["a", "b", "c"], ["d", "e", "f"]]
    members.answer()
    assert members.clock.getDelayedCalls() == []


def test_who_gives_up_while_others_of_the_batch_are_told_is_not_told() -> None:
    """What one of them does on its answer may make another leave; and it is no longer there to be given up."""
    members, asking = busy("a", "b", "c")
    members.answer()
    members.ask("d")

    def leave(tally: CopyTally) -> CopyTally:
        for left in asking[1:]:
            left.cancel()
        return tally

    asking[0].addCallback(leave)
    members.answer()
    assert name_in(success_of(asking[0])) == "a"
    for left in asking[1:]:
        assert isinstance(failure_of(left), CancelledError)
    assert (members.called_off, len(members.waiting)) == (0, 1)
    members.answer()
    assert members.clock.getDelayedCalls() == []


def test_where_few_write_they_go_beside_each_other() -> None:
    """As soon as as many wait as are under way: two clients do not wait for each other."""
    members = Members()
    members.ask("a")
    members.answer()
    asking = members.ask("b", "c", "d")
    assert members.sent == [["a"], ["b"], ["c"]]
    asking += members.ask("e")
    assert members.sent[3:] == [["d", "e"]]
    asking += members.ask("f", "g", "h", "i")
    assert len(members.sent) == 4
    members.answer()
    members.answer()
    assert members.sent[4:] == [["f", "g", "h", "i"]]
    members.answer()
    members.answer()
    assert [name_in(success_of(one)) for one in asking] == ["b", "c", "d", "e", "f", "g", "h", "i"]
    assert members.clock.getDelayedCalls() == []


def test_where_more_write_they_wait_for_each_other() -> None:
    """A batch that has ended says how many there are; one that is small again, that they are few again."""
    members, _ = busy("a", "b", "c")
    members.answer()
    members.answer()
    members.ask("d", "e")
    members.answer()
    assert members.sent == [["a", "b", "c"], ["d"], ["e"]]
    members.ask("f")
    assert members.sent[3:] == [["f"]]


def test_what_is_under_way_for_long_is_not_waited_for() -> None:
    """A member may be far away: then as much is under way as there is. No more of the clock is needed afterwards."""
    members, asking = busy("a", "b")
    members.clock.advance(LONGEST_WAIT / 2)
    asking += members.ask("c")
    members.clock.advance(LONGEST_WAIT / 2)
    assert members.sent == [["a", "b", "c"]]
    asking += members.ask("d")
    members.clock.advance(LONGEST_WAIT)
    assert members.sent[1:] == [["d"]]
    asking += members.ask("e", "f")
    for _ in range(4):
        members.answer()
    assert [name_in(success_of(one)) for one in asking] == ["a", "b", "c", "d", "e", "f"]
    assert members.clock.getDelayedCalls() == []


def test_a_batch_has_a_limit() -> None:
    """Of blobs, and of bytes; they go in their order."""
    names = [f"n{number}" for number in range(TOGETHER + 2)]
    members, _ = busy(*names)
    members.answer()
    members.answer()
    assert members.sent == [names[:TOGETHER], names[TOGETHER:]]
    members, _ = busy()
    large = [consignment(f"n{number}", bytes(LARGEST)) for number in range(20)]
    for one in large:
        members.coalescer.write(one)
    members.answer()
    assert len(members.sent[0]) == ROOM // weight(large[0].parcel.entry)


def test_one_id_comes_once_in_a_batch() -> None:
    """Two clients may upload the same at once: the second write goes later."""
    members, asking = busy("a", "b", "a", "b", "c")
    for _ in range(3):
        members.answer()
    assert members.sent == [["a", "b", "c"], ["a", "b"]]
    assert [name_in(success_of(one)) for one in asking] == ["a", "b", "a", "b", "c"]


def test_a_fault_of_ours_is_told_to_all() -> None:
    """Nobody waits for ever, and it does not count as under way."""
    members, asking = busy("a", "b")
    members.answer()
    members.answer(ZeroDivisionError())
    assert all(isinstance(failure_of(one), ZeroDivisionError) for one in asking)
    members.ask("c")
    assert members.sent == [["a", "b"], ["c"]]


def test_a_fault_of_ours_at_once_is_told_too() -> None:
    """Before anything was waited for."""

    async def broken(consignments: Sequence[Consignment]) -> Sequence[CopyTally]:
        raise ZeroDivisionError

    coalescer = Coalescer(Clock(), broken)
    for name in "ab":
        assert isinstance(failure_of(coalescer.write(consignment(name))), ZeroDivisionError)


def test_thousands_that_wait_for_a_group_that_fails_at_once_are_told_without_a_deep_stack() -> None:
    """As many clients may upload while a member is lost."""
    first: Deferred[None] = Deferred()
    asked: list[int] = []

    async def failing(consignments: Sequence[Consignment]) -> Sequence[CopyTally]:
        asked.append(len(consignments))
        if len(asked) == 1:
            await first
        return [CopyTally(1)] * len(consignments)

    clock = Clock()
    coalescer = Coalescer(clock, failing)
    asking = [coalescer.write(consignment(f"n{number}")) for number in range(1 + 400 * TOGETHER)]
    first.callback(None)
    assert asked == [1] + [TOGETHER] * 400
    assert not any(success_of(one).is_met for one in asking)
    assert clock.getDelayedCalls() == []


def test_who_gives_up_leaves_the_others_alone() -> None:
    """While it waits, or while its batch is under way; when all have given up, so is the batch."""
    members, asking = busy("a", "b", "c", "d")
    asking[1].cancel()
    assert isinstance(failure_of(asking[1]), CancelledError)
    members.answer()
    assert members.sent == [["a", "c", "d"]]
    asking[0].cancel()
    assert isinstance(failure_of(asking[0]), CancelledError)
    asking[2].cancel()
    assert members.called_off == 0
    asking[3].cancel()
    assert members.called_off == 1
    assert all(isinstance(failure_of(one), CancelledError) for one in asking[2:])
    (more,) = members.ask("e")
    members.answer()
    assert name_in(success_of(more)) == "e"


def test_who_gives_up_on_the_one_under_way_lets_the_others_go() -> None:
    """They go together."""
    members = Members()
    (first,) = members.ask("first")
    for one in members.ask("also", "this"):
        one.cancel()
        failure_of(one)
    assert members.clock.getDelayedCalls() == []
    asking = members.ask("a", "b")
    first.cancel()
    failure_of(first)
    assert members.sent == [["first"], ["a", "b"]]
    members.answer()
    assert [name_in(success_of(one)) for one in asking] == ["a", "b"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3))))
def test_every_write_has_its_own_tally(deeds: list[tuple[int, int]]) -> None:
    """Whatever comes when: asked for, answered, given up. Only few go beside others, and what has waited for long."""
    members = Members()
    asking: list[tuple[str, Writing]] = []
    given_up: list[Writing] = []
    is_late = False
    for deed, which in deeds:
        if deed < 3:
            asking.append((f"n{which}", members.ask(f"n{which}")[0]))
        elif deed == 3 and asking:
            _, one = asking[which % len(asking)]
            if not one.called:
                given_up.append(one)
                one.cancel()
        elif deed == 5 and which == 0:
            members.clock.advance(LONGEST_WAIT)
            is_late = True
        elif members.waiting:
            members.answer()
        assert len(members.waiting) <= 1 + FEW or is_late
    while members.waiting:
        members.answer()
    for name, one in asking:
        if one in given_up:
            assert isinstance(failure_of(one), CancelledError)
        else:
            assert name_in(success_of(one)) == name
    assert members.clock.getDelayedCalls() == []
