"""Files and streams as bodies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface.verify import verifyObject

from sos.cli.input_bodies import MeasuredBody, StreamBody, open_body
from sos.http.bodies import collect, pour
from sos.words.errors import BadInput
from tests.support import ScriptedConsumer, bytes_body, success_of

reactor: Any = installed


@pytest.fixture
def pipe() -> Iterator[tuple[StreamBody, int]]:
    """Give a body that reads a pipe, and the descriptor that writes it."""
    reading, writing = os.pipe()
    body = StreamBody(reading, reactor)
    yield body, writing
    body.stopProducing()


def test_a_file_is_a_body_with_its_length(tmp_path: Path) -> None:
    """An empty one too."""
    for payload in (b"", bytes(200_000)):
        (tmp_path / "file").write_bytes(payload)
        body = open_body(str(tmp_path / "file"), reactor)
        assert body.length == len(payload)
        assert success_of(collect(body, 10**6)) == payload


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """It says why, without the name: whoever names the file has it."""
    for name, words in ((tmp_path / "missing", "No such file"), (tmp_path, "directory"), ("a\0b", "null")):
        with pytest.raises(BadInput, match=words):
            open_body(str(name), reactor)


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_stream_comes_as_it_is_written(pipe: tuple[StreamBody, int]) -> None:
    """Nothing waits for its end, and its end is seen."""
    body, writing = pipe
    assert body.length is UNKNOWN_LENGTH
    consumer = ScriptedConsumer()
    pouring = Deferred.fromCoroutine(pour(body, consumer))
    for piece in (b"one", b"two"):
        os.write(writing, piece)
        await until(lambda piece=piece: consumer.payload.endswith(piece))
    assert not pouring.called
    os.close(writing)
    await pouring
    assert consumer.payload == b"onetwo"


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_stream_that_ends_with_its_last_bytes_loses_none(pipe: tuple[StreamBody, int]) -> None:
    """The writer has gone before anything was read."""
    body, writing = pipe
    os.write(writing, bytes(60_000))
    os.close(writing)
    assert len(await collect(body, 10**6)) == 60_000


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_a_paused_stream_is_not_read(pipe: tuple[StreamBody, int]) -> None:
    """So a slow api holds back whoever writes."""
    body, writing = pipe
    consumer = ScriptedConsumer(pause_after=1)
    pouring = Deferred.fromCoroutine(pour(body, consumer))
    os.write(writing, b"one")
    await until(lambda: bool(consumer.payload))
    os.write(writing, b"two")
    os.close(writing)
    for _ in range(3):
        await deferLater(reactor, 0)
    assert consumer.payload == b"one"
    consumer.go_on()
    await pouring
    assert consumer.payload == b"onetwo"


def test_a_stopped_stream_lets_go_of_its_descriptor() -> None:
    """Stopped twice, it does not close what is another's by then."""
    reading, writing = os.pipe()
    body = StreamBody(reading, reactor)
    body.startProducing(ScriptedConsumer())
    body.stopProducing()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(reading)
    body.stopProducing()
    os.close(writing)
    assert body not in reactor.getReaders()


def test_both_digests_are_known_at_the_end() -> None:
    """And how many bytes there were."""
    counts: list[int] = []
    body = MeasuredBody(bytes_body(b"hello"), counts.append)
    assert verifyObject(IBodyProducer, body)
    assert not body.is_complete
    assert success_of(collect(body, 10)) == b"hello"
    assert body.is_complete and body.size == 5 and counts == [5]
    assert body.names == {hashlib.sha1(b"hello").hexdigest(), hashlib.sha256(b"hello").hexdigest()}


async def until(is_so: Any) -> None:
    """Let the reactor turn until something is so."""
    for _ in range(100_000):
        if is_so():
            return
        await deferLater(reactor, 0)
    raise AssertionError("it never is")
