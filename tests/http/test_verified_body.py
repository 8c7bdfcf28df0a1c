"""A long body that is hashed as it passes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.http.bodies import BytesBody, pour
from sos.http.verified_body import VerifiedBody
from sos.words.errors import BlobDamaged, BlobTruncated
from tests.support import ScriptedConsumer, failure_of, success_of


def verified(body: BytesBody, payload: bytes) -> VerifiedBody:
    """Expect a body to have just these bytes."""
    return VerifiedBody(body, hashlib.sha256(), hashlib.sha256(payload).digest(), lambda: BlobDamaged("abc"))


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=6))
def test_the_right_bytes_pass_whatever_their_pieces(pieces: list[bytes]) -> None:
    """All of them, in their order."""
    consumer = ScriptedConsumer()
    success_of(pour(verified(BytesBody(*pieces), b"".join(pieces)), consumer))
    assert consumer.payload == b"".join(pieces)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=6))
def test_wrong_bytes_never_pass_whole(pieces: list[bytes]) -> None:
    """The last piece stays behind, and the error says that the blob is damaged."""
    consumer = ScriptedConsumer()
    error = failure_of(pour(verified(BytesBody(*pieces), b"".join(pieces) + b"x"), consumer))
    assert isinstance(error, BlobDamaged)
    assert consumer.payload == b"".join(pieces[:-1])


def test_a_body_that_breaks_off_says_so() -> None:
    """Its own error comes through."""

    class Cut(BytesBody):
        def next_piece(self) -> bytes:
            raise BlobTruncated("cut")

    assert isinstance(failure_of(pour(verified(Cut(), b""), ScriptedConsumer())), BlobTruncated)


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_consumer_pauses_and_stops_what_lies_behind(stop_after: int) -> None:
    """Back-pressure and the end of interest reach the source."""
    stopped: list[str] = []

    class Source(BytesBody):
        def close(self) -> None:
            stopped.append("closed")

    pieces = [b"aa", b"bb", b"cc", b"dd"]
    consumer = ScriptedConsumer(pause_after=2 * stop_after)
    body = verified(Source(*pieces), b"".join(pieces))
    consumer.registerProducer(body, True)
    done = body.startProducing(consumer)
    assert consumer.payload == b"".join(pieces[:stop_after])
    assert stopped == []
    body.stopProducing()
    assert stopped == ["closed"]
    assert not done.called
