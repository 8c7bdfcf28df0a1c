"""Downloads over memory stores."""

from __future__ import annotations

import hashlib

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sos.decisions.tally import usual_min_copies
from sos.http.bodies import BytesBody, collect
from sos.usecases.cluster import Cluster
from sos.usecases.downloads import VERIFIED_WHOLE, Downloads
from sos.usecases.first_answer import IMPATIENCE
from sos.words.blob import BlobID, Entry, Kind, Span
from sos.words.errors import (
    BlobDamaged,
    BlobNotFound,
    BlobTruncated,
    Forbidden,
    RangeNotSatisfiable,
    ServerUnavailable,
    SOSError,
    Unavailable,
)
from sos.words.interfaces import IBlobStore, OpenBlob
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server

DOWN = ServerUnavailable("http://a:3001", "connection refused")
ABC = BlobID("abc")
LONG = b"0123456789" * (VERIFIED_WHOLE // 10 + 1)


class Giving(Flaky):
    """A member that gives a body of its own instead of the blob's."""

    def __init__(self, store: IBlobStore, *pieces: bytes, breaks: bool = False) -> None:
        super().__init__(store)
        self._pieces = pieces
        self._breaks = breaks

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        opened = await super().fetch(blob_id, span)
        opened.body.stopProducing()
        return evolve(opened, body=Broken(*self._pieces) if self._breaks else BytesBody(*self._pieces))


class Broken(BytesBody):
    """A body that breaks off."""

    def next_piece(self) -> bytes:
        piece = super().next_piece()
        if not piece:
            raise BlobTruncated("the member is gone")
        return piece


class Silent(Flaky):
    """A member that never answers."""

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        self.calls.append("fetch")
        answer: Deferred[OpenBlob] = Deferred()
        return await answer

    async def stat(self, blob_id: BlobID) -> Entry:
        self.calls.append("stat")
        answer: Deferred[Entry] = Deferred()
        return await answer


def downloads_of(cluster: Cluster, clock: Clock | None = None) -> Downloads:
    """Make the use case with the usual copies."""
    return Downloads(cluster, usual_min_copies, clock or Clock())


def bytes_of(opened: OpenBlob) -> bytes:
    """Read an open object."""
    return success_of(collect(opened.body, 2 * VERIFIED_WHOLE))


def holding(payload: bytes = b"hello") -> IBlobStore:
    """Make a member that holds the object."""
    store = memory_store()
    put(store, payload, "abc")
    return store


def test_any_member_that_holds_an_object_gives_it() -> None:
    """It is found in the second group's second member too."""
    holder = memory_store()
    entry = put(holder, b"hello", "abc")
    downloads = downloads_of(cluster_of(one={"a": memory_store()}, two={"b": memory_store(), "c": holder}))
    opened = success_of(downloads.open(ABC))
    assert opened.entry == entry
    assert bytes_of(opened) == b"hello"
    assert success_of(downloads.stat(ABC)) == entry


@pytest.mark.parametrize("payload", [b"hello", LONG])
def test_a_span_is_opened_as_such(payload: bytes) -> None:
    """Only the bytes that were asked for are poured; a span behind the end is the client's error, not the member's."""
    downloads = downloads_of(cluster_of(one={"a": holding(payload)}))
    assert bytes_of(success_of(downloads.open(ABC, Span(1, 3)))) == payload[1:4]
    assert isinstance(failure_of(downloads.open(ABC, Span(len(payload), 3))), RangeNotSatisfiable)


@pytest.mark.parametrize("error", [DOWN, BlobDamaged("abc"), Forbidden("wrong key")])
def test_the_next_member_is_asked_when_one_cannot_give_it(error: SOSError) -> None:
    """One member's fault is not the client's."""
    downloads = downloads_of(cluster_of(one={"a": Flaky(holding(), always=error), "b": holding()}))
    assert bytes_of(success_of(downloads.open(ABC))) == b"hello"


@pytest.mark.parametrize("wrong", [b"hullo", b"hell", b"", b"hello!"])
def test_wrong_bytes_of_one_member_are_never_seen(wrong: bytes) -> None:
    """Torture B9: the next member gives them, whole or in part."""
    for span, expected in ((None, b"hello"), (Span(1, 3), b"ell")):
        downloads = downloads_of(cluster_of(one={"a": Giving(holding(), wrong), "b": holding()}))
        assert bytes_of(success_of(downloads.open(ABC, span))) == expected


def test_a_member_that_gave_wrong_bytes_is_told_to_look_at_its_copy() -> None:
    """Torture B9: it finds the damage itself then, and a round heals it."""
    liar = Giving(holding(), b"hullo")
    downloads = downloads_of(cluster_of(one={"a": liar, "b": holding()}))
    assert bytes_of(success_of(downloads.open(ABC))) == b"hello"
    assert liar.calls == ["fetch", "suspect"]


def test_a_member_that_breaks_off_before_the_first_byte_left_is_replaced() -> None:
    """Torture B1: a small object is read whole before anything of it leaves."""
    downloads = downloads_of(cluster_of(one={"a": Giving(holding(), b"he", breaks=True), "b": holding()}))
    assert bytes_of(success_of(downloads.open(ABC))) == b"hello"


def test_wrong_bytes_of_a_long_object_never_end_well() -> None:
    """They are found while they pass: the body fails before its last piece."""
    wrong = LONG[:-1] + b"x"
    downloads = downloads_of(cluster_of(one={"a": Giving(holding(LONG), wrong[:100_000], wrong[100_000:])}))
    opened = success_of(downloads.open(ABC))
    assert isinstance(failure_of(collect(opened.body, 2 * VERIFIED_WHOLE)), BlobDamaged)
    right = success_of(downloads_of(cluster_of(one={"a": holding(LONG)})).open(ABC))
    assert bytes_of(right) == LONG


def test_a_member_that_gave_wrong_bytes_of_a_long_object_is_told_at_its_end() -> None:
    """Not before: nobody knows it sooner. One that gave the right ones is left alone."""
    wrong = LONG[:-1] + b"x"
    liar, well = Giving(holding(LONG), wrong[:100_000], wrong[100_000:]), Flaky(holding(LONG))
    for member in (liar, well):
        opened = success_of(downloads_of(cluster_of(one={"a": member})).open(ABC))
        assert member.calls == ["fetch"]
        reading = collect(opened.body, 2 * VERIFIED_WHOLE)
        if member is well:
            success_of(reading)
        else:
            assert isinstance(failure_of(reading), BlobDamaged)
    assert (liar.calls, well.calls) == (["fetch", "suspect"], ["fetch"])


HALF = LONG[:100_000], LONG[100_000:2_000_000]


def test_a_long_object_goes_on_from_another_member() -> None:
    """Only what is missing is asked for, and the whole is verified."""
    breaking, other = Giving(holding(LONG), *HALF, breaks=True), Flaky(holding(LONG))
    opened = success_of(downloads_of(cluster_of(one={"a": breaking, "b": other})).open(ABC))
    assert other.calls == []
    assert bytes_of(opened) == LONG
    assert other.calls == ["fetch"]


def test_a_long_object_goes_on_from_a_member_that_was_opened_anew_meanwhile() -> None:
    """Its peers are asked first; it has all that it had."""

    class Restarted(Flaky):
        async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
            cluster.heard(server("b"), None, 0, False, b"second")
            return await super().fetch(blob_id, span)

    class Gone(Giving):
        async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
            if span is not None:
                raise DOWN
            return await super().fetch(blob_id, span)

    other = Restarted(holding(LONG))
    cluster = cluster_of(one={"a": Gone(holding(LONG), *HALF, breaks=True), "b": other})
    cluster.heard(server("b"), None, 0, False, b"first")
    opened = success_of(downloads_of(cluster).open(ABC))
    assert bytes_of(opened) == LONG
    assert other.calls == ["fetch", "fetch"]


def test_nobody_goes_on_with_other_bytes() -> None:
    """One ID, another SHA-256: the reader gets one of them, or an error. A chunk of what is there is neither."""
    breaking, other = Giving(holding(LONG), *HALF, breaks=True), Flaky(holding(LONG + b"x"))
    opened = success_of(downloads_of(cluster_of(one={"a": breaking, "b": other})).open(ABC))
    assert isinstance(failure_of(collect(opened.body, 2 * VERIFIED_WHOLE)), BlobTruncated)


def test_all_who_gave_a_part_of_wrong_bytes_look_at_their_copies() -> None:
    """Nobody knows whose part it was; a good copy stays as it is."""
    wrong = Giving(holding(LONG), HALF[0], b"x" * len(HALF[1]), breaks=True)
    other = Flaky(holding(LONG))
    opened = success_of(downloads_of(cluster_of(one={"a": wrong, "b": other})).open(ABC))
    assert isinstance(failure_of(collect(opened.body, 2 * VERIFIED_WHOLE)), BlobDamaged)
    assert (wrong.calls, other.calls) == (["fetch", "suspect"], ["fetch", "suspect"])


def test_bytes_of_an_old_server_are_held_against_the_id() -> None:
    """It keeps no digest, but there the ID is the digest of the bytes."""
    name = hashlib.sha1(b"hello").hexdigest()

    class Old(Flaky):
        async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
            opened = await super().fetch(blob_id, span)
            return evolve(opened, entry=Entry(id=blob_id, size=5))

    for payload, is_right in ((b"hello", True), (b"hullo", False)):
        store = memory_store()
        put(store, payload, name)
        downloads = downloads_of(cluster_of(one={"a": Old(store)}))
        if is_right:
            assert bytes_of(success_of(downloads.open(BlobID(name)))) == payload
        else:
            assert isinstance(failure_of(downloads.open(BlobID(name))), Unavailable)


def test_a_member_that_hangs_costs_two_seconds_and_is_asked_last_from_then_on() -> None:
    """Torture F42: only the first reader waits."""
    clock = Clock()
    hanging, well = Silent(holding()), holding()
    cluster = cluster_of(one={"a": hanging, "b": well})
    downloads = downloads_of(cluster, clock)
    opening = Deferred.fromCoroutine(downloads.open(ABC))
    clock.advance(IMPATIENCE - 0.1)
    assert not opening.called
    clock.advance(0.1)
    assert bytes_of(success_of(opening)) == b"hello"
    assert bytes_of(success_of(downloads.open(ABC))) == b"hello"
    assert hanging.calls == ["fetch"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("members", "is_absent"),
    [
        ("no", True),
        ("no no", True),
        ("no down", False),
        ("down no", False),
        ("no damaged", False),
        ("no no down", True),
        ("down no no", True),
        ("no down down", False),
        ("no no damaged", True),
        ("no no no down down", False),
        ("no no no no down", True),
    ],
)
def test_not_found_is_said_only_when_no_acknowledged_copy_can_hide(members: str, is_absent: bool) -> None:
    """Two copies are acknowledged in groups of three or more, one in smaller groups: 404 is true, else it is 503."""
    errors: dict[str, SOSError | None] = {"no": None, "down": DOWN, "damaged": BlobDamaged("abc")}
    stores = {f"m{number}": Flaky(memory_store(), always=errors[kind]) for number, kind in enumerate(members.split())}
    for ask in ("open", "stat"):
        error = failure_of(getattr(downloads_of(cluster_of(one=stores)), ask)(ABC))
        assert isinstance(error, BlobNotFound if is_absent else Unavailable)


def test_every_group_has_to_deny_an_object() -> None:
    """One group that cannot be asked is enough for 503."""
    downloads = downloads_of(cluster_of(one={"a": memory_store()}, two={"b": Flaky(memory_store(), always=DOWN)}))
    assert isinstance(failure_of(downloads.open(ABC)), Unavailable)


def test_a_hanging_member_is_not_waited_for_when_404_is_true_without_it() -> None:
    """Two of three have said no."""
    clock = Clock()
    cluster = cluster_of(one={"a": Silent(memory_store()), "b": memory_store(), "c": memory_store()})
    opening = Deferred.fromCoroutine(downloads_of(cluster, clock).open(ABC))
    clock.advance(IMPATIENCE)
    assert isinstance(failure_of(opening), BlobNotFound)
    assert cluster.is_resting(server("a"))
    assert isinstance(failure_of(downloads_of(cluster, clock).open(ABC)), BlobNotFound)


def test_a_chunk_is_no_object() -> None:
    """What is stored as a part of an object cannot be had by itself through the public port."""
    holder = memory_store()
    put(holder, b"hello", "abc", kind=Kind.CHUNK)
    downloads = downloads_of(cluster_of(one={"a": holder}))
    assert isinstance(failure_of(downloads.open(ABC)), BlobNotFound)
    assert isinstance(failure_of(downloads.stat(ABC)), BlobNotFound)


def test_an_answer_that_shows_its_member_to_have_missed_a_round_is_not_believed() -> None:
    """Torture F19: an old copy of it may have been put back a moment ago, with what was deleted since."""
    stores = [memory_store(name) for name in "abc"]
    put(stores[0], b"hello", "abc")

    class Telling(Flaky):
        """A member whose round is heard with its answer."""

        async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
            cluster.heard(server("a"), None, 1)
            return await super().fetch(blob_id, span)

    cluster = cluster_of(one={"a": Telling(stores[0]), "b": stores[1], "c": stores[2]})
    for name in "abc":
        cluster.heard(server(name), None, 1)
    downloads = Downloads(cluster, usual_min_copies, Clock())
    assert success_of(collect(success_of(downloads.open(ABC)).body, 5)) == b"hello"
    for name in "bc":
        cluster.heard(server(name), None, 2)
    assert isinstance(failure_of(downloads.open(ABC)), BlobNotFound)
