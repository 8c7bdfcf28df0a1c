"""Rounds of replication over memory stores."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from sos.http.bodies import collect
from sos.usecases.cluster import Cluster
from sos.usecases.copying import Round
from sos.usecases.replication import Replication, SilentReporter
from sos.words.blob import BlobID, Entry, Metadata, Span, Version
from sos.words.errors import BlobDamaged, ServerUnavailable
from sos.words.interfaces import IBlobStore, IRoundReporter, OpenBlob
from tests.support import bytes_body, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put, server

DOWN = ServerUnavailable("http://a:3001", "connection refused")


class Damaged(Flaky):
    """A store whose bytes are found to be damaged when they are read."""

    async def fetch(self, blob_id: BlobID, span: Span | None = None) -> OpenBlob:
        raise BlobDamaged(blob_id)


@implementer(IRoundReporter)
class Recorder:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def group_begins(self, name: str, members: Sequence[str]) -> None:
        self.lines.append(f"group {name}: {' '.join(members)}")

    def blob_is_missing(self, blob_id: BlobID, server: str) -> None:
        self.lines.append(f"{blob_id} missing on {server}")

    def copy_begins(self, blob_id: BlobID, source: str, target: str) -> None:
        self.lines.append(f"{blob_id} from {source} to {target}")


def names(store: IBlobStore) -> Sequence[BlobID]:
    """List a store."""
    return success_of(store.enumerate())


def run(cluster: Cluster, page: int = 3) -> Round:
    """Run one round, with pages small enough that there are several."""
    return success_of(Replication(cluster, SilentReporter(), at_once=2, page=page).round())


def test_after_a_round_every_member_holds_every_blob_of_its_group() -> None:
    """Bytes, version and metadata are those of the source; other groups get nothing."""
    one, two, three, other = (memory_store(name) for name in ("1", "2", "3", "4"))
    for number in range(10):
        put((one, two, three)[number % 3], b"%d" % number * 10, f"blob{number}", version=number + 1)
    steve = Entry(id=BlobID("zz"), version=Version(50), metadata=Metadata.of([(b"X-Orig-Filename", b"steve.jpg")]))
    kept = success_of(two.receive(steve, bytes_body(b"steve"))).entry
    outcome = run(cluster_of(a={"m1": one, "m2": two, "m3": three}, b={"m4": other}))
    assert (outcome.copied, outcome.failed, outcome.unreachable) == (22, 0, {})
    assert outcome.is_complete
    assert names(one) == names(two) == names(three)
    assert len(names(one)) == 11
    assert success_of(one.stat(BlobID("zz"))) == kept
    assert success_of(collect(success_of(three.fetch(BlobID("blob4"))).body, 100)) == b"4" * 10
    assert names(other) == []


def test_a_second_round_copies_nothing() -> None:
    """Equal members are left alone."""
    one, two = memory_store("1"), memory_store("2")
    put(one, b"hello", "abc")
    cluster = cluster_of(a={"m1": one, "m2": two})
    assert run(cluster).copied == 1
    assert run(cluster).copied == 0


def test_a_member_out_of_reach_is_named_and_the_others_go_on() -> None:
    """The round is not complete, and yet the members that are there become equal."""
    one, two = memory_store("1"), memory_store("2")
    put(one, b"hello", "abc")
    outcome = run(cluster_of(a={"m1": one, "m2": Flaky(memory_store(), always=DOWN), "m3": two}))
    assert list(outcome.unreachable) == [server("m2")]
    assert not outcome.is_complete
    assert names(two) == ["abc"]


def test_a_member_that_goes_down_in_mid_round_costs_one_failure_not_one_a_blob() -> None:
    """After the first copy that fails the member is asked for a sign of life, and left out without one."""
    one, two = memory_store("1"), memory_store("2")
    for number in range(20):
        put(one, b"hello", f"blob{number:02}")
    dying = Flaky(memory_store(), [None, *[DOWN] * 100])
    outcome = run(cluster_of(a={"m1": one, "m2": dying, "m3": two}), page=1000)
    assert list(outcome.unreachable) == [server("m2")]
    assert dying.calls.count("receive") <= 2
    assert len(names(two)) == 20


def test_another_holder_gives_what_one_has_damaged() -> None:
    """A damaged copy is no source while there is a good one; without one the blob is counted as failed."""
    one, two, empty = memory_store("1"), memory_store("2"), memory_store("3")
    put(one, b"hello", "abc")
    put(two, b"hello", "abc")
    damaged = Damaged(one)
    outcome = run(cluster_of(a={"m1": damaged, "m2": two, "m3": empty}))
    assert (outcome.copied, outcome.failed) == (1, 0)
    assert names(empty) == ["abc"]
    damaged = Damaged(one)
    outcome = run(cluster_of(a={"m1": damaged, "m3": memory_store()}))
    assert (outcome.copied, outcome.failed, outcome.unreachable) == (0, 1, {})


def test_the_reporter_hears_what_is_missing_where_and_what_is_copied() -> None:
    """This is what ``replicate --verbose`` prints."""
    one, two = memory_store("1"), memory_store("2")
    put(one, b"hello", "abc")
    recorder = Recorder()
    success_of(Replication(cluster_of(a={"m1": one, "m2": two}), recorder).round())
    assert recorder.lines == [
        "group a: http://m1:3001 http://m2:3001",
        "abc missing on http://m2:3001",
        "abc from http://m1:3001 to http://m2:3001",
    ]
