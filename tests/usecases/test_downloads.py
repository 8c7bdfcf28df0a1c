"""Downloads over memory stores."""

from __future__ import annotations

import pytest

from sos.http.bodies import collect
from sos.usecases.downloads import Downloads
from sos.words.blob import BlobID, Kind, Span
from sos.words.errors import BlobDamaged, BlobNotFound, RangeNotSatisfiable, ServerUnavailable, SOSError, Unavailable
from tests.support import failure_of, success_of
from tests.usecases.cluster_of import Flaky, cluster_of, memory_store, put

DOWN = ServerUnavailable("http://a:3001", "connection refused")
ABC = BlobID("abc")


def test_any_member_that_holds_an_object_gives_it() -> None:
    """It is found in the second group's second member too."""
    holder = memory_store()
    entry = put(holder, b"hello", "abc")
    downloads = Downloads(cluster_of(one={"a": memory_store()}, two={"b": memory_store(), "c": holder}))
    opened = success_of(downloads.open(ABC))
    assert opened.entry == entry
    assert success_of(collect(opened.body, 100)) == b"hello"
    assert success_of(downloads.stat(ABC)) == entry


def test_a_span_is_opened_as_such() -> None:
    """Only the bytes that were asked for are poured; a span behind the end is the client's error, not the member's."""
    holder = memory_store()
    put(holder, b"hello", "abc")
    downloads = Downloads(cluster_of(one={"a": holder}))
    assert success_of(collect(success_of(downloads.open(ABC, Span(1, 3))).body, 100)) == b"ell"
    assert isinstance(failure_of(downloads.open(ABC, Span(5, 3))), RangeNotSatisfiable)


@pytest.mark.parametrize("error", [DOWN, BlobDamaged("abc")])
def test_the_next_member_is_asked_when_one_cannot_give_it(error: SOSError) -> None:
    """One member's fault is not the client's."""
    first, second = memory_store(), memory_store()
    put(first, b"hello", "abc")
    put(second, b"hello", "abc")
    downloads = Downloads(cluster_of(one={"a": Flaky(first, always=error), "b": second}))
    assert success_of(collect(success_of(downloads.open(ABC)).body, 100)) == b"hello"


def test_not_found_is_said_only_when_every_member_said_so() -> None:
    """A member out of reach may hold it: that is 503, never 404."""
    empty, down = memory_store(), Flaky(memory_store(), always=DOWN)
    assert isinstance(failure_of(Downloads(cluster_of(one={"a": empty})).open(ABC)), BlobNotFound)
    for members in ({"a": empty, "b": down}, {"a": down, "b": empty}):
        error = failure_of(Downloads(cluster_of(one=members)).stat(ABC))
        assert isinstance(error, Unavailable)
        assert not isinstance(error, BlobNotFound)


def test_a_chunk_is_no_object() -> None:
    """What is stored as a part of an object cannot be had by itself through the public port."""
    holder = memory_store()
    put(holder, b"hello", "abc", kind=Kind.CHUNK)
    downloads = Downloads(cluster_of(one={"a": holder}))
    assert isinstance(failure_of(downloads.open(ABC)), BlobNotFound)
    assert isinstance(failure_of(downloads.stat(ABC)), BlobNotFound)
